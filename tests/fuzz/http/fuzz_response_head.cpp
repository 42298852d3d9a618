// Any bytes: the outcome does not depend on the split; what is accepted is written for the client
// as a head that this same gate accepts, with the framing that was chosen.
#include <cstdint>
#include <gatehouse/http/forward.hpp>
#include <memory>
#include <string>

#include "require.hpp"

using namespace gatehouse;
using namespace gatehouse::http;
using gatehouse::fuzz::require;

namespace {

void check_forwarded(response_head& head, bool head_request, bool client_is_10) {
    apply_connection(head);
    std::string out;
    response_forwarding f;
    f.date = "Sun, 06 Nov 1994 08:49:37 GMT";
    f.framing = client_framing(head, head_request, client_is_10 ? 0 : 1);
    f.client_is_10 = client_is_10;
    f.upgrade = head.upgrade_websocket;
    write_client_response(out, head, f);
    const head_limits wide{.head_bytes = 1 << 20, .fields = 1000, .target_bytes = 1 << 20};
    response_head again;
    head_scan scan;
    const parse_outcome o =
        parse_response(out, scan, wide, head_request, head.upgrade_websocket, again);
    require(o.what == parse_outcome::kind::complete && o.consumed == out.size());
    require(again.status == head.status && again.body == f.framing);
    require(f.framing != body_kind::length || again.content_length == head.content_length);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const bool head_request = (data[0] & 1) != 0, upgrade = (data[0] & 2) != 0,
               client_is_10 = (data[0] & 4) != 0;
    const head_limits limits{.head_bytes = 4096, .fields = 20};
    const std::string bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
    response_head head;
    head_scan scan;
    const parse_outcome whole = parse_response(bytes, scan, limits, head_request, upgrade, head);
    require(whole.what != parse_outcome::kind::refused ||
            whole.refused == problem::upstream_failed);
    for (const std::size_t step : {1, 3, 50}) {
        response_head pieces;
        head_scan pieces_scan;
        parse_outcome o;
        for (std::size_t given = 0;
             o.what == parse_outcome::kind::need_more && given < bytes.size();) {
            given = std::min(bytes.size(), given + step);
            o = parse_response({bytes.data(), given}, pieces_scan, limits, head_request, upgrade,
                               pieces);
        }
        require(o.what == whole.what && o.consumed == whole.consumed &&
                std::string_view(o.detail) == whole.detail);
    }
    if (whole.what == parse_outcome::kind::complete)
        check_forwarded(head, head_request, client_is_10);
    return 0;
}
