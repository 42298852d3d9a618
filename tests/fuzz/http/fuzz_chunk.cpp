// Any bytes as a chunked body: the data, the end and the verdict do not depend on the split;
// written anew in our own framing the data decodes to itself.
#include <cstdint>
#include <gatehouse/http/body.hpp>
#include <string>

#include "require.hpp"

using namespace gatehouse::http;
using gatehouse::fuzz::require;

namespace {

struct decoded {
    std::string data;
    bool done = false, refused = false;
    std::size_t consumed = 0;
};

decoded decode(std::string_view bytes, std::size_t piece_bytes) {
    body_decoder decoder;
    decoder.start(body_kind::chunked, 0);
    decoded d;
    while (d.consumed < bytes.size() && !d.done && !d.refused) {
        const std::string_view piece = bytes.substr(d.consumed, piece_bytes);
        const auto step = decoder.next(piece);
        require(step.consumed <= piece.size() && step.data.size() <= step.consumed);
        d.data += step.data;
        d.consumed += step.consumed;
        d.done = step.done;
        d.refused = step.error != nullptr;
        require(step.consumed != 0 || d.refused);
    }
    require(decoder.done() == d.done);
    return d;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string bytes(reinterpret_cast<const char*>(data), size);
    const decoded whole = decode(bytes, size);
    for (const std::size_t piece : {1, 2, 5, 33}) {
        const decoded d = decode(bytes, piece);
        require(d.done == whole.done && d.refused == whole.refused && d.data == whole.data);
        require(!d.done || d.consumed == whole.consumed);
    }
    std::string again;
    if (!whole.data.empty()) {
        char head[chunk_head_capacity];
        again.append(head, write_chunk_head(head, whole.data.size()))
            .append(whole.data)
            .append(chunk_tail);
    }
    again.append(last_chunk);
    const decoded d = decode(again, again.size());
    require(d.done && d.data == whole.data && d.consumed == again.size());
    return 0;
}
