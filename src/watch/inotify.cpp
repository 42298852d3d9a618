// inotify's system calls and record format.
#include "inotify.hpp"

#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>
#include <array>
#include <cstring>

namespace gatehouse::watch {
namespace {

constexpr std::uint32_t folder_events = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE |
                                        IN_CREATE | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF |
                                        IN_ONLYDIR;
constexpr std::uint32_t parent_events =
    IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ONLYDIR | IN_MASK_ADD;

// A file made by open(O_CREAT) is closed after writing; a link, hard or symbolic, never is.
bool appeared_whole(const std::string& file) {
    struct stat s {};
    return ::lstat(file.c_str(), &s) == 0 && (S_ISLNK(s.st_mode) || s.st_nlink > 1);
}

}  // namespace

inotify::inotify(std::string path) : path_(std::move(path)) {
    std::string_view trimmed = path_;
    while (trimmed.size() > 1 && trimmed.back() == '/')
        trimmed.remove_suffix(1);
    const auto slash = trimmed.rfind('/');
    base_ = trimmed.substr(slash == trimmed.npos ? 0 : slash + 1);
    parent_ = slash == trimmed.npos ? "."
              : slash == 0          ? "/"
                                    : std::string(trimmed.substr(0, slash));
    fd_ = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
}

inotify::~inotify() {
    if (fd_ >= 0) ::close(fd_);
}

bool inotify::attach() {
    if (fd_ < 0) return false;
    if (folder_watch_ >= 0) ::inotify_rm_watch(fd_, folder_watch_);
    if (parent_watch_ >= 0) ::inotify_rm_watch(fd_, parent_watch_);
    device_ = inode_ = 0;
    parent_watch_ = ::inotify_add_watch(fd_, parent_.c_str(), parent_events);
    folder_watch_ = ::inotify_add_watch(fd_, path_.c_str(), folder_events);
    struct stat s {};
    if (folder_watch_ < 0 || ::stat(path_.c_str(), &s) != 0) return false;
    device_ = s.st_dev;
    inode_ = s.st_ino;
    return true;
}

bool inotify::attached_to_path() const {
    struct stat s {};
    return inode_ != 0 && ::stat(path_.c_str(), &s) == 0 && s.st_ino == inode_ &&
           s.st_dev == device_;
}

void inotify::drain(const std::function<void(signal, std::string_view)>& tell) {
    alignas(inotify_event) std::array<char, 16 * 1024> buffer;
    for (;;) {
        const auto n = ::read(fd_, buffer.data(), buffer.size());
        if (n <= 0) return;
        for (std::size_t at = 0; at < static_cast<std::size_t>(n);) {
            inotify_event head;
            std::memcpy(&head, buffer.data() + at, sizeof head);
            const char* text = buffer.data() + at + sizeof head;
            const std::string_view name(text, head.len == 0 ? 0 : ::strnlen(text, head.len));
            at += sizeof head + head.len;
            if ((head.mask & IN_Q_OVERFLOW) != 0) {
                tell(signal::rescan, {});
            } else if (head.wd == parent_watch_ && head.wd != folder_watch_) {
                if (name == base_) tell(signal::replaced, {});
            } else if (head.wd != folder_watch_) {
                continue;  // left over from a watch that attach() gave up
            } else if ((head.mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED)) != 0) {
                device_ = inode_ = 0;  // the next folder there may get this one's number
                tell(signal::replaced, {});
            } else if (name.empty() || (head.mask & IN_ISDIR) != 0) {
                continue;
            } else if ((head.mask & (IN_DELETE | IN_MOVED_FROM)) != 0) {
                tell(signal::vanished, name);
            } else if ((head.mask & IN_CREATE) != 0) {
                if (appeared_whole(path_ + '/' + std::string(name))) tell(signal::linked, name);
            } else {
                tell((head.mask & IN_MOVED_TO) != 0 ? signal::linked : signal::touched, name);
            }
        }
    }
}

}  // namespace gatehouse::watch
