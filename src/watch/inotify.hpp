// One inotify queue with two watches: a folder, and the folder its name (or link) lies in.
// Turns the kernel's records into signals; no timers, no listings. One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace gatehouse::watch {

enum class signal : std::uint8_t {
    touched,   // a file's contents, mode or name may be new
    vanished,  // a name is away
    linked,    // a name that does not count appeared: perhaps a link that others lead through
    rescan,    // the queue overflowed
    replaced,  // the folder itself was moved, deleted, or its name leads elsewhere
};

class inotify {
 public:
    explicit inotify(std::string path);
    ~inotify();
    inotify(const inotify&) = delete;
    inotify& operator=(const inotify&) = delete;

    int descriptor() const noexcept { return fd_; }  // -1: the system has no more
    // Watches what the path leads to now. False: it leads nowhere.
    bool attach();
    // True while the path leads to the folder that is watched.
    bool attached_to_path() const;
    // Reads what is queued; never blocks.
    void drain(const std::function<void(signal, std::string_view name)>& tell);

 private:
    const std::string path_;
    std::string parent_, base_;
    int fd_ = -1, folder_watch_ = -1, parent_watch_ = -1;
    std::uint64_t device_ = 0, inode_ = 0;
};

}  // namespace gatehouse::watch
