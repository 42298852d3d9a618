// The upstream's target: a prefix taken off, another put before.
#include <gatehouse/base/text.hpp>
#include <gatehouse/tenant/decide.hpp>

namespace gatehouse::tenant {
namespace {

std::string_view without_slashes_behind(std::string_view s) noexcept {
    while (s.ends_with('/'))
        s.remove_suffix(1);
    return s;
}

bool escape_at(std::string_view s, char high, char low) noexcept {
    return s.size() >= 3 && s[0] == '%' && s[1] == high && ascii_lower(s[2]) == low;
}

// '/' plain or as %2f: 1 or 3 bytes; otherwise 0.
std::size_t slash_bytes(std::string_view s) noexcept {
    if (s.starts_with('/')) return 1;
    return escape_at(s, '2', 'f') ? 3 : 0;
}

// How many dots the segment is made of, plain or as %2e; -1 when of anything else. What follows a
// semicolon does not count: some servers drop it before they look at the dots ("..;/").
int dots_in(std::string_view segment) noexcept {
    segment = segment.substr(0, segment.find(';'));
    int dots = 0;
    for (; !segment.empty(); ++dots) {
        const std::size_t bytes = segment[0] == '.' ? 1 : escape_at(segment, '2', 'e') ? 3 : 0;
        if (bytes == 0) return -1;
        segment.remove_prefix(bytes);
    }
    return dots;
}

// True when `path`, read by a server that takes %2f for a slash and drops empty segments, would
// go above where it begins.
bool climbs_out(std::string_view path) noexcept {
    long depth = 0;
    while (!path.empty()) {
        std::size_t end = 0;
        while (end < path.size() && slash_bytes(path.substr(end)) == 0)
            ++end;
        const int dots = dots_in(path.substr(0, end));
        if (dots == 2 && --depth < 0) return true;
        if (dots != 0 && dots != 1 && dots != 2) ++depth;
        path.remove_prefix(end + slash_bytes(path.substr(end)));
    }
    return false;
}

// What is left of `path` behind `prefix`: empty, or beginning with '/'. The prefix ends at a
// border of segments or is not taken off.
std::string_view behind(std::string_view path, std::string_view prefix) noexcept {
    prefix = without_slashes_behind(prefix);
    if (!path.starts_with(prefix)) return path;
    const std::string_view rest = path.substr(prefix.size());
    return rest.empty() || rest.starts_with('/') ? rest : path;
}

}  // namespace

// Why add_prefix cannot be left. The path has no dot segments, "%2e" ones included: they were
// resolved before routing. Prefixes come off and go on at borders of segments, so every segment of
// the result is one of the path or of add_prefix, whole, and none is a dot segment: by RFC 3986 it
// stays inside. "%2f" is no border by that rule and is passed on as received, but some servers
// decode it first, and "/..%2f..%2fadmin" then climbs. Such paths are refused here, by the most
// permissive reading: "%2f" is a slash, empty segments vanish, "..;x" is "..". "%252f" is one more
// decoding away and is text to any server that decodes once.
bool rewrite_target(const effective_route& r, std::string_view path_and_query, std::string& out) {
    const std::size_t path_bytes = std::min(path_and_query.find('?'), path_and_query.size());
    const std::string_view path = path_and_query.substr(0, path_bytes);
    const std::string_view query = path_and_query.substr(path_bytes);
    const std::string_view prefix = without_slashes_behind(r.spec.add_prefix);
    std::string_view rest = r.spec.strip_prefix.empty() ? path : behind(path, r.spec.strip_prefix);
    const bool stays = prefix.empty() || !climbs_out(rest);
    if (!stays) rest = {};
    out.clear();
    if (!prefix.empty() && prefix[0] != '/') out += '/';
    out += prefix;
    // A leading "//" would read as an authority; it is kept only where the client itself sent it.
    if (out.empty() && rest.size() < path.size())
        while (rest.starts_with("//"))
            rest.remove_prefix(1);
    if (rest.empty() ? out.empty() : rest[0] != '/') out += '/';
    out += rest;
    if (stays) out += query;
    return stays;
}

}  // namespace gatehouse::tenant
