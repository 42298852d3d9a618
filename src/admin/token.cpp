// The token's file: written aside, synced, then linked into place, so that two first starts at the
// same moment agree on one token.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <gatehouse/admin/token.hpp>
#include <gatehouse/base/log.hpp>
#include <gatehouse/base/text.hpp>

#include <cerrno>
#include <cstdint>
#include <stdexcept>
#include <system_error>

namespace gatehouse::admin {
namespace {

constexpr std::size_t token_bytes = 32;
constexpr std::size_t least_characters = 16;

[[noreturn]] void fail(const std::string& file, const char* what) {
    throw std::runtime_error(
        fmt::format("admin token {}: {}: {}", file, what, std::generic_category().message(errno)));
}

void make(const std::string& file) {
    const auto aside = fmt::format("{}.{}", file, random_hex(8));
    const int fd = ::open(aside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) fail(file, "cannot be made; is its folder there and writable?");
    const auto text = random_hex(token_bytes) + "\n";
    const bool written =
        ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
        ::fsync(fd) == 0;
    ::close(fd);
    const bool linked = written && (::link(aside.c_str(), file.c_str()) == 0 || errno == EEXIST);
    const int error = errno;
    ::unlink(aside.c_str());
    errno = error;
    if (!linked) fail(file, "cannot be written");
}

// Shown to whoever sits before it, this once; a log, which others read, is told where it stands.
void announce(const std::string& file, const std::string& token) {
    if (::isatty(STDERR_FILENO) == 1)
        fmt::print(stderr, "The token of the admin API, shown this once (it stands in {}):\n  {}\n", file, token);
    else
        log::info("a token for the admin API was made; it stands in {}", file);
}

std::string read(const std::string& file, int fd) {
    struct stat s {};
    if (::fstat(fd, &s) == 0 && (s.st_mode & 077) != 0)
        log::warn("admin token {}: others may read it; chmod 600 it", file);
    char bytes[1024];
    const auto n = ::read(fd, bytes, sizeof bytes);
    if (n < 0) fail(file, "cannot be read");
    const std::string_view text(bytes, static_cast<std::size_t>(n));
    return std::string(trim(text.substr(0, text.find_first_of("\r\n"))));
}

}  // namespace

std::optional<std::string> load_token(const std::string& file) {
    const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) return std::nullopt;
    if (fd < 0) fail(file, "cannot be opened");
    auto token = read(file, fd);
    ::close(fd);
    if (token.size() < least_characters)
        throw std::runtime_error(
            fmt::format("admin token {}: shorter than {} characters; delete the file and start "
                        "again, a new one "
                        "is then made",
                        file, least_characters));
    return token;
}

std::string load_or_make_token(const std::string& file) {
    if (auto there = load_token(file)) return *there;
    make(file);
    auto made = load_token(file);
    errno = ENOENT;
    if (!made) fail(file, "is removed as soon as it is made");
    announce(file, *made);
    return *made;
}

bool same_token(std::string_view given, std::string_view secret) noexcept {
    volatile std::uint8_t different = given.size() == secret.size() && !secret.empty() ? 0 : 1;
    for (std::size_t i = 0; i < given.size(); ++i) {
        const char expected = secret.empty() ? '\0' : secret[i % secret.size()];
        different = static_cast<std::uint8_t>(different | (static_cast<std::uint8_t>(given[i]) ^
                                                           static_cast<std::uint8_t>(expected)));
    }
    return different == 0;
}

}  // namespace gatehouse::admin
