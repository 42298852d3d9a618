// Tenants made at random, written and read again.
#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <gatehouse/config/json.hpp>
#include <random>

#include "expect.hpp"

using namespace gatehouse;
using namespace gatehouse::config;

namespace {

class generator {
 public:
    explicit generator(unsigned seed) : random_(seed) {}

    tenant::tenant make() {
        tenant::tenant t;
        t.id = name();
        t.label = coin() ? t.id : name();
        t.name = coin() ? text() : "";
        suspend(t);
        t.parent = coin() ? name() : "";
        t.plan = coin() ? name() : "";
        if (coin()) t.region = name();
        if (coin()) t.residency = coin() ? tenant::residency::strict : tenant::residency::preferred;
        if (coin()) t.pool = name();
        for (std::size_t i = below(4); i > 0; --i)
            t.hosts.push_back((coin() ? "*." : "") + host());
        for (std::size_t i = below(3); i > 0; --i)
            t.redirect_hosts.emplace_back(host(), host());
        std::sort(t.redirect_hosts.begin(), t.redirect_hosts.end());   // as they are read, however they are written
        for (std::size_t i = below(4); i > 0; --i)
            t.context.emplace_back("k" + name(), field_value());
        if (coin()) t.hsts = std::chrono::seconds{below(300'000'000)};
        if (coin()) t.limits = limits();
        t.allow = networks();
        t.deny = networks();
        if (coin()) t.tls = {coin() ? "1.3" : "", coin() ? "/etc/ca \"x\".pem" : ""};
        if (coin())
            t.branding = {coin() ? "https://a.example/" + name() : "", coin() ? "#0a5F00" : "", ""};
        if (coin())
            t.locale = {coin() ? "en" : "", coin() ? "Europe/Berlin" : "", coin() ? "EUR" : ""};
        for (std::size_t i = below(3); i > 0; --i) {
            const tenant::utc_time from = moment();
            t.maintenance.push_back(
                {from, from + std::chrono::seconds{1 + below(100'000)}, coin() ? text() : ""});
        }
        for (std::size_t i = below(3); i > 0; --i)
            t.maintenance.push_back({.from = {},
                                     .to = {},
                                     .message = coin() ? text() : "",
                                     .every = static_cast<tenant::recurrence>(1 + below(8)),
                                     .at = std::chrono::minutes{below(24 * 60)},
                                     .length = std::chrono::seconds{60 + below(80'000)}});
        if (coin()) t.billing = {text(), text(), coin() ? "active" : ""};
        if (!t.parent.empty() && coin()) t.database = "parent";
        if (coin()) routes(t.routes.emplace());
        return t;
    }

 private:
    std::size_t below(std::size_t n) { return random_() % n; }
    bool coin() { return below(2) == 0; }

    std::string name() {
        return "n" + std::to_string(++serial_) + "-" + std::to_string(below(1000));
    }
    std::string host() { return name() + ".example"; }

    std::string text() {
        static const std::vector<std::string> pieces{
            "a", " ", "\"", "\\", "'", "\xc3\xa4", "#", "=", "$", "{", "\xf0\x9f\x98\x80", "\\n"};
        std::string out = "x";
        for (std::size_t i = below(20); i > 0; --i)
            out += pieces[below(pieces.size())];
        return out;
    }
    std::string field_value() { return coin() ? text() + "x" : ""; }

    tenant::utc_time moment() {
        return tenant::utc_time{
            std::chrono::seconds{static_cast<std::int64_t>(below(4'000'000'000))}};
    }

    void suspend(tenant::tenant& t) {
        t.state = static_cast<tenant::life>(below(4));
        if (t.state != tenant::life::suspended) return;
        t.reason = static_cast<tenant::suspension>(1 + below(4));
        if (coin()) t.until = moment();
        if (coin()) t.message = text();
    }

    gatehouse::rate rate() {
        static const std::vector<nanoseconds> periods{
            std::chrono::seconds{1}, std::chrono::minutes{1}, std::chrono::hours{1},
            std::chrono::hours{24}};
        return {1 + below(1'000'000'000), periods[below(4)]};
    }

    tenant::limits limits() {
        tenant::limits l;
        if (coin()) {
            l.rate = rate();
            if (coin()) l.burst = 1 + below(1000);
        }
        if (coin()) l.concurrency = 1 + below(1000);
        if (coin()) l.connections = 1 + below(1000);
        if (coin())
            l.quota = gatehouse::quota{1 + below(1'000'000), static_cast<quota_period>(below(3))};
        if (coin()) l.bandwidth_bytes = 1024 + below(1'000'000'000);
        if (coin()) l.max_body_bytes = 1 + below(1'000'000'000);
        if (coin()) l.weight = 1 + below(1000);
        if (coin()) l.on_redis_loss = static_cast<tenant::redis_loss>(below(3));
        for (std::size_t i = below(3); i > 0; --i) {
            l.rules.push_back({coin() ? "client_ip" : "field:X-" + name(), rate(), {}});
            if (coin()) l.rules.back().burst = 1 + below(50);
        }
        return l;
    }

    std::vector<ip_network> networks() {
        std::vector<ip_network> out;
        for (std::size_t i = below(3); i > 0; --i)
            out.push_back(
                *parse_network(coin() ? "10." + std::to_string(below(256)) + ".0.0/16"
                                      : "2001:db8:" + std::to_string(below(1000)) + "::/48"));
        return out;
    }

    tenant::upstream_timeouts timeouts() {
        tenant::upstream_timeouts t;
        if (coin()) t.connect = milliseconds{1 + below(10'000)};
        if (coin()) t.upstream_head = milliseconds{1000 * (1 + below(100))};
        if (coin()) t.upstream_body_idle = milliseconds{60'000};
        if (coin()) t.request_body_idle = milliseconds{3'600'000};
        if (coin()) t.tunnel_idle = milliseconds{86'400'000 * 2};
        return t;
    }

    tenant::field_edits edits() {
        tenant::field_edits e;
        for (std::size_t i = below(3); i > 0; --i)
            e.set.emplace_back("X-" + name(), field_value());
        for (std::size_t i = below(3); i > 0; --i)
            e.remove.push_back("Y." + name());
        return e;
    }

    void routes(std::vector<tenant::route>& out) {
        for (std::size_t i = below(4); i > 0; --i) {
            tenant::route r;
            r.path = '/' + name();
            if (coin()) r.max_body_bytes = 1 + below(1000);
            if (coin()) r.limits = limits();
            r.response_fields = edits();
            r.allow = networks();
            r.deny = networks();
            if (coin()) {
                r.redirect = coin() ? "/" + name() : "https://" + host();
                r.redirect_status = coin() ? 302 : 308;
            } else {
                r.pool = coin() ? name() : "";
                if (coin()) r.strip_prefix = r.path;
                if (coin()) r.add_prefix = "/v1";
                r.timeouts = timeouts();
                r.request_fields = edits();
            }
            out.push_back(std::move(r));
        }
        if (coin()) out.emplace_back();
    }

    std::mt19937 random_;
    int serial_ = 0;
};

}  // namespace

TEST_CASE("a tenant written as TOML reads as itself") {
    for (unsigned seed = 0; seed < 3000; ++seed) {
        const tenant::tenant made = generator(seed).make();
        const std::string text = to_toml(made);
        const auto loaded = parse_tenant(text, "/t/" + made.id + ".toml", "platform.tld");
        INFO("seed " << seed << "\n" << text << all_text(loaded.diagnostics));
        REQUIRE(loaded.value);
        REQUIRE(*loaded.value == made);
        REQUIRE(to_toml(*loaded.value) == text);
    }
}

// What has names comes back from JSON in their order.
static tenant::tenant by_name(tenant::tenant t) {
    std::sort(t.context.begin(), t.context.end());
    if (t.routes) {
        for (tenant::route& r : *t.routes) {
            std::sort(r.request_fields.set.begin(), r.request_fields.set.end());
            std::sort(r.response_fields.set.begin(), r.response_fields.set.end());
        }
    }
    return t;
}

TEST_CASE("a tenant written as JSON reads as itself") {
    generator g(2);
    for (int i = 0; i < 500; ++i) {
        const tenant::tenant t = g.make();
        const std::string text = boost::json::serialize(to_json(t));
        unknown_keys unknown;
        const auto again = parse_tenant(boost::json::parse(text).as_object(), "redis acme", "", "X-Tenant-", unknown);
        INFO(text);
        REQUIRE(again.value);
        REQUIRE(by_name(*again.value) == by_name(t));
        REQUIRE(unknown.empty());
    }
}

TEST_CASE("a tenant is written plainly") {
    tenant::tenant t;
    t.id = t.label = "acme";
    CHECK(to_toml(t) == "id = \"acme\"\nstate = \"active\"\n");
}
