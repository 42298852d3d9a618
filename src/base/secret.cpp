#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <gatehouse/base/secret.hpp>

namespace gatehouse {

result<secret_text> read_secret(const std::string& path, std::size_t most_bytes) {
    const auto failure = [] { return error_code(errno, boost::system::system_category()); };
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) return failure();
    secret_text out;
    out.resize(most_bytes);
    std::size_t used = 0;
    ssize_t n = 1;
    while (used < most_bytes && n != 0) {
        n = ::read(fd, out.data() + used, most_bytes - used);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) break;
        used += static_cast<std::size_t>(n);
    }
    const error_code ec = n < 0 ? failure() : error_code();
    ::close(fd);
    if (ec) return ec;
    out.resize(used);
    return out;
}

bool others_may_read(const std::string& path) noexcept {
    struct stat s {};
    return ::stat(path.c_str(), &s) == 0 && S_ISREG(s.st_mode) && (s.st_mode & (S_IRGRP | S_IROTH)) != 0;
}

bool others_may_reach(const std::string& path) {
    namespace fs = std::filesystem;
    constexpr auto pass = fs::perms::group_exec | fs::perms::others_exec;
    std::error_code ec;
    for (auto at = fs::canonical(path, ec).parent_path(); !ec && at.has_relative_path(); at = at.parent_path())
        if ((fs::status(at, ec).permissions() & pass) == fs::perms::none) return false;
    return !ec;
}

}  // namespace gatehouse
