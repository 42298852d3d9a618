// A tenant file's bytes, their hash, and what the configuration makes of them.
#include "tenant_files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>
#include <array>
#include <cerrno>
#include <cstring>
#include <gatehouse/base/text.hpp>

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

// Empty: the bytes are in `out`.
std::string read_all(int fd, std::string& out) {
    struct stat s {};
    if (::fstat(fd, &s) != 0) return std::strerror(errno);
    if (!S_ISREG(s.st_mode)) return "not a regular file";
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

std::string hash_of(std::string_view bytes) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    std::size_t size = 0;
    if (EVP_Q_digest(nullptr, "SHA256", nullptr, bytes.data(), bytes.size(), digest, &size) != 1)
        return {};
    return hex({reinterpret_cast<const char*>(digest), size});
}

finding unreadable(const std::string& file, std::string why, document& out) {
    out = {.file = file, .hash = {}, .parsed = nullptr, .reasons = {}};
    out.reasons.push_back({.severity = config::severity::error,
                           .file = file,
                           .line = 0,
                           .key = {},
                           .message = fmt::format("cannot be read: {}", why),
                           .advice = "make it a file that gatehouse may read"});
    return finding::read;
}

}  // namespace

finding read_tenant_file(const std::string& file, std::string_view domain,
                         std::string_view known_hash, document& out) {
    const open_file f(file);
    if (f.get() < 0) {
        if (errno == ENOENT || errno == ENOTDIR) return finding::vanished;
        return unreadable(file, std::strerror(errno), out);
    }
    std::string bytes;
    if (auto why = read_all(f.get(), bytes); !why.empty())
        return unreadable(file, std::move(why), out);
    auto hash = hash_of(bytes);
    if (!hash.empty() && hash == known_hash) return finding::unchanged;
    auto loaded = config::parse_tenant(bytes, file, domain);
    out = {.file = file,
           .hash = std::move(hash),
           .parsed = nullptr,
           .reasons = std::move(loaded.diagnostics)};
    // With an error beside it a value is not what the file meant.
    if (loaded.value && !config::has_errors(out.reasons))
        out.parsed = std::make_shared<const tenant::tenant>(std::move(*loaded.value));
    return finding::read;
}

}  // namespace gatehouse::registry
