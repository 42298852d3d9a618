// Start lines and field lines. Every refusal depends on the bytes up to the refused one alone, so
// that the outcome is the same however they arrive.
#include "head_reader.hpp"

#include "chars.hpp"

namespace gatehouse::http {
namespace {

constexpr std::size_t method_bytes_max = 32;
constexpr std::string_view version_shape = "HTTP/d.d\r\n";
constexpr std::string_view status_shape = "HTTP/1.d ddd";

bool fits(char c, char shape) noexcept {
    return shape == 'd' ? chars::is(c, chars::digit) : c == shape;
}

}  // namespace

bool head_reader::wait(std::size_t scanned) noexcept {
    scan_.scanned = scanned;
    if (bytes_.size() >= limits_.head_bytes)
        return refuse(problem::head_too_large, "the head is larger than allowed");
    outcome_ = {};
    return false;
}

bool head_reader::leading_line() {
    if (bytes_.empty()) return wait(0);
    if (bytes_[0] == '\r') {
        if (bytes_.size() == 1) return wait(0);
        if (bytes_[1] != '\n') return refuse(problem::bad_request, "a CR without LF");
        scan_.line_start = 2;
    }
    scan_.scanned = scan_.line_start;
    scan_.where = head_scan::at::method;
    return true;
}

bool head_reader::method() {
    std::size_t i = scan_.scanned;
    while (!at_end(i) && chars::is(bytes_[i], chars::token)) {
        if (i - scan_.line_start == method_bytes_max)
            return refuse(problem::bad_request, "the method is too long");
        ++i;
    }
    if (at_end(i)) return wait(i);
    if (bytes_[i] != ' ' || i == scan_.line_start)
        return refuse(problem::bad_request, "this is not an HTTP request line");
    scan_.mark = i;
    scan_.scanned = i + 1;
    scan_.where = head_scan::at::target;
    return true;
}

bool head_reader::target() {
    const std::size_t begin = scan_.mark + 1;
    std::size_t i = scan_.scanned;
    while (!at_end(i) && chars::is(bytes_[i], chars::target)) {
        if (i - begin == limits_.target_bytes)
            return refuse(problem::target_too_long, "the request target is longer than allowed");
        ++i;
    }
    if (at_end(i)) return wait(i);
    if (bytes_[i] == '\r' || bytes_[i] == '\n')
        return refuse(problem::bad_request, "the request line has no HTTP version");
    if (bytes_[i] != ' ')
        return refuse(problem::bad_request, "a forbidden character in the request target");
    if (i == begin) return refuse(problem::bad_request, "the request target is empty");
    scan_.target_end = i;
    scan_.scanned = i + 1;
    scan_.where = head_scan::at::version;
    return true;
}

bool head_reader::version() {
    const std::size_t begin = scan_.target_end + 1;
    for (std::size_t i = scan_.scanned; i < begin + version_shape.size(); ++i) {
        if (at_end(i)) return wait(i);
        if (!fits(bytes_[i], version_shape[i - begin]))
            return refuse(problem::bad_request,
                          "the request line does not end in an HTTP version and CRLF");
    }
    scan_.line_start = scan_.scanned = begin + version_shape.size();
    scan_.where = head_scan::at::name;
    return true;
}

bool head_reader::request_line(request_head& out) {
    using at = head_scan::at;
    if (scan_.where > at::version) return true;
    if (scan_.where == at::start && !leading_line()) return false;
    const std::size_t begin = scan_.line_start;
    if (scan_.where == at::method && !method()) return false;
    if (scan_.where == at::target && !target()) return false;
    if (!version()) return false;
    const std::size_t major = scan_.target_end + 1 + version_shape.find('d');
    out.minor_version = static_cast<std::uint8_t>(bytes_[major + 2] - '0');
    if (bytes_[major] != '1' || out.minor_version > 1)
        return refuse(problem::version_not_supported, "HTTP/1.1 and HTTP/1.0 are spoken here");
    out.method = part(begin, scan_.mark);
    out.raw_target = part(scan_.mark + 1, scan_.target_end);
    line_is_new_ = true;
    return true;
}

bool head_reader::status_code() {
    for (std::size_t i = scan_.scanned; i < status_shape.size(); ++i) {
        if (at_end(i)) return wait(i);
        if (!fits(bytes_[i], status_shape[i]))
            return refuse(problem::upstream_failed, "the status line is malformed");
    }
    scan_.scanned = scan_.mark = status_shape.size();
    scan_.where = head_scan::at::reason;
    return true;
}

// After the code: CRLF, or a space and a reason that may be empty.
bool head_reader::reason(response_head& out) {
    if (at_end(scan_.mark)) return wait(scan_.mark);
    const bool has_space = bytes_[scan_.mark] == ' ';
    const char* const end = bytes_.data() + bytes_.size();
    std::size_t i = scan_.scanned;
    if (has_space)
        i = static_cast<std::size_t>(chars::skip_value(bytes_.data() + i, end) - bytes_.data());
    if (at_end(i)) return wait(i);
    if (bytes_[i] != '\r') return refuse(problem::upstream_failed, "the status line is malformed");
    if (at_end(i + 1)) return wait(i);
    if (bytes_[i + 1] != '\n') return refuse(problem::upstream_failed, "a CR without LF");
    if (has_space) out.reason = chars::trim(part(scan_.mark + 1, i));
    scan_.line_start = scan_.scanned = i + 2;
    scan_.where = head_scan::at::name;
    return true;
}

bool head_reader::status_line(response_head& out) {
    using at = head_scan::at;
    if (scan_.where > at::reason) return true;
    if (scan_.where != at::reason && !status_code()) return false;
    if (!reason(out)) return false;
    out.minor_version = static_cast<std::uint8_t>(bytes_[7] - '0');
    if (out.minor_version > 1)
        return refuse(problem::upstream_failed, "the status line is malformed");
    out.status = static_cast<std::uint16_t>((bytes_[9] - '0') * 100 + (bytes_[10] - '0') * 10 +
                                            (bytes_[11] - '0'));
    line_is_new_ = true;
    return true;
}

// The line's empty end, or its name: returns where the CR or the colon is, nullptr when it stops
// there. Positions go by value here, a round trip through memory for each field costs a tenth of
// the whole parse.
const char* head_reader::field_name(const char* line, const char* p,
                                    head_limits::underscores policy) {
    const char* const end = bytes_.data() + bytes_.size();
    if (p == end) return stop(wait(offset(p)));
    if (p == line) {
        if (*p == '\r') {
            if (p + 1 == end) return stop(wait(offset(p)));
            return p[1] == '\n' ? p : stop(refuse(problem::bad_request, "a CR without LF"));
        }
        if (*p == ' ' || *p == '\t')
            return stop(refuse(problem::bad_request, "a folded field line"));
        if (scan_.field_lines == limits_.fields)
            return stop(refuse(problem::head_too_large, "the head has more fields than allowed"));
    }
    while (true) {
        while (p != end && chars::is(*p, chars::plain_name))
            ++p;
        if (p == end || *p != '_') break;
        scan_.underscore = true;
        ++p;
    }
    if (p == end) return stop(wait(offset(p)));
    if (*p == '\n') return stop(refuse(problem::bad_request, "an LF without CR"));
    if (*p != ':' || p == line) return stop(refuse(problem::bad_request, "a malformed field name"));
    if (scan_.underscore && policy == head_limits::underscores::reject)
        return stop(refuse(problem::bad_request, "a field name with an underscore"));
    return p;
}

// Returns where the CR of the line's end is, nullptr when it stops before.
const char* head_reader::field_value(const char* p) {
    const char* const end = bytes_.data() + bytes_.size();
    p = chars::skip_value(p, end);
    if (p == end) return stop(wait(offset(p)));
    if (*p == '\n') return stop(refuse(problem::bad_request, "an LF without CR"));
    if (*p != '\r')
        return stop(refuse(problem::bad_request, "a control character in a field value"));
    if (p + 1 == end) return stop(wait(offset(p)));
    return p[1] == '\n' ? p : stop(refuse(problem::bad_request, "a CR without LF"));
}

bool head_reader::fields(std::vector<field>& out, head_limits::underscores policy,
                         bool& has_underscores) {
    const char* p = bytes_.data() + scan_.scanned;
    const char* line = bytes_.data() + scan_.line_start;
    const char* colon = bytes_.data() + scan_.mark;
    while (true) {
        if (scan_.where == head_scan::at::name) {
            p = colon = field_name(line, p, policy);
            if (p == nullptr) return false;
            if (*p == '\r') break;
            scan_.mark = offset(colon);
            scan_.where = head_scan::at::value;
            ++p;
        }
        p = field_value(p);
        if (p == nullptr) return false;
        if (!scan_.underscore || policy == head_limits::underscores::pass) {
            const std::string_view name = between(line, colon);
            out.push_back({.name = name,
                           .value = chars::trim(between(colon + 1, p)),
                           .id = lookup(name),
                           .nominated = false});
            has_underscores |= scan_.underscore;
        }
        line = p += 2;
        scan_.line_start = offset(line);
        ++scan_.field_lines;
        scan_.underscore = false;
        scan_.where = head_scan::at::name;
    }
    outcome_ = {.what = parse_outcome::kind::complete,
                .consumed = offset(p) + 2,
                .refused = problem::none,
                .detail = ""};
    return true;
}

}  // namespace gatehouse::http
