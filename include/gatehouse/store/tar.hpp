// Archives of plain files in memory: POSIX ustar (IEEE Std 1003.1-1988), which every tar reads. Regular files with
// relative names of at most 100 bytes; nothing else is written, and anything else refused. Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse::store {

struct tar_file {
    std::string name, bytes;
    bool operator==(const tar_file&) const = default;
};

// Equal files and time (Unix seconds) give equal bytes.
std::string to_tar(const std::vector<tar_file>& files, std::int64_t modified);
// Nothing: `why` says what is wrong. At most 10,000 files.
std::optional<std::vector<tar_file>> from_tar(std::string_view archive, std::string& why);

}  // namespace gatehouse::store
