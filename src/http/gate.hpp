// What the fields of a head say about framing and the connection, for requests and responses alike.
#pragma once

#include <gatehouse/http/head.hpp>
#include <string_view>
#include <vector>

namespace gatehouse::http {

struct framing_fields {
    const field* host = nullptr;
    std::string_view transfer_encoding, content_length;
    std::size_t hosts = 0, transfer_encodings = 0, content_lengths = 0, upgrades = 0;
    bool close = false, keep_alive = false, upgrade_named = false;  // tokens of Connection
    bool websocket = false;  // the last Upgrade is exactly that
    bool date = false;
    bool expects = false, expects_other = false;
};
framing_fields collect(const std::vector<field>& fields) noexcept;

// The framing that Transfer-Encoding and Content-Length give; `none` when there is neither.
struct framing_verdict {
    problem refused = problem::none;
    const char* detail = "";
    body_kind body = body_kind::none;
    std::uint64_t content_length = 0;
};
framing_verdict judge_framing(const framing_fields& f, std::uint8_t minor_version) noexcept;

// Would the sender of these use the connection again?
inline bool persistent(const framing_fields& f, std::uint8_t minor_version) noexcept {
    return !f.close && (minor_version == 1 || f.keep_alive);
}

}  // namespace gatehouse::http
