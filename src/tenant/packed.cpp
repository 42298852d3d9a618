// Version, then the tenant as a message. A message is its members in order, without those at their
// default: key = number * 2 + (1: bytes follow), then a varint, or a length and so many bytes.
// Lists, pairs and structs are bytes. Members are numbered by their place: add new ones at the end,
// and an older program reads the tenant from its file.
#include <cstring>
#include <gatehouse/tenant/packed.hpp>
#include <new>
#include <tuple>
#include <type_traits>

namespace gatehouse::tenant {
namespace {

constexpr char format_version = 1;
// No file of a tenant's size has more in it.
constexpr std::size_t most_bytes = 4 * 1024 * 1024;
constexpr std::size_t most_elements = 256 * 1024;

// The members of each struct, all of them: a binding of another count does not compile.
auto members(auto& v, const client_rule*) {
    auto& [key, rate, burst] = v;
    return std::tie(key, rate, burst);
}
auto members(auto& v, const gatehouse::rate*) {
    auto& [count, per] = v;
    return std::tie(count, per);
}
auto members(auto& v, const gatehouse::quota*) {
    auto& [count, period] = v;
    return std::tie(count, period);
}
auto members(auto& v, const ip_network*) {
    auto& [base, prefix] = v;
    return std::tie(base, prefix);
}
auto members(auto& v, const limits*) {
    auto& [rate, burst, concurrency, connections, quota, bandwidth, max_body, weight, on_redis_loss,
           rules] = v;
    return std::tie(rate, burst, concurrency, connections, quota, bandwidth, max_body, weight,
                    on_redis_loss, rules);
}
auto members(auto& v, const upstream_timeouts*) {
    auto& [connect, upstream_head, upstream_body_idle, request_body_idle, tunnel_idle] = v;
    return std::tie(connect, upstream_head, upstream_body_idle, request_body_idle, tunnel_idle);
}
auto members(auto& v, const field_edits*) {
    auto& [set, remove] = v;
    return std::tie(set, remove);
}
auto members(auto& v, const route*) {
    auto& [path, pool, strip_prefix, add_prefix, redirect, redirect_status, timeouts, max_body,
           limits, request_fields, response_fields, allow, deny] = v;
    return std::tie(path, pool, strip_prefix, add_prefix, redirect, redirect_status, timeouts,
                    max_body, limits, request_fields, response_fields, allow, deny);
}
auto members(auto& v, const client_tls*) {
    auto& [min_version, client_ca_file] = v;
    return std::tie(min_version, client_ca_file);
}
auto members(auto& v, const maintenance_window*) {
    auto& [from, to, message, every, at, length] = v;
    return std::tie(from, to, message, every, at, length);
}
auto members(auto& v, const branding*) {
    auto& [logo, color, support] = v;
    return std::tie(logo, color, support);
}
auto members(auto& v, const locale*) {
    auto& [language, time_zone, currency] = v;
    return std::tie(language, time_zone, currency);
}
auto members(auto& v, const billing*) {
    auto& [customer, subscription, status] = v;
    return std::tie(customer, subscription, status);
}
auto members(auto& v, const tenant*) {
    auto& [id, label, name, state, reason, until, message, parent, plan, region, residency, pool,
           routes, branding, locale, hsts, hosts, limits, context, redirect_hosts, allow, deny, tls,
           maintenance, billing, database] = v;
    return std::tie(id, label, name, state, reason, until, message, parent, plan, region, residency,
                    pool, routes, branding, locale, hsts, hosts, limits, context, redirect_hosts,
                    allow, deny, tls, maintenance, billing, database);
}
// What look() finds without unpacking.
enum tenant_member : std::uint64_t {
    member_id = 1,
    member_label = 2,
    member_name = 3,
    member_state = 4,
    member_until = 6,
    member_parent = 8,
    member_plan = 9,
    member_region = 10,
    member_redirect_hosts = 20,
    member_tls = 23,
};
enum tls_member : std::uint64_t { member_min_version = 1, member_client_ca_file = 2 };

constexpr life last_of(life) {
    return life::deleting;
}
constexpr suspension last_of(suspension) {
    return suspension::maintenance;
}
constexpr residency last_of(residency) {
    return residency::strict;
}
constexpr recurrence last_of(recurrence) {
    return recurrence::sunday;
}
constexpr redis_loss last_of(redis_loss) {
    return redis_loss::closed;
}
constexpr quota_period last_of(quota_period) {
    return quota_period::month;
}

template <class T>
constexpr bool is_optional = false;
template <class T>
constexpr bool is_optional<std::optional<T>> = true;
template <class T>
constexpr bool is_time = false;
template <class R, class P>
constexpr bool is_time<std::chrono::duration<R, P>> = true;
template <>
constexpr bool is_time<utc_time> = true;
template <class T>
constexpr bool is_number = std::is_integral_v<T> || std::is_enum_v<T> || is_time<T>;

// Small numbers of either sign are short.
constexpr std::uint64_t to_unsigned(std::int64_t n) noexcept {
    return (static_cast<std::uint64_t>(n) << 1) ^ static_cast<std::uint64_t>(n >> 63);
}
constexpr std::int64_t to_signed(std::uint64_t n) noexcept {
    return static_cast<std::int64_t>(n >> 1) ^ -static_cast<std::int64_t>(n & 1);
}

class writer {
 public:
    explicit writer(std::string& out) : out_(out) {}

    void number(std::uint64_t n) {
        for (; n >= 0x80; n >>= 7)
            out_ += static_cast<char>(n | 0x80);
        out_ += static_cast<char>(n);
    }
    template <class T>
    void value(const T& v) {
        if constexpr (is_time<T>) {
            number(to_unsigned(count_of(v)));
        } else if constexpr (is_number<T>) {
            number(static_cast<std::uint64_t>(v));
        } else if constexpr (std::is_same_v<T, std::string>) {
            number(v.size());
            out_ += v;
        } else {
            // The length comes first, so what follows is written and then moved for it.
            const std::size_t begin = out_.size();
            body(v);
            std::string length;
            writer(length).number(out_.size() - begin);
            out_.insert(begin, length);
        }
    }
    template <class T>
    void message(const T& v) {
        static const T fresh{};
        std::uint64_t tag = 0;
        const auto all = members(v, static_cast<const T*>(nullptr));
        const auto none = members(fresh, static_cast<const T*>(nullptr));
        const auto each = [&]<std::size_t... I>(std::index_sequence<I...>) {
            (member(++tag, std::get<I>(all), std::get<I>(none)), ...);
        };
        each(std::make_index_sequence<std::tuple_size_v<decltype(all)>>());
    }

 private:
    static std::int64_t count_of(utc_time t) { return t.time_since_epoch().count(); }
    template <class R, class P>
    static std::int64_t count_of(std::chrono::duration<R, P> d) {
        return d.count();
    }
    template <class T>
    void member(std::uint64_t tag, const T& v, const T& fresh) {
        if (v == fresh) return;
        if constexpr (is_optional<T>) {
            number(tag * 2 + (is_number<typename T::value_type> ? 0 : 1));
            value(*v);
        } else {
            number(tag * 2 + (is_number<T> ? 0 : 1));
            value(v);
        }
    }
    template <class T>
    void body(const T& v) {
        message(v);
    }
    template <class T>
    void body(const std::vector<T>& list) {
        for (const T& one : list)
            value(one);
    }
    void body(const std::pair<std::string, std::string>& p) {
        value(p.first);
        value(p.second);
    }
    void body(const ip_address& a) {
        out_.append(reinterpret_cast<const char*>(a.bytes.data()), a.bytes.size());
    }
    std::string& out_;
};

// Every read says whether it could be done; what was read before a false is not to be used.
class reader {
 public:
    explicit reader(std::string_view rest) noexcept : rest_(rest) {}
    bool done() const noexcept { return rest_.empty(); }

    bool number(std::uint64_t& n) noexcept {
        n = 0;
        for (unsigned shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
            const auto byte = static_cast<unsigned char>(rest_.front());
            rest_.remove_prefix(1);
            n |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
            if (byte < 0x80) return shift < 63 || byte <= 1;
        }
        return false;
    }
    bool bytes(std::string_view& out) noexcept {
        std::uint64_t n = 0;
        if (!number(n) || n > rest_.size()) return false;
        out = rest_.substr(0, n);
        rest_.remove_prefix(n);
        return true;
    }
    template <class T>
    bool value(T& v) {
        if constexpr (is_number<T>) {
            std::uint64_t n = 0;
            return number(n) && assign(v, n);
        } else {
            std::string_view inside;
            if (!bytes(inside)) return false;
            if constexpr (std::is_same_v<T, std::string>) {
                v = inside;
                return true;
            } else if constexpr (std::is_same_v<T, ip_network>) {
                return reader(inside).message(v) && v.prefix <= 128;
            } else {
                return reader(inside).body(v);
            }
        }
    }
    // All of the rest: a member that is not known, or out of its place, is left over.
    template <class T>
    bool message(T& v) {
        std::uint64_t tag = 0;
        const bool fine = std::apply([&](auto&... m) { return (member(++tag, m) && ...); },
                                     members(v, static_cast<const T*>(nullptr)));
        return fine && done();
    }

 private:
    template <class T>
    static bool assign(T& v, std::uint64_t n) noexcept {
        if constexpr (std::is_enum_v<T>) {
            v = static_cast<T>(n);
            return n <= static_cast<std::uint64_t>(last_of(T{}));
        } else if constexpr (std::is_same_v<T, utc_time>) {
            v = utc_time(std::chrono::seconds(to_signed(n)));
            return true;
        } else if constexpr (is_time<T>) {
            v = T(to_signed(n));
            return true;
        } else {
            v = static_cast<T>(n);
            return static_cast<std::uint64_t>(v) == n;
        }
    }
    template <class T>
    bool member(std::uint64_t tag, T& v) {
        if constexpr (is_optional<T>) {
            if (!is_next(tag, is_number<typename T::value_type>)) return true;
            return value(v.emplace());
        } else {
            if (!is_next(tag, is_number<T>)) return true;
            return value(v);
        }
    }
    bool is_next(std::uint64_t tag, bool is_a_number) noexcept {
        reader ahead = *this;
        std::uint64_t key = 0;
        if (rest_.empty() || !ahead.number(key) || key != tag * 2 + (is_a_number ? 0 : 1))
            return false;
        *this = ahead;
        return true;
    }
    template <class T>
    bool body(T& v) {
        return message(v);
    }
    template <class T>
    bool body(std::vector<T>& list) {
        while (!done()) {
            if (list.size() == most_elements || !value(list.emplace_back())) return false;
        }
        return true;
    }
    bool body(std::pair<std::string, std::string>& p) {
        return value(p.first) && value(p.second) && done();
    }
    bool body(ip_address& a) noexcept {
        if (rest_.size() != a.bytes.size()) return false;
        std::memcpy(a.bytes.data(), rest_.data(), a.bytes.size());
        return true;
    }
    std::string_view rest_;
};

// Members one by one, undecoded: f(number, value, bytes).
template <class F>
void for_each_member(std::string_view message, F&& f) noexcept {
    reader r(message);
    while (!r.done()) {
        std::uint64_t key = 0, n = 0;
        std::string_view bytes;
        if (!r.number(key) || !((key & 1) != 0 ? r.bytes(bytes) : r.number(n))) return;
        f(key / 2, n, bytes);
    }
}

bool read(std::string_view bytes, tenant& t) {
    if (bytes.empty() || bytes.size() > most_bytes || bytes.front() != format_version) return false;
    return reader(bytes.substr(1)).message(t);
}

}  // namespace

packed_ptr packed::make(std::string_view bytes) {
    auto* p = new (::operator new(sizeof(packed) + bytes.size())) packed;
    p->size_ = static_cast<std::uint32_t>(bytes.size());
    std::memcpy(static_cast<void*>(p + 1), bytes.data(), bytes.size());
    return p;
}

void packed::destroy(const packed* p) noexcept {
    p->~packed();
    ::operator delete(const_cast<packed*>(p));
}

packed_ptr pack(const tenant& t) {
    std::string bytes(1, format_version);
    writer(bytes).message(t);
    return packed::make(bytes);
}

packed_ptr packed_from(std::string_view bytes) {
    tenant t;
    return read(bytes, t) ? packed::make(bytes) : nullptr;
}

tenant packed::unpack() const {
    tenant t;
    (void)read(bytes(), t);  // was made by pack(), or read once before it came here
    return t;
}

brief packed::look() const noexcept {
    brief b;
    for_each_member(bytes().substr(1), [&](std::uint64_t tag, std::uint64_t n, std::string_view v) {
        switch (tag) {
            case member_id:
                b.id = v;
                break;
            case member_label:
                b.label = v;
                break;
            case member_state:
                b.state = static_cast<life>(n);
                break;
            case member_until:
                b.until = utc_time(std::chrono::seconds(to_signed(n)));
                break;
            case member_name:
                b.name = v;
                break;
            case member_parent:
                b.parent = v;
                break;
            case member_plan:
                b.plan = v;
                break;
            case member_region:
                b.region = v;
                break;
            case member_redirect_hosts:
                b.redirects = v;
                break;
            case member_tls:
                for_each_member(v, [&](std::uint64_t inner, std::uint64_t, std::string_view text) {
                    (inner == member_min_version ? b.min_tls_version : b.client_ca_file) = text;
                });
                break;
            default:
                break;
        }
    });
    return b;
}

std::string_view redirect_target(const brief& b, std::string_view host) noexcept {
    reader list(b.redirects);
    std::string_view pair, from, to;
    while (list.bytes(pair)) {
        reader r(pair);
        if (r.bytes(from) && r.bytes(to) && from == host) return to;
    }
    return {};
}

}  // namespace gatehouse::tenant
