// A tenant packed is the tenant unpacked, whatever it holds; other bytes are refused.
#include <catch2/catch.hpp>
#include <gatehouse/tenant/packed.hpp>
#include <random>

using namespace gatehouse;
using namespace gatehouse::tenant;
using namespace std::chrono_literals;
using settings = gatehouse::tenant::tenant;

namespace {

// Says something of every member, or nothing, by chance.
class dice {
 public:
    explicit dice(std::uint32_t seed) : engine_(seed) {}

    std::uint64_t below(std::uint64_t bound) { return engine_() % bound; }
    bool flip() { return below(2) == 0; }
    std::uint64_t number() { return flip() ? below(200) : engine_() >> below(64); }
    std::int64_t when() { return static_cast<std::int64_t>(engine_() >> 16) - (1LL << 46); }
    std::string text() {
        std::string s(flip() ? 0 : below(flip() ? 12 : 300), ' ');
        for (char& c : s)
            c = static_cast<char>(below(256));
        return s;
    }
    template <class T, class Make>
    void maybe(std::optional<T>& out, Make make) {
        if (flip()) out = static_cast<T>(make());
    }
    template <class Make>
    auto list(Make make) {
        std::vector<decltype(make())> out;
        for (std::uint64_t n = flip() ? 0 : below(4); n > 0; --n)
            out.push_back(make());
        return out;
    }
    std::pair<std::string, std::string> pair() { return {text(), text()}; }
    rate any_rate() { return {number(), nanoseconds(when())}; }
    ip_network network() {
        ip_network n;
        for (auto& byte : n.base.bytes)
            byte = static_cast<std::uint8_t>(below(256));
        n.prefix = static_cast<std::uint8_t>(below(129));
        return n;
    }
    limits any_limits() {
        limits l;
        maybe(l.rate, [&] { return any_rate(); });
        maybe(l.burst, [&] { return number(); });
        maybe(l.concurrency, [&] { return number(); });
        maybe(l.connections, [&] { return number(); });
        maybe(l.quota, [&] { return quota{number(), static_cast<quota_period>(below(3))}; });
        maybe(l.bandwidth_bytes, [&] { return number(); });
        maybe(l.max_body_bytes, [&] { return number(); });
        maybe(l.weight, [&] { return number(); });
        maybe(l.on_redis_loss, [&] { return static_cast<redis_loss>(below(3)); });
        l.rules = list([&] {
            client_rule r{.key = text(), .rate = any_rate(), .burst = std::nullopt};
            maybe(r.burst, [&] { return number(); });
            return r;
        });
        return l;
    }
    route any_route() {
        route r;
        if (flip()) r.path = text();
        r.pool = text();
        r.strip_prefix = text();
        r.add_prefix = text();
        r.redirect = text();
        r.redirect_status = static_cast<std::uint16_t>(number());
        for (auto* t :
             {&r.timeouts.connect, &r.timeouts.upstream_head, &r.timeouts.upstream_body_idle,
              &r.timeouts.request_body_idle, &r.timeouts.tunnel_idle})
            maybe(*t, [&] { return milliseconds(when()); });
        maybe(r.max_body_bytes, [&] { return number(); });
        r.limits = any_limits();
        for (auto* edits : {&r.request_fields, &r.response_fields})
            *edits = {.set = list([&] { return pair(); }), .remove = list([&] { return text(); })};
        r.allow = list([&] { return network(); });
        r.deny = list([&] { return network(); });
        return r;
    }
    settings any_tenant() {
        settings t;
        t.id = text();
        t.label = text();
        t.name = text();
        t.state = static_cast<life>(below(4));
        t.reason = static_cast<suspension>(below(5));
        maybe(t.until, [&] { return utc_time(std::chrono::seconds(when())); });
        t.message = text();
        t.parent = text();
        t.plan = text();
        maybe(t.region, [&] { return text(); });
        maybe(t.residency, [&] { return static_cast<residency>(below(2)); });
        maybe(t.pool, [&] { return text(); });
        maybe(t.routes, [&] { return list([&] { return any_route(); }); });
        maybe(t.branding, [&] { return branding{text(), text(), text()}; });
        maybe(t.locale, [&] { return locale{text(), text(), text()}; });
        maybe(t.hsts, [&] { return std::chrono::seconds(when()); });
        t.hosts = list([&] { return text(); });
        t.limits = any_limits();
        t.context = list([&] { return pair(); });
        t.redirect_hosts = list([&] { return pair(); });
        t.allow = list([&] { return network(); });
        t.deny = list([&] { return network(); });
        t.tls = {.min_version = text(), .client_ca_file = text()};
        t.maintenance = list([&] {
            return maintenance_window{utc_time(std::chrono::seconds(when())),
                                      utc_time(std::chrono::seconds(when())), text(),
                                      static_cast<recurrence>(static_cast<unsigned>(when()) % 9),
                                      std::chrono::minutes(when()), std::chrono::seconds(when())};
        });
        t.billing = {text(), text(), text()};
        t.database = text();
        return t;
    }

 private:
    std::mt19937_64 engine_;
};

void check_brief(const settings& t, const brief& b) {
    CHECK(b.id == t.id);
    CHECK(b.label == t.label);
    CHECK(b.parent == t.parent);
    CHECK(b.state == t.state);
    CHECK(b.until == t.until);
    CHECK(b.min_tls_version == t.tls.min_version);
    CHECK(b.client_ca_file == t.tls.client_ca_file);
    for (auto it = t.redirect_hosts.begin(); it != t.redirect_hosts.end(); ++it) {
        const auto first = std::find_if(t.redirect_hosts.begin(), t.redirect_hosts.end(),
                                        [&](const auto& r) { return r.first == it->first; });
        CHECK(redirect_target(b, it->first) == first->second);
    }
}

}  // namespace

TEST_CASE("a tenant that is unpacked is the one that was packed") {
    for (std::uint32_t seed = 0; seed < 2000; ++seed) {
        INFO("seed " << seed);
        const auto t = dice(seed).any_tenant();
        const auto packed = pack(t);
        REQUIRE(packed->unpack() == t);
        const auto again = packed_from(packed->bytes());
        REQUIRE(again);
        REQUIRE(*again == *packed);
        REQUIRE(again->unpack() == t);
        check_brief(t, packed->look());
    }
}

TEST_CASE("what was cut off or changed is refused, or is another tenant that packs the same") {
    for (std::uint32_t seed = 0; seed < 200; ++seed) {
        INFO("seed " << seed);
        dice d(seed);
        const std::string bytes(pack(d.any_tenant())->bytes());
        for (std::size_t n = 0; n < bytes.size(); n += 1 + d.below(7)) {
            const auto cut = packed_from(std::string_view(bytes).substr(0, n));
            if (cut) REQUIRE(*pack(cut->unpack()) == *cut);  // cut between two members
            auto other = bytes;
            other[n] = static_cast<char>(other[n] ^ (1 + d.below(255)));
            if (const auto changed = packed_from(other))
                REQUIRE(pack(changed->unpack())->unpack() == changed->unpack());
        }
    }
}

TEST_CASE("bytes of another program are refused") {
    settings t;
    t.id = "acme";
    t.database = "parent";  // the last member
    const std::string bytes(pack(t)->bytes());
    REQUIRE(packed_from(bytes));
    CHECK_FALSE(packed_from(""));
    CHECK_FALSE(packed_from("id = \"acme\""));
    CHECK_FALSE(packed_from("\x02" + bytes.substr(1)));         // another version
    CHECK_FALSE(packed_from(bytes + std::string("\x36\x01")));  // a member number 27
    CHECK_FALSE(packed_from(bytes + bytes.substr(1)));          // members out of order
    CHECK_FALSE(packed_from(std::string("\x01\x08\x04", 3)));   // a fifth state
    CHECK(packed_from(std::string("\x01\x08\x03", 3))->unpack().state == life::deleting);
    CHECK_FALSE(
        packed_from("\x01\x03\x05"
                    "acme"));  // shorter than it says
    std::string endless(1, '\x01');
    endless += '\x20';
    endless.append(11, '\xff');
    CHECK_FALSE(packed_from(endless));
}

TEST_CASE("a small tenant packs small, and equal ones to equal bytes") {
    settings t;
    t.id = t.label = "t01234";
    t.plan = "pro";
    t.hosts = {"www.customer-01234.example"};
    CHECK(pack(t)->bytes().size() < 60);
    CHECK(*pack(t) == *pack(settings(t)));
    auto other = t;
    other.plan = "free";
    CHECK_FALSE(*pack(t) == *pack(other));
}

TEST_CASE("nothing and an empty list are told apart") {
    settings t;
    CHECK_FALSE(pack(t)->unpack().routes);
    t.routes.emplace();
    t.region.emplace();
    const auto back = pack(t)->unpack();
    CHECK((back.routes && back.routes->empty()));
    CHECK((back.region && back.region->empty()));
}
