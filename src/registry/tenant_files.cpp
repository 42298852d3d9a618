// A tenant file's bytes, their hash, and what the configuration makes of them.
#include "tenant_files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/sha.h>
#include <sys/stat.h>
#include <unistd.h>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <gatehouse/base/text.hpp>
#include <gatehouse/watch/listing.hpp>

namespace gatehouse::registry {
namespace {

class open_file {
 public:
    // Without O_NONBLOCK a FIFO in the folder would hold a pool thread for good.
    explicit open_file(const std::string& path)
        : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {}
    ~open_file() {
        if (fd_ >= 0) ::close(fd_);
    }
    open_file(const open_file&) = delete;
    open_file& operator=(const open_file&) = delete;
    int get() const noexcept { return fd_; }

 private:
    const int fd_;
};

// Empty: the bytes are in `out`, and what the file was when they were read in `stamp`.
std::string read_all(int fd, std::string& out, std::uint64_t& stamp) {
    struct stat s {};
    if (::fstat(fd, &s) != 0) return std::strerror(errno);
    if (!S_ISREG(s.st_mode)) return "not a regular file";
    // Before the first byte is read: a later change gives another stamp.
    stamp = watch::digest_of(watch::stamp_of(s), wall_clock_ns());
    std::array<char, 16 * 1024> chunk;
    for (;;) {
        const auto n = ::read(fd, chunk.data(), chunk.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return std::strerror(errno);
        if (n == 0) return {};
        out.append(chunk.data(), static_cast<std::size_t>(n));
        if (out.size() > max_tenant_file_bytes)
            return fmt::format("larger than {}", size_text(max_tenant_file_bytes));
    }
}

finding unreadable(const std::string& file, std::string why, document& out) {
    out = {.file = file, .mark = {}, .parsed = nullptr, .reasons = {}};
    out.reasons.push_back({.severity = config::severity::error,
                           .file = file,
                           .line = 0,
                           .key = {},
                           .message = fmt::format("cannot be read: {}", why),
                           .advice = "make it a file that gatehouse may read"});
    return finding::read;
}

}  // namespace

std::uint64_t content_mark(std::string_view bytes) {
    std::array<unsigned char, SHA256_DIGEST_LENGTH> digest;
    if (SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), digest.data()) ==
        nullptr)
        return 0;
    std::uint64_t mark = 0;
    for (std::size_t i = 0; i < sizeof mark; ++i)
        mark = mark << 8 | digest[i];
    return mark;
}

std::int64_t wall_clock_ns() {
    return std::chrono::nanoseconds(std::chrono::system_clock::now().time_since_epoch()).count();
}

finding read_tenant_file(const std::string& file, std::string_view domain, std::string_view context_prefix, const file_mark& known,
                         document& out) {
    const open_file f(file);
    if (f.get() < 0) {
        if (errno == ENOENT || errno == ENOTDIR) return finding::vanished;
        return unreadable(file, std::strerror(errno), out);
    }
    std::string bytes;
    file_mark mark;
    if (auto why = read_all(f.get(), bytes, mark.stamp); !why.empty())
        return unreadable(file, std::move(why), out);
    mark.content = content_mark(bytes);
    out.mark = mark;
    if (mark.content != 0 && mark.content == known.content) return finding::unchanged;
    auto loaded = config::parse_tenant(bytes, file, domain, context_prefix);
    out = {.file = file,
           .mark = mark,
           .parsed = nullptr,
           .reasons = std::move(loaded.diagnostics)};
    // With an error beside it a value is not what the file meant.
    if (loaded.value && !config::has_errors(out.reasons))
        out.parsed = tenant::pack(*loaded.value);
    return finding::read;
}

}  // namespace gatehouse::registry
