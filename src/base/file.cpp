#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <gatehouse/base/error.hpp>
#include <gatehouse/base/file.hpp>
#include <gatehouse/base/text.hpp>

namespace gatehouse {

std::string write_whole(const std::string& path, std::string_view bytes) {
    constexpr std::size_t random_bytes = 8;
    const auto text_of = [](int number) { return error_code(number, boost::system::system_category()).message(); };
    const auto aside = path + '.' + random_hex(random_bytes);
    const int fd = ::open(aside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) return text_of(errno);
    int error = 0;
    while (!bytes.empty() && error == 0) {
        const auto n = ::write(fd, bytes.data(), bytes.size());
        if (n > 0)
            bytes.remove_prefix(static_cast<std::size_t>(n));
        else if (n < 0 && errno != EINTR)
            error = errno;
    }
    if (error == 0 && ::fsync(fd) != 0) error = errno;
    ::close(fd);
    if (error == 0 && ::rename(aside.c_str(), path.c_str()) != 0) error = errno;
    if (error == 0) return {};
    ::unlink(aside.c_str());
    return text_of(error);
}

}  // namespace gatehouse
