// Any bytes: the outcome does not depend on the split; what is accepted is written for upstream as
// a head that this same strict gate accepts, with the same framing and without what a client must
// not say.
#include <cstdint>
#include <gatehouse/base/text.hpp>
#include <gatehouse/http/forward.hpp>
#include <memory>
#include <string>

#include "require.hpp"

using namespace gatehouse;
using namespace gatehouse::http;
using gatehouse::fuzz::require;

namespace {

head_limits limits_of(std::uint8_t choice) {
    head_limits limits;
    limits.underscore_fields = static_cast<head_limits::underscores>(choice % 3);
    if ((choice & 4) != 0)
        limits = {.head_bytes = 160,
                  .fields = 4,
                  .target_bytes = 24,
                  .underscore_fields = limits.underscore_fields};
    return limits;
}

parse_outcome parse_in_steps(std::string_view bytes, std::size_t step, const head_limits& limits,
                             request_head& head) {
    head_scan scan;
    parse_outcome o;
    std::unique_ptr<std::string> piece, before;
    for (std::size_t given = 0; o.what == parse_outcome::kind::need_more && given < bytes.size();) {
        given = std::min(bytes.size(), given + step);
        before = std::move(piece);
        piece = std::make_unique<std::string>(bytes.substr(0, given));
        o = parse_request(*piece, scan, limits, head);
    }
    return o;
}

bool is_context_name(std::string_view name) {
    std::string folded(name.substr(0, 9));
    for (char& c : folded) c = c == '_' ? '-' : ascii_lower(c);
    return folded == "x-tenant-";
}

void check_forwarded(request_head& head) {
    if (!apply_connection(head, "X-Tenant-")) return;
    request_forwarding f;
    f.target = head.path_and_query;
    f.host = "up.example";
    f.client_ip = "192.0.2.1";
    f.scheme = "https";
    f.original_host = head.authority;
    f.context_prefix = "X-Tenant-";
    f.context_fields = "X-Tenant-Id: acme\r\n";
    f.via = "1.1 gatehouse (f1)";
    f.upgrade = head.upgrade_websocket;
    std::string out;
    write_upstream_request(out, head, f);

    head_limits wide{.head_bytes = 1 << 20, .fields = 1000, .target_bytes = 1 << 20};
    wide.underscore_fields = head_limits::underscores::pass;
    request_head again;
    head_scan scan;
    const parse_outcome o = parse_request(out, scan, wide, again);
    require(o.what == parse_outcome::kind::complete && o.consumed == out.size());
    require(again.method == head.method && again.path_and_query == head.path_and_query &&
            again.host == "up.example");
    require(again.body == head.body && again.content_length == head.content_length);
    require(again.upgrade_websocket == head.upgrade_websocket);
    std::size_t context = 0;
    for (const field& one : again.fields) context += is_context_name(one.name) ? 1 : 0;
    require(context == 1);
    require(via_loops(again, "gatehouse", "f1"));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const head_limits limits = limits_of(data[0]);
    const std::string bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
    request_head head;
    head_scan scan;
    const parse_outcome whole = parse_request(bytes, scan, limits, head);
    for (const std::size_t step : {1, 2, 7, 64}) {
        request_head pieces;
        const parse_outcome o = parse_in_steps(bytes, step, limits, pieces);
        require(o.what == whole.what && o.consumed == whole.consumed && o.refused == whole.refused);
        require(std::string_view(o.detail) == whole.detail);
        require(pieces.fields.size() == head.fields.size() ||
                whole.what == parse_outcome::kind::refused);
    }
    if (whole.what == parse_outcome::kind::complete) check_forwarded(head);
    return 0;
}
