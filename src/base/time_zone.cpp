#include <algorithm>
#include <gatehouse/base/time_zone.hpp>

namespace gatehouse {

using std::chrono::seconds;

namespace {

constexpr std::size_t header_bytes = 44, most_transitions = 2'000, most_types = 256;
constexpr std::int32_t longest_offset_s = 26 * 3600;
constexpr unsigned longest_time_h = 167;

// Big-endian, two's complement.
std::int64_t number(std::string_view bytes) noexcept {
    std::uint64_t n = 0;
    for (const char c : bytes)
        n = n << 8U | static_cast<unsigned char>(c);
    const unsigned unused = 64 - 8 * static_cast<unsigned>(bytes.size());
    return static_cast<std::int64_t>(n << unused) >> unused;
}

// Reads a text from the front; a mistake leaves `good` false.
struct scanner {
    std::string_view left;
    bool good = true;

    bool take(char c) noexcept {
        if (left.empty() || left.front() != c) return false;
        left.remove_prefix(1);
        return true;
    }
    unsigned digits(unsigned least, unsigned most) noexcept {
        unsigned n = 0;
        std::size_t count = 0;
        for (; count < 3 && count < left.size() && left[count] >= '0' && left[count] <= '9'; ++count)
            n = n * 10 + static_cast<unsigned>(left[count] - '0');
        good = good && count != 0 && n >= least && n <= most;
        left.remove_prefix(count);
        return n;
    }
    // "CET", "<+0330>"
    void name() noexcept {
        const bool quoted = take('<');
        std::size_t n = 0;
        const auto part = [quoted](char c) {
            return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (quoted && (c == '+' || c == '-' || (c >= '0' && c <= '9')));
        };
        while (n < left.size() && part(left[n]))
            ++n;
        good = good && n >= 3;
        left.remove_prefix(n);
        if (quoted) good = take('>') && good;
    }
    // [+-]h[:mm[:ss]]
    seconds time(unsigned most_hours) noexcept {
        const bool negative = take('-');
        if (!negative) take('+');
        seconds out = std::chrono::hours(digits(0, most_hours));
        if (take(':')) out += std::chrono::minutes(digits(0, 59));
        if (take(':')) out += seconds(digits(0, 59));
        return negative ? -out : out;
    }
};

}  // namespace

// What is asked for beyond the end is empty, and leaves `good` false.
class time_zone::reader {
 public:
    explicit reader(std::string_view bytes) : left_(bytes) {}
    std::string_view take(std::size_t n) noexcept {
        if (n > left_.size()) {
            good = false;
            return {};
        }
        const auto out = left_.substr(0, n);
        left_.remove_prefix(n);
        return out;
    }
    std::string_view rest() const noexcept { return left_; }
    bool good = true;

 private:
    std::string_view left_;
};

std::int64_t time_zone::turn::at(int year) const noexcept {
    using namespace std::chrono;
    const auto y = std::chrono::year(year);
    const auto m = std::chrono::month(month);
    const auto d = std::chrono::weekday(weekday);
    const sys_days day = week == 5 ? sys_days(y / m / d[last]) : sys_days(y / m / d[week]);
    return (day.time_since_epoch() + time) / seconds(1);
}

seconds time_zone::rule::offset_at(std::int64_t unix_s) const noexcept {
    if (!turns) return standard;
    using namespace std::chrono;
    const auto here = floor<days>(sys_seconds(seconds(unix_s) + standard));
    const int year = static_cast<int>(year_month_day(here).year());
    const auto begin = (*turns)[0].at(year) - standard.count(), end = (*turns)[1].at(year) - summer.count();
    const bool is_summer = begin < end ? unix_s >= begin && unix_s < end : unix_s >= begin || unix_s < end;
    return is_summer ? summer : standard;
}

// RFC 8536, section 3.3: POSIX's TZ, of which "Jn" and "n" are not understood.
std::optional<time_zone::rule> time_zone::parse_rule(std::string_view text) {
    scanner in{.left = text};
    rule out{};
    in.name();
    out.standard = -in.time(24);
    if (in.left.empty()) return in.good ? std::optional(out) : std::nullopt;
    in.name();
    out.summer = out.standard + std::chrono::hours(1);
    if (!in.left.empty() && in.left.front() != ',') out.summer = -in.time(24);
    std::array<turn, 2> turns{};
    for (auto& t : turns) {
        t.time = std::chrono::hours(2);
        in.good = in.take(',') && in.take('M') && in.good;
        t.month = in.digits(1, 12);
        in.good = in.take('.') && in.good;
        t.week = in.digits(1, 5);
        in.good = in.take('.') && in.good;
        t.weekday = in.digits(0, 6);
        if (in.take('/')) t.time = in.time(longest_time_h);
    }
    out.turns = turns;
    return in.good && in.left.empty() ? std::optional(out) : std::nullopt;
}

std::optional<time_zone> time_zone::parse(std::string_view tzif) {
    struct counts {
        std::size_t utc, standard, leaps, transitions, types, characters;
    };
    reader in(tzif);
    const auto header = [&in]() -> counts {
        const auto h = in.take(header_bytes);
        if (!in.good || !h.starts_with("TZif") || h[4] < '2') {
            in.good = false;
            return {};
        }
        const auto n = [h](std::size_t i) { return static_cast<std::size_t>(static_cast<std::uint32_t>(number(h.substr(20 + 4 * i, 4)))); };
        return {n(0), n(1), n(2), n(3), n(4), n(5)};
    };
    const auto old = header();
    in.take(old.transitions * 5 + old.types * 6 + old.characters + old.leaps * 8 + old.standard + old.utc);
    const auto c = header();
    if (!in.good || c.transitions > most_transitions || c.types == 0 || c.types > most_types) return std::nullopt;
    const auto times = in.take(c.transitions * 8), kinds = in.take(c.transitions), types = in.take(c.types * 6);
    in.take(c.characters + c.leaps * 12 + c.standard + c.utc);
    auto footer = in.rest();
    if (!in.good || footer.size() < 2 || footer.front() != '\n' || footer.back() != '\n') return std::nullopt;
    footer = footer.substr(1, footer.size() - 2);

    const auto offset = [types](std::size_t type) { return static_cast<std::int32_t>(number(types.substr(6 * type, 4))); };
    for (std::size_t i = 0; i < c.types; ++i)
        if (offset(i) < -longest_offset_s || offset(i) > longest_offset_s) return std::nullopt;
    time_zone out;
    out.first_offset_s_ = offset(0);
    for (std::size_t i = 0; i < c.transitions; ++i) {
        const auto type = static_cast<unsigned char>(kinds[i]);
        const transition t{.at = number(times.substr(8 * i, 8)), .offset_s = type < c.types ? offset(type) : 0};
        if (type >= c.types || (i != 0 && t.at <= out.transitions_.back().at)) return std::nullopt;
        out.transitions_.push_back(t);
    }
    if (footer.empty()) return out;
    out.after_ = parse_rule(footer);
    return out.after_ ? std::optional(std::move(out)) : std::nullopt;
}

seconds time_zone::offset_at(std::int64_t unix_s) const noexcept {
    const auto next = std::upper_bound(transitions_.begin(), transitions_.end(), unix_s, [](std::int64_t t, const transition& one) { return t < one.at; });
    if (next == transitions_.end() && after_) return after_->offset_at(unix_s);
    return seconds(next == transitions_.begin() ? first_offset_s_ : std::prev(next)->offset_s);
}

}  // namespace gatehouse
