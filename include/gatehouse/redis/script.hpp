// A Lua script that Redis is told in full only when it does not know it. Thread rule: the client's.
#pragma once

#include <gatehouse/redis/client.hpp>
#include <string>

namespace gatehouse::redis {

class script {
 public:
    explicit script(std::string source);
    // EVALSHA, and EVAL where Redis answers NOSCRIPT; `deadline` is for both together. The script
    // may be gone before `done` is called, the client may not.
    void run(client& c, command keys, command arguments, milliseconds deadline,
             client::callback done) const;
    const std::string& sha1() const noexcept { return sha1_; }  // hexadecimal

 private:
    std::shared_ptr<const std::string> source_;
    std::string sha1_;
};

}  // namespace gatehouse::redis
