// A record as JSON. Every request pays for this, so nothing here allocates or parses a format.
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <gatehouse/base/text.hpp>
#include <gatehouse/proxy/access_record.hpp>

namespace gatehouse::proxy {
namespace {

constexpr std::uint64_t every_byte(std::uint8_t b) noexcept {
    return 0x0101010101010101ULL * b;
}

// The high bit of a byte is set, somewhere in the word, when a byte has to be escaped: below space,
// '"', '\', or above '~'.
std::uint64_t needs_escape(std::uint64_t word) noexcept {
    const std::uint64_t quote = word ^ every_byte('"');
    const std::uint64_t backslash = word ^ every_byte('\\');
    return ((word - every_byte(0x20)) & ~word) | ((quote - every_byte(1)) & ~quote) |
           ((backslash - every_byte(1)) & ~backslash) | word | (word + every_byte(1));
}

bool plain_json(std::string_view s) noexcept {
    std::uint64_t found = 0;
    std::uint64_t word = 0;
    while (s.size() >= sizeof word) {
        std::memcpy(&word, s.data(), sizeof word);
        found |= needs_escape(word);
        s.remove_prefix(sizeof word);
    }
    word = every_byte(' ');
    for (const char c : s)
        word = word << 8 | static_cast<unsigned char>(c);
    found |= needs_escape(word);
    return (found & every_byte(0x80)) == 0;
}

// The line as it grows; access_record's bounds are what keeps it within access_line_bytes_max.
struct line {
    char* at;

    void raw(std::string_view s) noexcept {
        at = std::copy_n(s.data(), s.size(), at);   // memcpy, but for an empty one, which may be null
    }
    template <std::size_t N>
    void key(const char (&text)[N]) noexcept {
        std::memcpy(at, text, N - 1);
        at += N - 1;
    }
    void text(std::string_view s) noexcept {
        if (plain_json(s))
            raw(s);
        else
            at = json_escape(at, s);
        *at++ = '"';
    }
    void number(std::uint64_t n) noexcept {
        if (n < 10) {
            *at++ = static_cast<char>('0' + n);
            return;
        }
        const fmt::format_int digits(n);
        raw({digits.data(), digits.size()});
    }
    void time(std::int64_t time_us) noexcept;
};

// The seconds' part changes once a second; thousands of lines are formatted within it.
void line::time(std::int64_t time_us) noexcept {
    struct cache {
        std::int64_t second = -1;
        char text[32]{};
        std::size_t length = 0;
    };
    static thread_local cache last;
    std::int64_t second = time_us / 1'000'000;
    std::int64_t us = time_us % 1'000'000;
    if (us < 0) us += 1'000'000, second -= 1;
    if (second != last.second) {
        const std::time_t t = second;
        std::tm tm{};
        gmtime_r(&t, &tm);
        last.length = std::strftime(last.text, sizeof last.text, "%Y-%m-%dT%H:%M:%S", &tm);
        last.second = second;
    }
    raw({last.text, last.length});
    *at = '.';
    for (int digit = 6; digit > 0; --digit, us /= 10)
        at[digit] = static_cast<char>('0' + us % 10);
    at += 7;
    key("Z\"");
}

std::string_view tls_text(std::uint8_t minor) noexcept {
    return minor == 3 ? "1.3" : minor == 2 ? "1.2" : "";
}

}  // namespace

void access_record::clear() noexcept {
    time_us = 0;
    bytes_in = bytes_out = total_us = 0;
    handshake_us = queue_us = connect_us = first_byte_us = 0;
    status = 0;
    problem = gatehouse::problem::none;
    stage = gatehouse::stage::accept;
    attempts = tls_minor = 0;
    resumed = false;
    request_id.length = trace_id.length = tenant.length = parent.length = route.length = upstream.length = 0;
    decision.length = region.length = method.length = client.length = host.length = path.length = 0;
}

char* format_record(char* out, const access_record& r) noexcept {
    line l{out};
    l.key(R"({"time":")");
    l.time(r.time_us);
    l.key(R"(,"request_id":")");
    l.text(r.request_id.view());
    l.key(R"(,"trace_id":")");
    l.text(r.trace_id.view());
    l.key(R"(,"tenant":")");
    l.text(r.tenant.view());
    l.key(R"(,"parent":")");
    l.text(r.parent.view());
    l.key(R"(,"route":")");
    l.text(r.route.view());
    l.key(R"(,"region":")");
    l.text(r.region.view());
    l.key(R"(,"method":")");
    l.text(r.method.view());
    l.key(R"(,"host":")");
    l.text(r.host.view());
    l.key(R"(,"path":")");
    l.text(r.path.view());
    l.key(R"(,"status":)");
    l.number(r.status);
    l.key(R"(,"problem":")");
    l.text(r.problem == problem::none ? std::string_view{} : row(r.problem).type);
    l.key(R"(,"stage":")");
    l.text(name(r.stage));
    l.key(R"(,"decision":")");
    l.text(r.decision.view());
    l.key(R"(,"upstream":")");
    l.text(r.upstream.view());
    l.key(R"(,"attempts":)");
    l.number(r.attempts);
    l.key(R"(,"bytes_in":)");
    l.number(r.bytes_in);
    l.key(R"(,"bytes_out":)");
    l.number(r.bytes_out);
    l.key(R"(,"handshake_us":)");
    l.number(r.handshake_us);
    l.key(R"(,"queue_us":)");
    l.number(r.queue_us);
    l.key(R"(,"connect_us":)");
    l.number(r.connect_us);
    l.key(R"(,"first_byte_us":)");
    l.number(r.first_byte_us);
    l.key(R"(,"total_us":)");
    l.number(r.total_us);
    l.key(R"(,"tls":")");
    l.text(tls_text(r.tls_minor));
    if (r.resumed)
        l.key(R"(,"resumed":true,"client":")");
    else
        l.key(R"(,"resumed":false,"client":")");
    l.text(r.client.view());
    l.key("}\n");
    return l.at;
}

}  // namespace gatehouse::proxy
