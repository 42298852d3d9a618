// The directory as one thread sees it.
#include "make.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <gatehouse/tenant/directory.hpp>
#include <map>
#include <random>
#include <set>

using namespace tenant_test;

TEST_CASE("an empty directory knows nobody") {
    tenant::directory d;
    CHECK(d.find_host("") == nullptr);
    CHECK(d.find_host("acme.localhost") == nullptr);
    CHECK(d.find_tenant("") == nullptr);
    CHECK(d.current_platform() != nullptr);
    CHECK(d.tenant_count() == 0);
    d.remove("acme");
    CHECK(d.take_retired().empty());
}

TEST_CASE("exact names win over wildcards, which take one label") {
    tenant::directory d;
    d.put(record_of("a", {"a.example", "*.a.example"}));
    d.put(record_of("b", {"b.a.example"}));
    const std::pair<const char*, const char*> rows[] = {
        {"a.example", "a"},
        {"x.a.example", "a"},
        {"b.a.example", "b"},
        {"x.b.a.example", ""},
        {"example", ""},
        {".a.example", ""},
        {"a.example.", ""},
        {"xa.example", ""},
        {"", ""},
        {".", ""},
        {"*.a.example", "a"},  // as any other label; no valid host looks like it
    };
    for (const auto& [host, id] : rows) {
        INFO(host);
        CHECK(owner(d, host) == id);
    }
    d.put(record_of("b", {}));
    CHECK(owner(d, "b.a.example") == "a");
    d.put(record_of("c", {"new.a.example"}));  // a new exact name takes over from an older wildcard
    CHECK(owner(d, "new.a.example") == "c");
    d.put(record_of("a", {"a.example"}));
    CHECK(owner(d, "x.a.example").empty());
}

TEST_CASE("a wildcard and an exact name of the same text are two entries") {
    tenant::directory d;
    d.put(record_of("a", {"*.x.example"}));
    CHECK(owner(d, "x.example").empty());
    d.put(record_of("b", {"x.example"}));
    CHECK(owner(d, "x.example") == "b");
    CHECK(owner(d, "y.x.example") == "a");
    d.remove("b");
    CHECK(owner(d, "y.x.example") == "a");
    CHECK(owner(d, "x.example").empty());
}

TEST_CASE("put replaces the record at every host and drops hosts no longer listed") {
    tenant::directory d;
    d.put(record_of("a", {"one", "two", "three"}, 1));
    const auto newer = record_of("a", {"two", "four"}, 2);
    d.put(newer);
    CHECK(owner(d, "one").empty());
    CHECK(owner(d, "three").empty());
    for (const char* host : {"two", "four"})
        CHECK(*d.find_host(host) == newer);
    CHECK(*d.find_tenant("a") == newer);
    CHECK(d.tenant_count() == 1);
    d.put(newer);  // the same record again changes nothing
    for (const char* host : {"two", "four"})
        CHECK(*d.find_host(host) == newer);
    d.put(record_of("twice", {"same", "same"}));
    CHECK(owner(d, "same") == "twice");
    d.remove("twice");
    CHECK(owner(d, "same").empty());
}

TEST_CASE("a host that changes hands dangles nowhere") {
    tenant::directory d;
    d.put(record_of("a", {"shop", "a"}));
    d.put(record_of("b", {"shop", "b"}));
    CHECK(owner(d, "shop") == "b");
    SECTION("the old owner is put again without it") {
        d.put(record_of("a", {"a"}));
        CHECK(owner(d, "shop") == "b");
    }
    SECTION("the old owner is removed") {
        d.remove("a");
        CHECK(owner(d, "shop") == "b");
        CHECK(owner(d, "a").empty());
    }
    SECTION("the new owner is removed") {
        d.remove("b");
        CHECK(owner(d, "shop").empty());
        d.remove("a");
        CHECK(owner(d, "shop").empty());
    }
    SECTION("it goes back") {
        d.put(record_of("a", {"shop", "a"}, 2));
        CHECK(owner(d, "shop") == "a");
        d.put(record_of("b", {"b"}, 2));
        CHECK(owner(d, "shop") == "a");
    }
}

TEST_CASE("gone records keep their hosts and do not count") {
    tenant::directory d;
    d.put(record_of("a", {"a.example"}));
    CHECK(d.tenant_count() == 1);
    d.put(gone("a", {"a.example"}));
    CHECK(d.tenant_count() == 0);
    REQUIRE(d.find_host("a.example") != nullptr);
    CHECK((*d.find_host("a.example"))->tenant == nullptr);
    d.put(record_of("a", {"a.example"}));
    CHECK(d.tenant_count() == 1);
    d.remove("a");
    d.remove("a");
    CHECK(d.tenant_count() == 0);
}

TEST_CASE("the generation moves with every change and with nothing else") {
    tenant::directory d;
    auto before = d.generation();
    const auto moved = [&] { return std::exchange(before, d.generation()) != d.generation(); };
    CHECK_FALSE(moved());
    d.put(record_of("a", {"a"}));
    CHECK(moved());
    d.set_platform(std::make_shared<tenant::platform>());
    CHECK(moved());
    d.find_host("a");
    CHECK_FALSE(moved());
    d.remove("nobody");
    CHECK_FALSE(moved());
    d.remove("a");
    CHECK(moved());
}

TEST_CASE("what is replaced lives until the retired list is dropped") {
    tenant::directory d;
    auto first = record_of("a", {"a", "*.a"});
    const std::weak_ptr<const tenant::record> watch = first;
    d.put(std::move(first));
    const tenant::record_ptr* held = d.find_host("a");
    d.put(record_of("a", {"a"}));
    CHECK_FALSE(watch.expired());
    CHECK((*held)->hosts.size() == 2);  // a reader's pointer still holds
    auto garbage = d.take_retired();
    CHECK(garbage.size() == 3);  // two hosts and the id
    CHECK(d.take_retired().empty());
    CHECK_FALSE(watch.expired());
    garbage.clear();
    CHECK(watch.expired());

    const tenant::platform_ptr* platform = &d.current_platform();
    const std::weak_ptr<const tenant::platform> old = *platform;
    d.set_platform(nullptr);
    CHECK(d.current_platform() != nullptr);
    CHECK((*platform)->context_prefix == "X-Tenant-");
    d.take_retired().clear();
    CHECK(old.expired());
}

TEST_CASE("for_each meets each tenant once") {
    tenant::directory d;
    std::set<std::string> expected, seen;
    for (int i = 0; i < 500; ++i) {
        const std::string id = "t" + std::to_string(i);
        d.put(record_of(id, {id}));
        if (i % 3 == 0)
            d.remove(id);
        else
            expected.insert(id);
    }
    std::size_t calls = 0;
    d.for_each([&](const tenant::record_ptr& r) { seen.insert(r->id), ++calls; });
    CHECK(seen == expected);
    CHECK(calls == expected.size());
}

TEST_CASE("property: the directory agrees with a plain map through random changes") {
    std::mt19937 random(11);
    tenant::directory d;
    std::map<std::string, std::string> hosts;                 // host -> id
    std::map<std::string, std::vector<std::string>> tenants;  // id -> hosts
    for (int i = 0; i < 20000; ++i) {
        const std::string id = "t" + std::to_string(random() % 200);
        // As the registry sees to: only names that are free or its own.
        std::erase_if(hosts, [&](const auto& h) { return h.second == id; });
        if (random() % 4 == 0) {
            tenants.erase(id);
            d.remove(id);
        } else {
            std::vector<std::string> list;
            for (unsigned n = random() % 6; n > 0; --n) {
                std::string host = (random() % 5 == 0 ? "*.h" : "h") +
                                   std::to_string(random() % 1000) + ".example";
                if (hosts.try_emplace(host, id).second) list.push_back(std::move(host));
            }
            tenants[id] = list;
            d.put(record_of(id, list));
        }
        if (i % 7 == 0) d.take_retired().clear();
        if (i % 500 != 0) continue;
        for (int n = 0; n < 1000; ++n) {
            const std::string name = "h" + std::to_string(n) + ".example", below = "x." + name;
            REQUIRE(owner(d, name) == (hosts.contains(name) ? hosts[name] : ""));
            REQUIRE(owner(d, below) == (hosts.contains("*." + name) ? hosts["*." + name] : ""));
        }
        REQUIRE(d.tenant_count() == tenants.size());
    }
}

TEST_CASE("a list of hosts keeps their order, and may be empty") {
    const tenant::host_list none, three{"b.example", "a.example", "*.c.example"};
    CHECK(none.empty());
    CHECK(none.size() == 0);
    CHECK(none.begin() == none.end());
    CHECK(none == tenant::host_list(std::vector<std::string>{}));
    CHECK(three.size() == 3);
    CHECK(three.front() == "b.example");
    CHECK(std::vector<std::string>(three.begin(), three.end()) ==
          std::vector<std::string>{"b.example", "a.example", "*.c.example"});
    CHECK(three == std::vector<std::string>{"b.example", "a.example", "*.c.example"});
    CHECK_FALSE(three == tenant::host_list{"b.example", "a.example"});
    const auto copy = three;
    CHECK(copy.front().data() == three.front().data());
}
