// One TOML document being read: its text as a tree, its folder, and what was found wrong so far.
// Not here: the meaning of keys. One thread at a time.
#pragma once

#include <toml++/toml.h>
#include <filesystem>
#include <gatehouse/config/load.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse::config {

struct document {
    std::string file;
    std::filesystem::path folder;
    std::vector<diagnostic> diagnostics{};
    bool environment = false;  // "${NAME}" is replaced; tenants' files may not read it
    bool look_at_files = false;
    std::vector<std::string>* unknown = nullptr;    // when set: takes unknown keys, which are errors otherwise
    std::set<std::string>* discovered = nullptr;  // when set: collects every key a reader asks for

    document(std::string file_name);

    // Made absolute against the document's folder.
    std::string absolute(std::string_view path) const;
    // The diagnostics in the order of the lines.
    std::vector<diagnostic> take_diagnostics();
};

// Where in a document something stands, for telling about it.
class place {
 public:
    place(document& doc, std::uint32_t line, std::string path)
        : doc_(&doc), line_(line), path_(std::move(path)) {}
    void error(std::string message, std::string advice) const;
    void warning(std::string message, std::string advice) const;
    // Of a file that holds a secret, and that others than its owner may read. Only where files are looked at.
    void refuse_if_shared(const std::string& secret_file) const;
    void warn_if_shared(const std::string& secret_file) const;
    const std::string& path() const noexcept { return path_; }

 private:
    document* doc_;
    std::uint32_t line_;
    std::string path_;
};

// Null: not TOML, or out of bounds; the diagnostics say where.
std::optional<toml::table> parse_toml(std::string_view text, std::size_t bytes_max, document& doc);

// "${NAME}" replaced, "$${" becomes "${". Null: a variable is not set, its name in *missing.
std::optional<std::string> substitute(std::string_view text, std::string* missing);

// In quotes, escaped, cut when long: safe to show.
std::string shown(std::string_view value);

}  // namespace gatehouse::config
