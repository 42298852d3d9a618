// The files of certs_dir: which name belongs to which file, and reading one. Blocking; any thread.
#pragma once

#include <dirent.h>

#include <cstdint>
#include <gatehouse/tls/certificates.hpp>
#include <memory>
#include <string>
#include <string_view>

namespace gatehouse::tls {

constexpr std::size_t most_certificate_bytes = 256 * 1024;

// Lower-case letters, digits, '-' in labels that are not empty, at most 253: nothing that could
// leave a folder.
bool is_file_host(std::string_view host) noexcept;
std::string exact_file(std::string_view host);     // "shop.acme.example.pem"
std::string wildcard_file(std::string_view host);  // "_.acme.example.pem"; empty for a single label
std::string pattern_of(std::string_view file);  // "*.acme.example"; empty when it is no such file
std::string file_of(std::string_view pattern);   // the way back

// The names in a folder, in no order, without what a path costs: a folder may have a million.
class folder_names {
 public:
    explicit folder_names(const std::string& folder);
    std::string error;                    // why it cannot be read
    bool next(std::string_view& name);    // false: no more, or an error; holds until the next call

 private:
    struct close {
        void operator()(DIR* d) const noexcept;
    };
    std::unique_ptr<DIR, close> dir_;
};

// What tells one version of a file from the next without reading it.
struct file_stamp {
    std::uint64_t device = 0, inode = 0;
    std::int64_t size_bytes = 0, modified_ns = 0, changed_ns = 0;
    bool operator==(const file_stamp&) const = default;
};
bool stat_file(const std::string& path, file_stamp& stamp);  // false: there is none

struct file_text {
    secret_text text;  // a key may stand in it
    std::string error;
    bool missing = false;
    bool shared = false;  // others than its owner may read it
    file_stamp stamp;
};
// A regular file of at most `most_bytes`. The error does not name the file.
file_text read_small_file(const std::string& path, std::size_t most_bytes);

// Of a file nobody uses yet: no key is tried. An error beside a not_after: it has another name,
// which `end` does not look for.
enum class leaf_look : std::uint8_t { end, end_and_name };
struct leaf_facts {
    bool missing = false;
    bool shared = false;         // others than its owner may read the file
    std::string error;           // names the file
    std::int64_t not_after = 0;  // Unix seconds
};
leaf_facts read_leaf_facts(const std::string& certs_dir, const std::string& file, leaf_look look);

// A file read, parsed and held against its own name; the error names the file.
struct loaded_certificate {
    certificate_ptr good;
    std::string error;
    bool missing = false;
    bool unavailable = false;  // of a loader alone
    file_stamp stamp;
};
loaded_certificate load_certificate(const std::string& certs_dir, const std::string& file);
loaded_certificate parse_certificate_file(const std::string& path, const std::string& file, file_text read);
// The same of what a loader brought for the file's name. Wipes `text`, which holds a key.
loaded_certificate take_certificate(fetched_pem& text, const std::string& file);

}  // namespace gatehouse::tls
