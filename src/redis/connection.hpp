// One hiredis context on Asio, from its connecting to its end; never connects again. What hiredis
// calls back is only noted: the owner hears of it when hiredis has returned, so that it may send,
// close or go away. Thread rule: the io_context's.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <deque>
#include <functional>
#include <gatehouse/redis/client.hpp>
#include <memory>
#include <string>
#include <utility>

#include "reader.hpp"

struct redisAsyncContext;

namespace gatehouse::redis {

class connection : public std::enable_shared_from_this<connection> {
 public:
    // `on_progress`: connected, replies or the end have come; not from within a call of the
    // owner's.
    connection(boost::asio::io_context& io, std::uint64_t reply_bytes_max,
               std::function<void()> on_progress);
    ~connection();
    connection(const connection&) = delete;
    connection& operator=(const connection&) = delete;

    // Begins to connect to a numeric address, or with port 0 to a socket's path; "" or why that
    // failed at once.
    std::string open(const config::redis_url::server& s);
    // False when it has ended.
    bool write(command c);
    // on_progress is not called after this.
    void close() noexcept;

    bool connected() const noexcept { return connected_; }
    bool ended() const noexcept { return context_ == nullptr; }
    bool ended_by_size() const noexcept { return builder_.too_large(); }
    std::string why() const;  // it ended
    std::deque<reply> take_replies() { return std::exchange(replies_, {}); }

 private:
    struct hooks;
    using handle = void(redisAsyncContext*);

    void arm();
    void run(handle* h);
    void free_context() noexcept;

    boost::asio::posix::stream_descriptor descriptor_;  // hiredis owns what it stands for
    std::function<void()> on_progress_;
    reply_builder builder_;
    redisAsyncContext* context_ = nullptr;
    bool connected_ = false, out_of_memory_ = false;
    bool want_read_ = false, want_write_ = false, waits_read_ = false, waits_write_ = false;
    std::deque<reply> replies_;
    std::string why_;
};

}  // namespace gatehouse::redis
