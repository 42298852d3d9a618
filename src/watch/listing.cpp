// Reading a folder with the stamps of its files.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <algorithm>
#include <cerrno>
#include <gatehouse/watch/listing.hpp>
#include <memory>

namespace gatehouse::watch {
namespace {

std::int64_t nanoseconds_of(const timespec& t) noexcept {
    return static_cast<std::int64_t>(t.tv_sec) * 1'000'000'000 + t.tv_nsec;
}

// Coarser than what any file system keeps times by.
constexpr std::int64_t doubt_ns = 2'000'000'000;

// Finalizer of splitmix64.
constexpr std::uint64_t mix(std::uint64_t n) noexcept {
    n = (n ^ (n >> 30)) * 0xbf58476d1ce4e5b9U;
    n = (n ^ (n >> 27)) * 0x94d049bb133111ebU;
    return n ^ (n >> 31);
}

// Gone since it was read, or a link that dangles. Any other error says nothing about the file.
bool leads_nowhere(int error) noexcept {
    return error == ENOENT || error == ENOTDIR || error == ELOOP;
}

struct folder_closer {
    void operator()(DIR* d) const noexcept { ::closedir(d); }
};

}  // namespace

bool counts(std::string_view name, std::string_view suffix) noexcept {
    if (name.size() <= suffix.size() || name.front() == '.' || name.back() == '~') return false;
    return name.ends_with(suffix) && !name.ends_with(".swp") && !name.ends_with(".tmp");
}

stamp stamp_of(const struct stat& s) noexcept {
    return {.device = s.st_dev,
            .inode = s.st_ino,
            .size_bytes = static_cast<std::uint64_t>(s.st_size),
            .modified_ns = nanoseconds_of(s.st_mtim),
            .changed_ns = nanoseconds_of(s.st_ctim)};
}

std::uint64_t digest_of(const stamp& s, std::int64_t looked_at_ns) noexcept {
    if (std::max(s.modified_ns, s.changed_ns) > looked_at_ns - doubt_ns) return 0;
    std::uint64_t h = 0;
    for (const auto part : {s.inode, s.size_bytes, static_cast<std::uint64_t>(s.modified_ns),
                            static_cast<std::uint64_t>(s.changed_ns)})
        h = mix(h + part + 0x9e3779b97f4a7c15U);
    return h == 0 ? 1 : h;
}

bool listing::contains(std::string_view name) const noexcept {
    const auto at =
        std::lower_bound(rows_.begin(), rows_.end(), name,
                         [this](const row& r, std::string_view n) { return name_of(r) < n; });
    return at != rows_.end() && name_of(*at) == name;
}

void listing::add(std::string_view name, const watch::stamp& s) {
    rows_.push_back(
        {.at = names_.size(), .name_bytes = static_cast<std::uint32_t>(name.size()), .stamp = s});
    names_ += name;
}

void listing::sort() {
    std::sort(rows_.begin(), rows_.end(),
              [this](const row& a, const row& b) { return name_of(a) < name_of(b); });
    rows_.shrink_to_fit();
    names_.shrink_to_fit();
}

result<listing> list_folder(const std::string& path, std::string_view suffix) {
    std::unique_ptr<DIR, folder_closer> folder(::opendir(path.c_str()));
    if (!folder) return error_code(errno, boost::system::system_category());
    listing found;
    for (;;) {
        errno = 0;
        const dirent* entry = ::readdir(folder.get());
        if (entry == nullptr) break;
        if (!counts(entry->d_name, suffix)) continue;
        struct stat s {};
        if (::fstatat(::dirfd(folder.get()), entry->d_name, &s, 0) != 0) {
            if (leads_nowhere(errno)) continue;
            break;
        }
        if (!S_ISDIR(s.st_mode)) found.add(entry->d_name, stamp_of(s));
    }
    // Half a listing would look like files that vanished.
    if (errno != 0) return error_code(errno, boost::system::system_category());
    found.sort();
    return found;
}

}  // namespace gatehouse::watch
