// The strict framing gate (RFC 9112 section 6, without its leniencies).
#include "gate.hpp"

#include "chars.hpp"

namespace gatehouse::http {
namespace {

constexpr std::size_t length_digits_max = 19;  // always fits 64 bits

void read_connection(std::string_view value, framing_fields& f) noexcept {
    chars::for_each_element(value, [&f](std::string_view token) {
        if (chars::same(token, "close")) f.close = true;
        if (chars::same(token, "keep-alive")) f.keep_alive = true;
        if (chars::same(token, "upgrade")) f.upgrade_named = true;
        return true;
    });
}

framing_verdict refuse(const char* detail) noexcept {
    return {.refused = problem::bad_request, .detail = detail};
}

framing_verdict judge_coding(const framing_fields& f, std::uint8_t minor_version) noexcept {
    if (minor_version == 0) return refuse("Transfer-Encoding in HTTP/1.0");
    if (f.content_lengths != 0) return refuse("Transfer-Encoding together with Content-Length");
    if (f.transfer_encodings != 1) return refuse("more than one Transfer-Encoding");
    if (chars::same(f.transfer_encoding, "chunked")) return {.body = body_kind::chunked};
    if (f.transfer_encoding.empty() || !chars::all(f.transfer_encoding, chars::token))
        return refuse("a Transfer-Encoding other than chunked alone");
    return {.refused = problem::unknown_coding,
            .detail = "the only transfer coding known here is chunked"};
}

}  // namespace

framing_fields collect(const std::vector<field>& fields) noexcept {
    framing_fields f;
    for (const field& one : fields) {
        switch (one.id) {
            case known::host:
                f.host = &one;
                ++f.hosts;
                break;
            case known::transfer_encoding:
                f.transfer_encoding = one.value;
                ++f.transfer_encodings;
                break;
            case known::content_length:
                f.content_length = one.value;
                ++f.content_lengths;
                break;
            case known::connection:
                read_connection(one.value, f);
                break;
            case known::upgrade:
                f.websocket = chars::same(one.value, "websocket");
                ++f.upgrades;
                break;
            case known::expect:
                f.expects = true;
                f.expects_other |= !chars::same(one.value, "100-continue");
                break;
            case known::date:
                f.date = true;
                break;
            default:
                break;
        }
    }
    return f;
}

framing_verdict judge_framing(const framing_fields& f, std::uint8_t minor_version) noexcept {
    if (f.transfer_encodings != 0) return judge_coding(f, minor_version);
    if (f.content_lengths == 0) return {};
    if (f.content_lengths != 1) return refuse("more than one Content-Length");
    if (f.content_length.empty() || f.content_length.size() > length_digits_max ||
        !chars::all(f.content_length, chars::digit))
        return refuse("a Content-Length that is not 1 to 19 digits");
    framing_verdict v{.body = body_kind::length};
    for (const char c : f.content_length)
        v.content_length = v.content_length * 10 + static_cast<std::uint64_t>(c - '0');
    return v;
}

}  // namespace gatehouse::http
