// May this tenant be served, here, now, to this address.
#include "make.hpp"

#include <catch2/catch.hpp>
#include <functional>
#include <gatehouse/tenant/decide.hpp>

using namespace tenant_test;
using gatehouse::problem;
using namespace std::chrono_literals;

namespace {

constexpr tenant::utc_time now{1'800'000'000s};

std::vector<gatehouse::ip_network> networks(const std::vector<const char*>& texts) {
    std::vector<gatehouse::ip_network> out;
    for (const char* text : texts)
        out.push_back(gatehouse::parse_network(text).value());
    return out;
}

struct family {
    settings top, agency, child;
    family() {
        top.id = "top";
        agency.id = "agency", agency.parent = "top";
        child.id = "child", child.parent = "agency";
    }
};

using change = std::function<void(family&)>;

void suspend(settings& t, tenant::suspension reason, std::optional<tenant::utc_time> until = {}) {
    t.state = tenant::life::suspended;
    t.reason = reason;
    t.until = until;
    t.message = "message of " + t.id;
}

tenant::guard_verdict verdict_of(const change& f, const char* region = "eu-west",
                                 const char* client = "192.0.2.7") {
    family x;
    f(x);
    tenant::directory d;
    for (const auto& t : {x.top, x.agency, x.child})
        d.put(record_of(t, {}));
    const auto e = effective_of(d, "child");
    tenant::guard_input in{
        .client = {}, .client_known = client != nullptr, .now = now, .node_region = region};
    if (client != nullptr) in.client = gatehouse::parse_ip(client).value();
    auto v = tenant::guard(*e, in);
    static std::string kept;  // what the tenant says points into e
    kept = v.message;
    v.message = kept;
    return v;
}

struct row {
    const char* what;
    change f;
    problem refused;
    std::int64_t retry_after_s = 0;
    const char* detail = nullptr;
};

}  // namespace

TEST_CASE("guard: states of the tenant and of its ancestors") {
    using tenant::life;
    using tenant::suspension;
    // The tenant's own words are never taken for ours.
    CHECK(verdict_of([](family& x) { suspend(x.child, suspension::legal); }).detail.empty());
    CHECK(verdict_of([](family& x) { suspend(x.agency, suspension::legal); }).message.empty());
    const char* above = "The tenant above this one is not in service.";
    const row rows[] = {
        {"all active", [](family&) {}, problem::none, 0, ""},
        {"provisioning", [](family& x) { x.child.state = life::provisioning; },
         problem::tenant_provisioning},
        {"deleting", [](family& x) { x.child.state = life::deleting; }, problem::tenant_gone},
        {"billing", [](family& x) { suspend(x.child, suspension::billing); },
         problem::suspended_billing, 0, "message of child"},
        {"abuse", [](family& x) { suspend(x.child, suspension::abuse); }, problem::suspended_abuse,
         0, "message of child"},
        {"legal", [](family& x) { suspend(x.child, suspension::legal); }, problem::suspended_legal,
         0, "message of child"},
        {"maintenance", [](family& x) { suspend(x.child, suspension::maintenance, now + 60s); },
         problem::tenant_maintenance, 60, "message of child"},
        {"no reason given", [](family& x) { suspend(x.child, suspension::none); },
         problem::suspended_abuse},
        {"until a moment ahead", [](family& x) { suspend(x.child, suspension::billing, now + 1s); },
         problem::suspended_billing, 1},
        {"until now", [](family& x) { suspend(x.child, suspension::billing, now); }, problem::none},
        {"until a moment past", [](family& x) { suspend(x.child, suspension::billing, now - 1s); },
         problem::none},
        {"the parent", [=](family& x) { suspend(x.agency, suspension::legal); },
         problem::suspended_legal, 0, above},
        {"the topmost", [=](family& x) { suspend(x.top, suspension::billing); },
         problem::suspended_billing, 0, above},
        {"the topmost deleting", [](family& x) { x.top.state = life::deleting; },
         problem::tenant_gone},
        {"the tenant before its parent",
         [](family& x) {
             suspend(x.top, suspension::legal), suspend(x.child, suspension::billing);
         },
         problem::suspended_billing},
        {"a parent nobody knows", [=](family& x) { x.top.parent = "nobody"; },
         problem::registry_unavailable, 0, above},
        {"its own state before the missing parent",
         [](family& x) { x.top.parent = "nobody", suspend(x.child, suspension::billing); },
         problem::suspended_billing},
    };
    for (const row& x : rows) {
        INFO(x.what);
        const auto v = verdict_of(x.f);
        CHECK(v.refused == x.refused);
        CHECK(v.retry_after_s == x.retry_after_s);
        if (x.detail != nullptr) CHECK((v.message.empty() ? v.detail : v.message) == x.detail);
    }
}

TEST_CASE("guard: maintenance windows, the end not included") {
    const auto window = [](settings family::*who, std::chrono::seconds from,
                           std::chrono::seconds to) {
        return [=](family& x) {
            (x.*who).maintenance = {{now - 20h, now - 19h, "past"},
                                    {now + from, now + to, "Back soon"}};
        };
    };
    const row rows[] = {
        {"running", window(&family::child, -10s, 30s), problem::tenant_maintenance, 30,
         "Back soon"},
        {"begins now", window(&family::child, 0s, 30s), problem::tenant_maintenance, 30},
        {"ended now", window(&family::child, -10s, 0s), problem::none},
        {"to come", window(&family::child, 1s, 30s), problem::none},
        {"the parent's", window(&family::agency, -1s, 5s), problem::tenant_maintenance, 5,
         "Back soon"},
        {"the topmost's", window(&family::top, -1s, 5s), problem::tenant_maintenance, 5},
        {"a state comes first",
         [=](family& x) {
             window(&family::child, -1s, 5s)(x), suspend(x.top, tenant::suspension::abuse);
         },
         problem::suspended_abuse},
    };
    for (const row& x : rows) {
        INFO(x.what);
        const auto v = verdict_of(x.f);
        CHECK(v.refused == x.refused);
        CHECK(v.retry_after_s == x.retry_after_s);
        if (x.detail != nullptr) CHECK((v.message.empty() ? v.detail : v.message) == x.detail);
    }
}

TEST_CASE("guard: a strict tenant is served in its region alone, whatever else is wrong") {
    struct region_row {
        tenant::residency residency;
        const char *region, *node;
        problem refused;
    };
    using tenant::residency;
    const region_row rows[] = {
        {residency::strict, "eu-west", "eu-west", problem::none},
        {residency::strict, "eu-west", "us-east", problem::wrong_region},
        {residency::strict, "eu-west", "", problem::none},
        {residency::strict, "", "us-east", problem::none},
        {residency::preferred, "eu-west", "us-east", problem::none},
    };
    for (const auto& x : rows) {
        INFO(x.region << " at " << x.node);
        const auto set = [&](family& f) { f.top.region = x.region, f.top.residency = x.residency; };
        CHECK(verdict_of(set, x.node).refused == x.refused);
        const auto suspended = verdict_of(
            [&](family& f) { set(f), suspend(f.child, tenant::suspension::billing); }, x.node);
        CHECK(suspended.refused ==
              (x.refused == problem::none ? problem::suspended_billing : problem::wrong_region));
    }
}

TEST_CASE("where a strict tenant of another region is relayed to, and when it is not") {
    using tenant::residency;
    struct relay_row {
        bool relays;
        tenant::residency residency;
        const char *region, *node, *address;
    };
    const relay_row rows[] = {
        {true, residency::strict, "us-east", "eu-west", "us.example:8443"},
        {false, residency::strict, "us-east", "eu-west", ""},    // the node refuses or redirects
        {true, residency::preferred, "us-east", "eu-west", ""},  // it may be served here
        {true, residency::strict, "eu-west", "eu-west", ""},
        {true, residency::strict, "us-east", "", ""},  // a node of no region serves all
        {true, residency::strict, "", "eu-west", ""},
        {true, residency::strict, "ap-south", "eu-west", ""},  // without an address
        {true, residency::strict, "sa-east", "eu-west", ""},   // not even known
    };
    for (const auto& x : rows) {
        INFO(x.relays << x.region << " at " << x.node);
        family f;
        f.top.region = x.region;  // inherited by the child
        f.top.residency = x.residency;
        tenant::directory d;
        auto p = std::make_shared<tenant::platform>();
        p->relays = x.relays;
        p->region_addresses = {
            {"us-east", "us.example:8443"}, {"eu-west", "eu.example:1"}, {"ap-south", ""}};
        d.set_platform(p);
        for (const auto& t : {f.top, f.agency, f.child})
            d.put(record_of(t, {}));
        const auto e = effective_of(d, "child");
        CHECK(tenant::relay_address(*e, x.node) == x.address);
        if (*x.address != '\0') CHECK(tenant::belongs_elsewhere(*e, x.node));
    }
}

TEST_CASE("guard: deny before allow; a list of those allowed refuses all others") {
    struct address_row {
        std::vector<const char*> allow, deny;
        const char* client;
        bool in;
    };
    const address_row rows[] = {
        {{}, {}, "192.0.2.7", true},
        {{"192.0.2.0/24"}, {}, "192.0.2.7", true},
        {{"192.0.2.0/24"}, {}, "198.51.100.1", false},
        {{}, {"192.0.2.0/24"}, "192.0.2.7", false},
        {{}, {"192.0.2.0/24"}, "198.51.100.1", true},
        {{"192.0.2.0/24"}, {"192.0.2.7"}, "192.0.2.7", false},
        {{"192.0.2.0/24"}, {"192.0.2.7"}, "192.0.2.8", true},
        {{"2001:db8::/32"}, {}, "2001:db8::1", true},
        {{"2001:db8::/32"}, {}, "192.0.2.7", false},
        {{"0.0.0.0/0"}, {}, "2001:db8::1", false},
        {{"192.0.2.0/24"}, {}, nullptr, false},  // a Unix socket has no address
        {{"0.0.0.0/0", "::/0"}, {}, nullptr, false},
        {{}, {"::/0"}, nullptr, true},
    };
    for (const auto& x : rows) {
        INFO((x.client == nullptr ? "unix" : x.client));
        const auto own = verdict_of(
            [&](family& f) { f.child.allow = networks(x.allow), f.child.deny = networks(x.deny); },
            "", x.client);
        CHECK(own.refused == (x.in ? problem::none : problem::forbidden));
        const auto parents = verdict_of(
            [&](family& f) {
                f.agency.allow = networks(x.allow), f.agency.deny = networks(x.deny);
            },
            "", x.client);
        CHECK(parents.refused == problem::none);  // not inherited
        tenant::effective_route r;
        r.spec.allow = networks(x.allow);
        r.spec.deny = networks(x.deny);
        tenant::guard_input in{
            .client = {}, .client_known = x.client != nullptr, .now = now, .node_region = {}};
        if (x.client != nullptr) in.client = gatehouse::parse_ip(x.client).value();
        CHECK(tenant::guard_route(r, in).refused == (x.in ? problem::none : problem::forbidden));
    }
}
