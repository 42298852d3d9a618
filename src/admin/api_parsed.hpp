// What the handlers of the API share: the request taken apart, and the usual answers.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "access.hpp"
#include "api.hpp"
#include "json.hpp"

namespace gatehouse::admin {

// The target taken apart: decoded segments and query, and what the pattern's {id} and {address}
// stood for.
struct api::parsed {
    std::vector<std::string> segments;
    std::vector<std::pair<std::string, std::string>> query;
    std::string id, address;
    std::string_view if_none_match;
    std::string_view if_match, content_type, body, client, request_id, idempotency_key, method;
    identity who;
    bool loaded = false;  // once_loaded() has done what it can

    const std::string* find(std::string_view key) const noexcept {
        for (const auto& [k, v] : query) {
            if (k == key) return &v;
        }
        return nullptr;
    }
    std::string_view get(std::string_view key) const noexcept {
        const auto* v = find(key);
        return v == nullptr ? std::string_view{} : std::string_view(*v);
    }
    registry::author author() const {
        return {.who = who.who, .from = std::string(client), .request_id = std::string(request_id)};
    }
};

api_answer json_answer(const json::value& v, unsigned status = 200);
api_answer not_found(std::string_view detail);
// Of a tenant that is not there, or not for the caller to see: the same bytes.
api_answer no_tenant();
api_answer forbidden(needs n, const identity& who);
// Why nothing was changed: 503.
api_answer not_kept(std::string_view why);
api_answer bad_query(std::string_view detail);
api_answer bad_limit();
bool is_id(std::string_view s) noexcept;  // [a-z0-9-]{1,63}, no '-' at an end
std::optional<std::size_t> to_number(std::string_view text) noexcept;
// Of a query: "1" or "true", and "0", "false" or nothing. Another word is no answer.
std::optional<bool> flag(std::string_view word) noexcept;
// Of a body that is one JSON object; else `wrong` says what to send.
struct read_body {
    json::object object;
    std::optional<api_answer> wrong;
};
read_body body_of(std::string_view content_type, std::string_view body);
// `wrong` with places in the document.
struct document_error {
    std::string pointer, detail;  // RFC 6901
};
api_answer document_problem(unsigned status, std::string_view type, std::string_view title, std::string_view detail,
                            const std::vector<document_error>& errors);

// Now and what `expires_in` says, up to ten years; else an error of that key.
std::optional<tenant::utc_time> end_of_life(std::string_view expires_in, std::vector<document_error>& errors);

}  // namespace gatehouse::admin
