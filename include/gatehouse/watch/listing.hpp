// Which files of a folder count, and how they looked at one moment. Not recursive; follows links.
// Blocking; any thread.
#pragma once

#include <sys/stat.h>
#include <cstdint>
#include <gatehouse/base/error.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse::watch {

// Two looks at a file that give the same stamp saw the same contents.
struct stamp {
    std::uint64_t device = 0, inode = 0, size_bytes = 0;
    std::int64_t modified_ns = 0, changed_ns = 0;
    bool operator==(const stamp&) const = default;
};
stamp stamp_of(const struct stat& s) noexcept;

// A stamp in eight bytes, without the device, whose number may be another after a restart; the same
// in every process. 0: the file changed so shortly before `looked_at_ns` (UTC) that it may have
// changed again since and look the same.
std::uint64_t digest_of(const stamp& s, std::int64_t looked_at_ns) noexcept;

// By name. The names lie in one text: a folder may have a million files.
class listing {
 public:
    struct file {
        std::string_view name;
        watch::stamp stamp;
    };
    std::size_t size() const noexcept { return rows_.size(); }
    file operator[](std::size_t i) const noexcept { return {name_of(rows_[i]), rows_[i].stamp}; }
    bool contains(std::string_view name) const noexcept;

 private:
    friend result<listing> list_folder(const std::string& path, std::string_view suffix);
    struct row {
        std::size_t at = 0;  // of the name in names_
        std::uint32_t name_bytes = 0;
        watch::stamp stamp;
    };
    std::string_view name_of(const row& r) const noexcept {
        return std::string_view(names_).substr(r.at, r.name_bytes);
    }
    void add(std::string_view name, const stamp& s);
    void sort();

    std::string names_;
    std::vector<row> rows_;
};

// False for editors' leftovers (".x", "x~", ".swp", ".tmp") and names without the suffix.
bool counts(std::string_view name, std::string_view suffix) noexcept;

// A link that leads nowhere and a folder are not listed.
result<listing> list_folder(const std::string& path, std::string_view suffix);

}  // namespace gatehouse::watch
