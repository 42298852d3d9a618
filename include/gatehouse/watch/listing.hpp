// Which files of a folder count, and how they looked at one moment. Not recursive; follows links.
// Blocking; any thread.
#pragma once

#include <sys/stat.h>
#include <cstdint>
#include <gatehouse/base/error.hpp>
#include <gatehouse/base/text.hpp>
#include <string>
#include <string_view>
#include <unordered_map>

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

using listing = std::unordered_map<std::string, stamp, text_hash, std::equal_to<>>;

// False for editors' leftovers (".x", "x~", ".swp", ".tmp") and names without the suffix.
bool counts(std::string_view name, std::string_view suffix) noexcept;

// A link that leads nowhere and a folder are not listed.
result<listing> list_folder(const std::string& path, std::string_view suffix);

}  // namespace gatehouse::watch
