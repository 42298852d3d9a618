// Socket operations of chosen descriptors that fail on demand: the program's calls are caught by
// the linker (--wrap), so that its code is as it ships. One thread; for tests that run on one loop.
#pragma once

#include <cstddef>
#include <gatehouse/base/error.hpp>

namespace gatehouse::proxy::test::faults {

enum class how {
    reset,        // ECONNRESET, and the connection is gone, with an event, as when a reset came
    broken_pipe,  // EPIPE, likewise
    no_buffers,   // ENOBUFS; other operations go on working
    again,        // EAGAIN, and an event tells at once that it is worth another try
    one_byte,     // a byte goes through, no more, and again an event follows
};

// Operations are counted from 0: recv, send, sendmsg of a watched descriptor; where a failure is
// final also connect, epoll_ctl's ADD, and SSL_new of anybody.
struct plan {
    how what = how::reset;
    std::size_t at = 0;
    bool and_all_after = false;
};

void arm(
    const plan& p);  // counts anew; sockets that connect from now on are watched: the upstream's
void watch(int fd, side whose);  // until it is closed
void disarm();
std::size_t operations();  // counted since arm()
side struck_side();        // whose socket failed first since arm(); gateway: none did

}  // namespace gatehouse::proxy::test::faults
