// Strict chunk framing (RFC 9112 7.1): each byte of framing is looked at once, data passes as
// views.
#include <algorithm>
#include <gatehouse/http/body.hpp>

#include "chars.hpp"

namespace gatehouse::http {
namespace {

constexpr std::uint8_t size_digits_max = 16;
constexpr std::uint64_t chunk_bytes_max = std::uint64_t{1} << 62;
constexpr std::uint32_t extension_bytes_max = 4 * 1024;
constexpr std::uint32_t trailer_bytes_max = 8 * 1024;

}  // namespace

void body_decoder::start(body_kind kind, std::uint64_t content_length) noexcept {
    *this = {};
    kind_ = kind;
    switch (kind) {
        case body_kind::none:
            break;
        case body_kind::length:
            remaining_ = content_length;
            at_ = content_length == 0 ? at::done : at::data;
            break;
        case body_kind::chunked:
            at_ = at::size;
            break;
        case body_kind::until_close:
            at_ = at::data;
            break;
    }
}

bool body_decoder::done() const noexcept {
    return at_ == at::done;
}

bool body_decoder::finish() noexcept {
    if (kind_ == body_kind::until_close && at_ == at::data) at_ = at::done;
    return at_ == at::done;
}

const char* body_decoder::size_ended() noexcept {
    if (remaining_ > chunk_bytes_max) return "a chunk size that is too large";
    at_ = at::size_lf;
    return nullptr;
}

const char* body_decoder::size_byte(char c) noexcept {
    const int digit = chars::hex_value(c);
    if (digit >= 0) {
        if (digits_ == size_digits_max) return "a chunk size of more than 16 digits";
        ++digits_;
        remaining_ = remaining_ * 16 + static_cast<std::uint64_t>(digit);
        at_ = at::size_digits;
        return nullptr;
    }
    if (digits_ == 0 || (c != '\r' && c != ';')) return "a malformed chunk size";
    if (c == '\r') return size_ended();
    at_ = at::extension;
    return nullptr;
}

const char* body_decoder::extension_byte(char c) noexcept {
    if (c == '\r' && at_ == at::extension) return size_ended();
    if (!chars::is(c, chars::value)) return "a control character in a chunk extension";
    if (++extension_bytes_ > extension_bytes_max) return "too many bytes of chunk extensions";
    if (at_ == at::extension_escape)
        at_ = at::extension_quoted;
    else if (at_ == at::extension_quoted && c == '\\')
        at_ = at::extension_escape;
    else if (c == '"')
        at_ = at_ == at::extension ? at::extension_quoted : at::extension;
    return nullptr;
}

const char* body_decoder::trailer_byte(char c) noexcept {
    if (at_ == at::trailer_start && c == '\r') {
        at_ = at::end_lf;
        return nullptr;
    }
    if (++trailer_bytes_ > trailer_bytes_max) return "too many bytes of trailers";
    if (at_ == at::trailer_value) {
        if (c == '\r')
            at_ = at::trailer_lf;
        else if (!chars::is(c, chars::value))
            return "a control character in a trailer";
        return nullptr;
    }
    if (chars::is(c, chars::token)) {
        at_ = at::trailer_name;
        return nullptr;
    }
    if (c != ':' || at_ == at::trailer_start) return "a malformed trailer";
    at_ = at::trailer_value;
    return nullptr;
}

// Framing bytes from input[i] on, until data, the end of the body or the end of the input.
const char* body_decoder::frame(std::string_view input, std::size_t& i) noexcept {
    for (; i < input.size() && at_ != at::data && at_ != at::done; ++i) {
        const char c = input[i];
        const char* error = nullptr;
        switch (at_) {
            case at::size:
            case at::size_digits:
                error = size_byte(c);
                break;
            case at::extension:
            case at::extension_quoted:
            case at::extension_escape:
                error = extension_byte(c);
                break;
            case at::trailer_start:
            case at::trailer_name:
            case at::trailer_value:
                error = trailer_byte(c);
                break;
            case at::data_cr:
                if (c != '\r') error = "a chunk that does not end in CRLF";
                at_ = at::data_lf;
                break;
            case at::size_lf:
            case at::data_lf:
            case at::trailer_lf:
            case at::end_lf:
                if (c != '\n') error = "a CR without LF in the chunk framing";
                if (at_ == at::size_lf)
                    at_ = remaining_ == 0 ? at::trailer_start : at::data;
                else if (at_ == at::data_lf)
                    at_ = at::size;
                else
                    at_ = at_ == at::trailer_lf ? at::trailer_start : at::done;
                digits_ = 0;
                break;
            default:
                break;
        }
        if (error != nullptr) {
            at_ = at::broken;
            return error;
        }
    }
    return nullptr;
}

body_decoder::step body_decoder::next(std::string_view input) noexcept {
    step s;
    if (at_ == at::broken) {
        s.error = "the body was refused before";
        return s;
    }
    while (at_ != at::done && s.consumed < input.size()) {
        if (at_ != at::data) {
            s.error = frame(input, s.consumed);
            if (s.error != nullptr) return s;
            continue;
        }
        if (!s.data.empty()) return s;  // the next piece is the next step's
        s.data = input.substr(s.consumed);
        if (kind_ != body_kind::until_close) {
            s.data = s.data.substr(
                0, static_cast<std::size_t>(std::min<std::uint64_t>(remaining_, s.data.size())));
            remaining_ -= s.data.size();
            if (remaining_ == 0) at_ = kind_ == body_kind::chunked ? at::data_cr : at::done;
        }
        s.consumed += s.data.size();
    }
    s.done = at_ == at::done;
    return s;
}

std::size_t write_chunk_head(char (&out)[chunk_head_capacity], std::uint64_t bytes) noexcept {
    constexpr std::string_view digits = "0123456789abcdef";
    std::size_t n = 1;
    while (n < 16 && (bytes >> (4 * n)) != 0)
        ++n;
    for (std::size_t i = 0; i < n; ++i)
        out[i] = digits[(bytes >> (4 * (n - 1 - i))) & 15];
    out[n] = '\r';
    out[n + 1] = '\n';
    return n + 2;
}

}  // namespace gatehouse::http
