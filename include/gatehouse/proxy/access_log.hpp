// The access log: a JSON line an exchange. Each worker formats into its own ring; one thread writes
// what the rings hold, a few times a second. A slow or full sink costs lines, which are counted,
// never time. Any thread; take and stop from one.
#pragma once

#include <cstdint>
#include <gatehouse/proxy/access_ring.hpp>
#include <gatehouse/proxy/access_sink.hpp>
#include <memory>
#include <string>

namespace gatehouse::proxy {

class access_log {
 public:
    // `path`: "off", or as access_sink::open. Throws std::system_error when it cannot be opened or no
    // thread can be started.
    explicit access_log(const std::string& path);
    ~access_log();  // stop()
    access_log(const access_log&) = delete;
    access_log& operator=(const access_log&) = delete;

    // One a worker, before or after start. Lives as long as the log.
    access_ring* make_ring();
    // Lines go to this sink from the writer's next look on, which is at once; null: nowhere. What was
    // committed before goes to the one before.
    void take(std::unique_ptr<access_sink> next);
    // Opens the file anew before the next line (log rotation); on failure goes on with the old one.
    void reopen() noexcept;
    // Writes what is left, for at most a second, and ends the writer. Workers must have stopped.
    void stop() noexcept;

    std::uint64_t lines_written() const noexcept;
    // Lines that the sink did not take (full disk, stopped reader). Those that found a ring full
    // are counted by the ring and by the worker's log_dropped.
    std::uint64_t lines_lost() const noexcept;

 private:
    struct writer;
    std::shared_ptr<writer> writer_;
};

}  // namespace gatehouse::proxy
