// Any bytes as a PROXY header: never read beyond, the verdict does not depend on the pieces they
// come in, and what was read is read again when written anew.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <gatehouse/http/proxy_header.hpp>
#include <memory>
#include <string>

#include "require.hpp"

using namespace gatehouse::http;
using gatehouse::fuzz::require;
using kind = proxy_header_outcome::kind;

namespace {

// As a reader does it: up to what belongs to the header for certain, `piece_bytes` at a time.
proxy_header_outcome read(std::string_view bytes, std::size_t piece_bytes) {
    proxy_header h;
    std::size_t have = 0;
    for (;;) {
        const std::unique_ptr<char[]> copy(new char[have + 1]);  // so that a sanitizer sees its end
        std::memcpy(copy.get(), bytes.data(), have);
        const auto o = parse_proxy_header({copy.get(), have}, h);
        if (o.what != kind::incomplete || have == bytes.size()) return o;
        require(o.bytes > have && o.bytes <= proxy_header_bytes_max);
        have = std::min({bytes.size(), o.bytes, have + piece_bytes});
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string bytes(reinterpret_cast<const char*>(data), size);
    proxy_header h;
    const auto whole = parse_proxy_header(bytes, h);
    for (const std::size_t piece : {1, 3, 16, 536}) {
        const auto o = read(bytes, piece);
        require(o.what == whole.what);
        require(o.what != kind::refused || o.refused == whole.refused);
        require(o.what != kind::complete || o.bytes == whole.bytes);
    }
    if (whole.what != kind::complete) return 0;
    require(whole.bytes <= size);
    std::string again;
    write_proxy_header(again, h);
    proxy_header back;
    const auto o = parse_proxy_header(again, back);
    require(o.what == kind::complete && o.bytes == again.size());
    require(back.has_addresses == h.has_addresses && back.relayed_by == h.relayed_by);
    require(!h.has_addresses ||
            (back.source == h.source && back.destination == h.destination &&
             back.source_port == h.source_port && back.destination_port == h.destination_port));
    return 0;
}
