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
constexpr std::size_t least_characters = 16, file_bytes_max = 1024;

[[noreturn]] void fail(const std::string& file, const char* what) {
    throw std::runtime_error(
        fmt::format("admin token {}: {}: {}", file, what, std::generic_category().message(errno)));
}

void make(const std::string& file) {
    const auto aside = fmt::format("{}.{}", file, random_hex(8));
    const int fd = ::open(aside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) fail(file, "cannot be made; is its folder there and writable?");
    auto digits = random_hex(token_bytes);
    const auto line = secret_text(digits).append("\n");
    wipe(digits);
    const bool written =
        ::write(fd, line.data(), line.size()) == static_cast<ssize_t>(line.size()) &&
        ::fsync(fd) == 0;
    ::close(fd);
    const bool linked = written && (::link(aside.c_str(), file.c_str()) == 0 || errno == EEXIST);
    const int error = errno;
    ::unlink(aside.c_str());
    errno = error;
    if (!linked) fail(file, "cannot be written");
}

// Shown to whoever sits before it, this once; a log, which others read, is told where it stands.
void announce(const std::string& file, const secret_text& token) {
    if (::isatty(STDERR_FILENO) == 1)
        fmt::print(stderr, "The token of the admin API, shown this once (it stands in {}):\n  {}\n", file, token.view());
    else
        log::info("a token for the admin API was made; it stands in {}", file);
}

}  // namespace

std::optional<secret_text> load_token(const std::string& file) {
    const auto bytes = read_secret(file, file_bytes_max);
    if (!bytes && bytes.error() == boost::system::errc::no_such_file_or_directory) return std::nullopt;
    errno = bytes ? EPERM : bytes.error().value();
    if (!bytes) fail(file, "cannot be read");
    if (others_may_read(file)) fail(file, "others may read it: chmod 600 it, and replace it where others did");
    const auto text = bytes->view();
    secret_text token(trim(text.substr(0, text.find_first_of("\r\n"))));
    if (token.size() < least_characters)
        throw std::runtime_error(
            fmt::format("admin token {}: shorter than {} characters; delete the file and start "
                        "again, a new one "
                        "is then made",
                        file, least_characters));
    return token;
}

secret_text load_or_make_token(const std::string& file) {
    if (auto there = load_token(file)) return *std::move(there);
    make(file);
    auto made = load_token(file);
    errno = ENOENT;
    if (!made) fail(file, "is removed as soon as it is made");
    announce(file, *made);
    return *std::move(made);
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
