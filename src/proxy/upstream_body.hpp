// A response's body as it arrives from the upstream, piece by piece, decoded in place in the
// buffer that the head came in. The loop's thread alone.
#pragma once

#include <gatehouse/http/body.hpp>
#include <gatehouse/net/buffer.hpp>
#include <gatehouse/net/stream.hpp>
#include <gatehouse/net/task.hpp>

#include "failure.hpp"

namespace gatehouse::proxy {

class upstream_body {
   public:
    // `in` holds what was read behind the head; nothing in front of that is moved before next(wait::yes).
    upstream_body(net::stream& from, net::buffer& in, const http::response_head& head, std::int64_t idle_ns)
        : from_(from), in_(in), idle_ns_(idle_ns) {
        decoder_.start(head.body, head.content_length);
    }

    struct piece {
        failure f;
        std::string_view data;   // holds until the next call
        bool last = false;
    };
    enum class wait : std::uint8_t { no, yes };
    // What of the body lies in the buffer, or, if it may wait, the next to arrive.
    net::task<piece> next(wait w);

   private:
    bool ends_here();
    net::task<net::io_result> read();

    net::stream& from_;
    net::buffer& in_;
    const std::int64_t idle_ns_;
    http::body_decoder decoder_;
};

}  // namespace gatehouse::proxy
