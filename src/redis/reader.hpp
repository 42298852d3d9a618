// Makes hiredis's reader build redis::reply values in place, within a bound on their bytes.
// One thread at a time.
#pragma once

#include <cstdint>
#include <gatehouse/redis/reply.hpp>
#include <string>

struct redisReader;

namespace gatehouse::redis {

// Outlives the reader it is attached to.
class reply_builder {
 public:
    explicit reply_builder(std::uint64_t bytes_max);
    void attach(redisReader& r) noexcept;

    // A reply may begin only while one is expected.
    void expect() noexcept { ++expected_; }
    // A reply has come whole.
    void complete() noexcept {
        --expected_;
        bytes_ = 0;
    }
    // Whether what has come of the reply that is being read is within the bound; false for ever
    // after.
    bool within_bound(const redisReader& r) noexcept;

    bool too_large() const noexcept { return too_large_; }
    // Redis said something without being asked, which was refused.
    bool unasked() const noexcept { return unasked_; }
    const std::string& unasked_text() const noexcept { return unasked_text_; }

 private:
    struct functions;
    bool charge(std::uint64_t bytes) noexcept;

    const std::uint64_t bytes_max_;
    std::uint64_t bytes_ = 0;  // of the reply that is being read
    std::uint64_t expected_ = 0;
    bool too_large_ = false, unasked_ = false;
    std::string unasked_text_;
};

}  // namespace gatehouse::redis
