// Reading a folder with the stamps of its files.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <cerrno>
#include <gatehouse/watch/listing.hpp>
#include <memory>

namespace gatehouse::watch {
namespace {

std::int64_t nanoseconds_of(const timespec& t) noexcept {
    return static_cast<std::int64_t>(t.tv_sec) * 1'000'000'000 + t.tv_nsec;
}

struct folder_closer {
    void operator()(DIR* d) const noexcept { ::closedir(d); }
};

}  // namespace

bool counts(std::string_view name, std::string_view suffix) noexcept {
    if (name.size() <= suffix.size() || name.front() == '.' || name.back() == '~') return false;
    return name.ends_with(suffix) && !name.ends_with(".swp") && !name.ends_with(".tmp");
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
        if (::fstatat(::dirfd(folder.get()), entry->d_name, &s, 0) != 0 || S_ISDIR(s.st_mode)) {
            errno = 0;
            continue;
        }
        found.emplace(entry->d_name, stamp{.device = s.st_dev,
                                           .inode = s.st_ino,
                                           .size_bytes = static_cast<std::uint64_t>(s.st_size),
                                           .modified_ns = nanoseconds_of(s.st_mtim),
                                           .changed_ns = nanoseconds_of(s.st_ctim)});
    }
    // Half a listing would look like files that vanished.
    if (errno != 0) return error_code(errno, boost::system::system_category());
    return found;
}

}  // namespace gatehouse::watch
