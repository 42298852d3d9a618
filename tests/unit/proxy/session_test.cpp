// What a session remembers of its tenant and is charged to, and what ends with a tenant.
#include <catch2/catch.hpp>
#include <gatehouse/proxy/exchange.hpp>
#include <gatehouse/proxy/live.hpp>

#include "make.hpp"

using namespace gatehouse;
using namespace gatehouse::proxy;

namespace {

struct fixture {
    fixture() {
        directory.set_platform(std::make_shared<tenant::platform>());
        put("acme", "acme.example", 2);
        put("pixel", "pixel.example", 1);
    }
    void put(const std::string& id, const std::string& host, std::uint32_t connections,
             tenant::life state = tenant::life::active, const std::string& parent = "") {
        tenant_test::settings t;
        t.id = id;
        t.state = state;
        t.parent = parent;
        t.limits.connections = connections;
        auto r = std::make_shared<tenant::record>(*tenant_test::record_of(t, {host}));
        if (const auto* before = directory.find_tenant(id)) r->state = (*before)->state;
        directory.put(r);
    }
    binding_ptr bind(const std::string& id) {
        auto b = std::make_shared<binding>();
        b->effective = tenant_test::effective_of(directory, id);
        return b;
    }
    std::uint32_t connections(const std::string& id) {
        return (*directory.find_tenant(id))->state->cells.connections.value();
    }
    tenant::directory directory;
};

constexpr tenant::utc_time noon{std::chrono::seconds(1'700'000'000)};

void count(void* context) {
    ++*static_cast<int*>(context);
}

}  // namespace

TEST_CASE("what was resolved holds for that host and those generations alone") {
    fixture f;
    session_tenant who;
    CHECK(who.find("acme.example", 1, 1) == nullptr);
    const binding_ptr b = f.bind("acme");
    who.set("acme.example", b, 5, 7);
    REQUIRE(who.find("acme.example", 5, 7) != nullptr);
    CHECK(*who.find("acme.example", 5, 7) == b);
    CHECK(who.find("www.acme.example", 5, 7) == nullptr);
    CHECK(who.find("acme.example", 6, 7) == nullptr);
    CHECK(who.find("acme.example", 5, 8) == nullptr);
    who.set({}, b, 5, 7);  // named by a path or field: nothing to find
    CHECK(who.find("acme.example", 5, 7) == nullptr);
}

TEST_CASE("a connection is charged to one tenant at a time") {
    fixture f;
    const binding_ptr acme = f.bind("acme"), pixel = f.bind("pixel");
    const limit::level* by = nullptr;
    {
        session_tenant a, b;
        CHECK(a.enter(acme, &by));
        CHECK(a.enter(acme, &by));
        CHECK(f.connections("acme") == 1);
        CHECK(b.enter(acme, &by));
        CHECK(f.connections("acme") == 2);
        session_tenant c;
        CHECK_FALSE(c.enter(acme, &by));
        REQUIRE(by != nullptr);
        CHECK(by->owner == "acme");
        CHECK(f.connections("acme") == 2);
        CHECK(a.enter(pixel, &by));
        CHECK(f.connections("acme") == 1);
        CHECK(f.connections("pixel") == 1);
        CHECK(c.enter(acme, &by));
        a.leave();
        a.leave();
        CHECK(f.connections("pixel") == 0);
    }
    CHECK(f.connections("acme") == 0);
}

TEST_CASE("a tenant's new version keeps its connections, each charged once") {
    fixture f;
    const limit::level* by = nullptr;
    session_tenant a;
    CHECK(a.enter(f.bind("acme"), &by));
    f.put("acme", "acme.example", 1);
    CHECK(a.enter(f.bind("acme"), &by));
    CHECK(f.connections("acme") == 1);
    session_tenant b;
    CHECK_FALSE(b.enter(f.bind("acme"), &by));
    a.leave();
    CHECK(f.connections("acme") == 0);
}

TEST_CASE("a live entry ends when its tenant or an ancestor may no longer run") {
    struct row {
        const char* what;
        void (*change)(fixture&);
        bool ends;
    };
    for (const row& r : {
             row{"nothing", [](fixture&) {}, false},
             row{"another tenant is suspended",
                 [](fixture& f) { f.put("pixel", "pixel.example", 1, tenant::life::suspended); },
                 false},
             row{"it is replaced by an active version",
                 [](fixture& f) { f.put("acme", "acme.example", 9); }, false},
             row{"it is suspended",
                 [](fixture& f) { f.put("acme", "acme.example", 1, tenant::life::suspended); },
                 true},
             row{"it is being deleted",
                 [](fixture& f) { f.put("acme", "acme.example", 1, tenant::life::deleting); },
                 true},
             row{"it is removed", [](fixture& f) { f.directory.remove("acme"); }, true},
             row{"it is gone",
                 [](fixture& f) { f.directory.put(tenant_test::gone("acme", {"acme.example"})); },
                 true},
             row{"it gets a suspended parent",
                 [](fixture& f) {
                     f.put("pixel", "pixel.example", 1, tenant::life::suspended);
                     f.put("acme", "acme.example", 1, tenant::life::active, "pixel");
                 },
                 true},
         }) {
        CAPTURE(r.what);
        fixture f;
        live_list list(f.directory);
        int ended = 0, others = 0;
        live_entry a, b;
        list.add(a, "acme", noon, &count, &ended);
        list.sweep(noon);
        list.add(b, "pixel", noon, &count, &others);
        CHECK(ended == 0);
        r.change(f);
        list.sweep(noon);
        CHECK((ended > 0) == r.ends);
        const int once = ended;
        list.sweep(noon);  // nothing has changed since
        CHECK(ended == once);
    }
}

TEST_CASE("live entries leave the list with their owner, in any order") {
    fixture f;
    live_list list(f.directory);
    int told = 0;
    auto a = std::make_unique<live_entry>(), b = std::make_unique<live_entry>(),
         c = std::make_unique<live_entry>();
    const live_entry never_added;
    for (live_entry* e : {a.get(), b.get(), c.get()})
        list.add(*e, "acme", noon, &count, &told);
    b.reset();
    list.close_all();
    CHECK(told == 2);
    a.reset();
    list.close_all();
    CHECK(told == 3);
    c.reset();
    list.close_all();
    CHECK(told == 3);
}
