// flock on state_dir/lock, with the owner's process id in it for whoever comes second.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cerrno>
#include <cstring>
#include <gatehouse/store/state_lock.hpp>
#include <utility>

namespace gatehouse::store {
namespace {

error_code system_error(int number) {
    return {number, boost::system::system_category()};
}

// Parents get the usual mode, the last folder 0700.
int make_folder(const std::string& path) {
    for (std::size_t slash = path.find('/', 1); slash != path.npos;
         slash = path.find('/', slash + 1))
        if (::mkdir(path.substr(0, slash).c_str(), 0755) != 0 && errno != EEXIST) return errno;
    if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return errno;
    return 0;
}

std::string owner_of(int fd) {
    char text[32] = {};
    const auto n = ::pread(fd, text, sizeof text - 1, 0);
    std::string owner(text, n > 0 ? static_cast<std::size_t>(n) : 0);
    while (!owner.empty() && owner.back() == '\n')
        owner.pop_back();
    return owner;
}

}  // namespace

state_lock::state_lock(state_lock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
state_lock& state_lock::operator=(state_lock&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
}
state_lock::~state_lock() {
    if (fd_ >= 0) ::close(fd_);
}

result<state_lock> state_lock::acquire(const std::string& state_dir, std::string& why) {
    if (const int number = make_folder(state_dir); number != 0) {
        why = fmt::format("state_dir {} cannot be made: {}", state_dir, std::strerror(number));
        return system_error(number);
    }
    const std::string file = state_dir + "/lock";
    state_lock lock;
    lock.fd_ = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock.fd_ < 0) {
        const int number = errno;
        why = fmt::format("{} cannot be opened: {}", file, std::strerror(number));
        return system_error(number);
    }
    if (::flock(lock.fd_, LOCK_EX | LOCK_NB) != 0) {
        const int number = errno;
        if (number == EWOULDBLOCK) {
            why = fmt::format("state_dir {} is in use by another node (process {})", state_dir,
                              owner_of(lock.fd_));
            return make_error_code(errc::refused);
        }
        why = fmt::format("{} cannot be locked: {}", file, std::strerror(number));
        return system_error(number);
    }
    lock.own();
    return lock;
}

// flock's owner is the open file: whoever has a descriptor of it holds the lock.
result<state_lock> state_lock::share(int fd, const std::string& state_dir, std::string& why) {
    state_lock lock;
    lock.fd_ = fd;
    struct stat handed {}, wanted {};
    if (::fstat(fd, &handed) == 0 && ::stat((state_dir + "/lock").c_str(), &wanted) == 0 && handed.st_dev == wanted.st_dev &&
        handed.st_ino == wanted.st_ino)
        return lock;
    return acquire(state_dir, why);
}

// Only for the message above; a full disk does not matter here.
void state_lock::own() {
    const auto owner = fmt::format("{}\n", ::getpid());
    if (::ftruncate(fd_, 0) == 0)
        if (::pwrite(fd_, owner.data(), owner.size(), 0) < 0) return;
}

}  // namespace gatehouse::store
