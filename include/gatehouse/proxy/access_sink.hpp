// Where the access log's lines go: a file or standard output, written to without waiting. Not when,
// nor what is lost (access_log.hpp). One thread at a time.
#pragma once

#include <sys/types.h>
#include <sys/uio.h>

#include <gatehouse/base/error.hpp>
#include <memory>
#include <string>

namespace gatehouse::proxy {

class access_sink {
 public:
    // `path`: "stdout", or a file (made with mode 0640, appended to). Null with `ec` when it cannot
    // be opened. Blocking.
    static std::unique_ptr<access_sink> open(const std::string& path, error_code& ec);
    ~access_sink();
    access_sink(const access_sink&) = delete;
    access_sink& operator=(const access_sink&) = delete;

    // As writev(2): what it took, which may be less; -1 with errno, EAGAIN: poll descriptor().
    ssize_t write(const iovec* pieces, int count) const noexcept;
    // Takes back the last bytes written, where it is a file and nobody wrote behind them.
    bool take_back(std::size_t bytes) const noexcept;
    int descriptor() const noexcept { return fd_; }
    const std::string& path() const noexcept { return path_; }
    bool is_file() const noexcept { return path_ != "stdout"; }

 private:
    explicit access_sink(std::string path) : path_(std::move(path)) {}
    void open_standard() noexcept;

    const std::string path_;
    int fd_ = -1;
    bool is_socket_ = false;
    bool small_writes_ = false;  // a blocking pipe: only what a poll has promised to take
};

}  // namespace gatehouse::proxy
