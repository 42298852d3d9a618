// Request targets (RFC 9112 3.2, RFC 3986 5.2.4). `%2f` and `//` stay; `%2e` counts as a dot.
#include "target.hpp"

#include <algorithm>

#include "chars.hpp"

namespace gatehouse::http {
namespace {

// How many dots the segment is made of, written plainly or as %2e; 0 when it is anything else.
int dots_in(std::string_view segment) noexcept {
    int dots = 0;
    while (!segment.empty()) {
        if (segment[0] == '.') {
            segment.remove_prefix(1);
        } else if (segment.size() >= 3 && segment[0] == '%' && segment[1] == '2' &&
                   chars::to_lower(segment[2]) == 'e') {
            segment.remove_prefix(3);
        } else {
            return 0;
        }
        ++dots;
    }
    return dots;
}

const char* check_escapes(std::string_view path) noexcept {
    for (auto i = path.find('%'); i != std::string_view::npos; i = path.find('%', i + 3)) {
        const int high = i + 2 < path.size() ? chars::hex_value(path[i + 1]) : -1;
        const int low = i + 2 < path.size() ? chars::hex_value(path[i + 2]) : -1;
        if (high < 0 || low < 0) return "a percent sign without two hexadecimal digits in the path";
        const int byte = high * 16 + low;
        if (byte == 0 || byte == '\\') return "an encoded NUL or backslash in the path";
    }
    return nullptr;
}

// False positives are fine: they only cost the slow way.
bool may_have_dot_segment(std::string_view path) noexcept {
    for (auto i = path.find('/'); i != std::string_view::npos; i = path.find('/', i + 1))
        if (i + 1 < path.size() && (path[i + 1] == '.' || path[i + 1] == '%')) return true;
    return false;
}

// `path` begins with '/'. False when it climbs above the root.
bool resolve_dots(std::string_view path, std::string& out) {
    out.clear();
    while (!path.empty()) {
        const auto end = path.find('/', 1);
        const std::string_view segment =
            path.substr(1, end == std::string_view::npos ? end : end - 1);
        const bool last = end == std::string_view::npos;
        const int dots = dots_in(segment);
        if (dots == 2) {
            if (out.empty()) return false;
            out.resize(out.rfind('/'));
        }
        if (dots != 1 && dots != 2) {
            out.push_back('/');
            out.append(segment);
        } else if (last) {
            out.push_back('/');
        }
        path = last ? std::string_view{} : path.substr(end);
    }
    return true;
}

target_parts read_origin(std::string_view raw, std::string& storage) {
    target_parts parts;
    const std::string_view path = raw.substr(0, raw.find('?'));
    parts.path_and_query = raw;
    parts.path_bytes = path.size();
    if (path.find('%') != std::string_view::npos) parts.error = check_escapes(path);
    if (parts.error != nullptr || !may_have_dot_segment(path)) return parts;
    if (!resolve_dots(path, storage)) {
        parts.error = "the path climbs above the root";
        return parts;
    }
    parts.path_bytes = storage.size();
    storage.append(raw.substr(path.size()));
    parts.path_and_query = storage;
    return parts;
}

std::size_t scheme_bytes(std::string_view raw) noexcept {
    for (const std::string_view scheme :
         {std::string_view("http://"), std::string_view("https://")})
        if (chars::same(raw.substr(0, scheme.size()), scheme)) return scheme.size();
    return 0;
}

}  // namespace

target_parts read_target(std::string_view raw, std::string_view method, std::string& storage) {
    if (raw[0] == '/') return read_origin(raw, storage);
    if (raw == "*") {
        if (method != "OPTIONS") return {.error = "the target * belongs to OPTIONS"};
        return {.path_and_query = raw, .path_bytes = 1};
    }
    const std::size_t scheme = scheme_bytes(raw);
    if (scheme == 0) return {.error = "the request target is neither a path nor an http URL"};
    const std::string_view rest = raw.substr(scheme);
    const std::size_t authority_end = std::min(rest.find_first_of("/?"), rest.size());
    target_parts parts;
    if (authority_end == rest.size()) {
        parts.path_and_query = "/";
        parts.path_bytes = 1;
    } else if (rest[authority_end] == '/') {
        parts = read_origin(rest.substr(authority_end), storage);
    } else {
        storage.assign(1, '/').append(rest.substr(authority_end));
        parts.path_and_query = storage;
        parts.path_bytes = 1;
    }
    parts.authority = rest.substr(0, authority_end);
    return parts;
}

}  // namespace gatehouse::http
