// Any bytes as a request's target, as far as the character gate lets them through: the path that comes of it has no dot
// segments and does not change when it is read once more; and with a route's prefixes put before and taken off, no server
// that decodes once leaves the prefix.
#include <cstdint>
#include <gatehouse/http/head.hpp>
#include <gatehouse/tenant/decide.hpp>
#include <string>
#include <string_view>

#include "require.hpp"
#include "target.hpp"

using namespace gatehouse;
using fuzz::require;

namespace {

int hex(char c) {
    const char lower = static_cast<char>(c | 0x20);
    return c >= '0' && c <= '9' ? c - '0' : lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// As a server does that decodes the whole path before it looks at its segments.
std::string decoded(std::string_view path) {
    std::string out;
    for (std::size_t i = 0; i < path.size(); ++i) {
        const bool escape = path[i] == '%' && i + 2 < path.size() && hex(path[i + 1]) >= 0 && hex(path[i + 2]) >= 0;
        out += escape ? static_cast<char>(hex(path[i + 1]) * 16 + hex(path[i + 2])) : path[i];
        if (escape) i += 2;
    }
    return out;
}

template <class Take>
void each_segment(std::string_view path, Take take) {
    for (std::size_t at = 0; at < path.size();) {
        const auto end = std::min(path.find('/', at + 1), path.size());
        take(path.substr(at + 1, end - at - 1));
        at = end;
    }
}

// How deep below its beginning the path comes at its highest, empty segments dropped.
long highest(std::string_view path) {
    long depth = 0, least = 0;
    each_segment(path, [&](std::string_view s) {
        if (s == "..") least = std::min(least, --depth);
        else if (!s.empty() && s != ".") ++depth;
    });
    return least;
}

bool is_visible(std::string_view raw) {
    for (const char c : raw)
        if (c <= 0x20 || c >= 0x7f || c == '\\' || c == '#') return false;
    return !raw.empty();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string raw(reinterpret_cast<const char*>(data), size);
    if (!is_visible(raw)) return 0;
    std::string storage;
    const auto t = http::read_target(raw, "GET", storage);
    if (t.error != nullptr || raw == "*") return 0;
    const std::string whole(t.path_and_query);
    require(t.path_bytes >= 1 && t.path_bytes <= whole.size() && whole[0] == '/');
    require(t.path_bytes == whole.size() || whole[t.path_bytes] == '?');
    const std::string_view path = std::string_view(whole).substr(0, t.path_bytes);
    each_segment(path, [](std::string_view s) {
        const auto plain = decoded(s);
        require(plain != "." && plain != "..");
    });
    std::string again_storage;
    const auto again = http::read_target(whole, "GET", again_storage);
    require(again.error == nullptr && again.path_and_query == whole && again.path_bytes == t.path_bytes);

    tenant::effective_route r;
    for (const char* strip : {"", "/api", "/a/"}) {
        r.spec.strip_prefix = strip;
        r.spec.add_prefix = "/v1/inner";
        std::string out;
        const bool stays = tenant::rewrite_target(r, whole, out);
        const std::string_view there = std::string_view(out).substr(0, std::min(out.find('?'), out.size()));
        require(there == "/v1/inner" || there.starts_with("/v1/inner/"));
        if (stays) require(highest(decoded(there.substr(9))) == 0);
    }
    return 0;
}
