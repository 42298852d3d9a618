// Names and bytes of certificate files.
#include "certificate_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <gatehouse/base/error.hpp>

#include "parse_certificate.hpp"

namespace gatehouse::tls {
namespace {

constexpr std::string_view suffix = ".pem";

std::int64_t nanoseconds_of(const timespec& t) {
    return static_cast<std::int64_t>(t.tv_sec) * 1'000'000'000 + t.tv_nsec;
}

file_stamp stamp_of(const struct stat& s) {
    return {.device = s.st_dev,
            .inode = s.st_ino,
            .size_bytes = s.st_size,
            .modified_ns = nanoseconds_of(s.st_mtim),
            .changed_ns = nanoseconds_of(s.st_ctim)};
}

std::string text_of(int number) {
    return error_code(number, boost::system::system_category()).message();
}

bool is_missing(int number) {
    return number == ENOENT || number == ENOTDIR || number == ENAMETOOLONG;
}

struct descriptor {
    int fd;
    ~descriptor() {
        if (fd >= 0) ::close(fd);
    }
};

// One byte more than there should be, if it has grown.
bool read_all(int fd, secret_text& text, std::size_t size_bytes) {
    text.resize(size_bytes + 1);
    std::size_t used = 0;
    while (used < text.size()) {
        const ssize_t n = ::read(fd, text.data() + used, text.size() - used);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return false;
        if (n == 0) break;
        used += static_cast<std::size_t>(n);
    }
    text.resize(used);
    return true;
}

// Parsed, and held against the name that `file` stands for. Wipes the text.
certificate_ptr parse_named(secret_text& pem, const std::string& file, std::string kept_in,
                            std::string& error) {
    auto parsed = parse_pem(pem.view(), error);
    pem.clear();
    if (parsed == nullptr) return nullptr;
    parsed->pattern = pattern_of(file);
    parsed->file = std::move(kept_in);
    error = name_error(*parsed, parsed->pattern);
    return error.empty() ? parsed : nullptr;
}

}  // namespace

bool is_file_host(std::string_view host) noexcept {
    if (host.empty() || host.size() > 253 || host.front() == '.' || host.back() == '.')
        return false;
    const auto allowed = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
    };
    return std::all_of(host.begin(), host.end(), allowed) && host.find("..") == host.npos;
}

std::string exact_file(std::string_view host) {
    return std::string(host).append(suffix);
}

std::string wildcard_file(std::string_view host) {
    const auto dot = host.find('.');
    if (dot == host.npos) return {};
    return std::string("_").append(host.substr(dot)).append(suffix);
}

std::string pattern_of(std::string_view file) {
    if (!file.ends_with(suffix)) return {};
    file.remove_suffix(suffix.size());
    if (!file.starts_with("_.")) return is_file_host(file) ? std::string(file) : std::string();
    if (!is_file_host(file.substr(2))) return {};
    return std::string("*").append(file.substr(1));
}

std::string file_of(std::string_view pattern) {
    return pattern.starts_with("*.") ? exact_file("_" + std::string(pattern.substr(1)))
                                     : exact_file(pattern);
}

folder_names::folder_names(const std::string& folder) : dir_(::opendir(folder.c_str())) {
    if (dir_ == nullptr) error = text_of(errno);
}

void folder_names::close::operator()(DIR* d) const noexcept {
    ::closedir(d);
}

bool folder_names::next(std::string_view& name) {
    if (dir_ == nullptr) return false;
    errno = 0;
    if (const dirent* one = ::readdir(dir_.get())) {
        name = one->d_name;
        return true;
    }
    if (errno != 0) error = text_of(errno);
    return false;
}

bool stat_file(const std::string& path, file_stamp& stamp) {
    struct stat s {};
    if (::stat(path.c_str(), &s) != 0) return false;
    stamp = stamp_of(s);
    return true;
}

file_text read_small_file(const std::string& path, std::size_t most_bytes) {
    file_text out;
    // Non-blocking, so that a FIFO under this name holds up no thread.
    const descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)};
    struct stat s {};
    if (file.fd < 0 || ::fstat(file.fd, &s) != 0) {
        out.missing = is_missing(errno);
        out.error = "cannot be read (" + text_of(errno) + "): " +
                    (out.missing ? "put it there" : "let the user gatehouse runs as read it");
        return out;
    }
    out.stamp = stamp_of(s);
    out.shared = (s.st_mode & (S_IRGRP | S_IROTH)) != 0;
    if (!S_ISREG(s.st_mode)) {
        out.error = "is not a regular file: put the PEM file itself, or a link to it, there";
    } else if (static_cast<std::uint64_t>(s.st_size) > most_bytes) {
        out.error = "has " + std::to_string(s.st_size) + " bytes, more than the " +
                    std::to_string(most_bytes) + " allowed: keep only what belongs in it";
    } else if (!read_all(file.fd, out.text, static_cast<std::size_t>(s.st_size))) {
        out.error = "cannot be read (" + text_of(errno) + "): check the disk";
    } else if (out.text.size() > static_cast<std::size_t>(s.st_size)) {
        out.error = "grew while it was read: write a new file and rename it into place";
    }
    return out;
}

leaf_facts read_leaf_facts(const std::string& certs_dir, const std::string& file, leaf_look look) {
    const std::string path = certs_dir + '/' + file;
    file_text read = read_small_file(path, most_certificate_bytes);
    leaf_facts out{.missing = read.missing, .shared = read.shared, .error = std::move(read.error)};
    if (out.error.empty() && look == leaf_look::end) {
        out.not_after = read_end(read.text.view(), out.error);
    } else if (out.error.empty()) {
        certificate c;
        c.leaf = read_leaf(read.text.view(), out.error).release();
        if (c.leaf != nullptr) {
            out.not_after = not_after_of(c.leaf);
            out.error = name_error(c, pattern_of(file));
        }
    }
    if (!out.error.empty()) out.error = path + ": " + out.error;
    return out;
}

loaded_certificate load_certificate(const std::string& certs_dir, const std::string& file) {
    const std::string path = certs_dir + '/' + file;
    return parse_certificate_file(path, file, read_small_file(path, most_certificate_bytes));
}

loaded_certificate parse_certificate_file(const std::string& path, const std::string& file, file_text read) {
    loaded_certificate out{
        .good = nullptr, .error = {}, .missing = read.missing, .stamp = read.stamp};
    std::string error = std::move(read.error);
    if (error.empty()) out.good = parse_named(read.text, file, file, error);
    if (!error.empty() && !out.missing) out.error = path + ": " + error;
    return out;
}

loaded_certificate take_certificate(fetched_pem& text, const std::string& file) {
    loaded_certificate out{.good = nullptr,
                           .error = {},
                           .missing = text.missing,
                           .unavailable = text.unavailable,
                           .stamp = {}};
    if (out.missing || out.unavailable) return out;
    std::string error = std::move(text.error);
    if (error.empty() && text.pem.size() > most_certificate_bytes)
        error = "has " + std::to_string(text.pem.size()) + " bytes, more than the " +
                std::to_string(most_certificate_bytes) + " allowed: keep only what belongs in it";
    if (error.empty()) out.good = parse_named(text.pem, file, {}, error);
    if (!error.empty()) out.error = "certificate " + pattern_of(file) + ": " + error;
    return out;
}

}  // namespace gatehouse::tls
