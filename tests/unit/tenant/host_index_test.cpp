// The index of host names: what is in it is found, what is not is not, whoever reads meanwhile.
#include <atomic>
#include <catch2/catch.hpp>
#include <gatehouse/tenant/host_index.hpp>
#include <set>
#include <random>
#include <string>
#include <thread>
#include <vector>

using gatehouse::tenant::host_index;

namespace {

std::string host(int n) { return "shop-" + std::to_string(n) + ".example"; }

struct closed_index : host_index {
    closed_index() { set_open(false); }
    bool may_exist(std::string_view host) const { return has(host) || has_wildcard(host); }
};

}  // namespace

TEST_CASE("names come and go") {
    closed_index index;
    CHECK_FALSE(index.may_exist("a.example"));
    index.insert("a.example");
    index.insert("a.example");
    CHECK(index.size() == 1);
    CHECK(index.may_exist("a.example"));
    CHECK_FALSE(index.may_exist("b.a.example"));
    index.insert("*.a.example");
    CHECK(index.may_exist("b.a.example"));
    CHECK_FALSE(index.has("b.a.example"));
    CHECK_FALSE(index.may_exist("c.b.a.example"));
    CHECK_FALSE(index.may_exist(".a.example"));
    CHECK_FALSE(index.may_exist("localhost"));
    index.erase("*.a.example");
    index.erase("*.a.example");
    CHECK_FALSE(index.may_exist("b.a.example"));
    CHECK(index.may_exist("a.example"));
    index.replace({"x.example", "*.y.example", "x.example"});
    CHECK(index.size() == 2);
    CHECK_FALSE(index.may_exist("a.example"));
    CHECK(index.may_exist("x.example"));
    CHECK(index.may_exist("z.y.example"));
}

TEST_CASE("before all names are known any may exist") {
    host_index index;
    CHECK(index.has("a.example"));
    CHECK(index.has_wildcard("a.example"));
    index.set_open(false);
    CHECK_FALSE(index.has("a.example"));
    CHECK_FALSE(index.has_wildcard("a.example"));
}

TEST_CASE("it holds what a set of names would hold") {
    closed_index index;
    std::set<int> model;
    std::mt19937 random(7);
    for (int i = 0; i < 200'000; ++i) {
        const int n = static_cast<int>(random() % 5000);
        if (random() % 2 == 0) {
            index.insert(host(n));
            model.insert(n);
        } else {
            index.erase(host(n));
            model.erase(n);
        }
    }
    CHECK(index.size() == model.size());
    for (int n = 0; n < 5000; ++n)
        REQUIRE(index.may_exist(host(n)) == model.contains(n));
}

TEST_CASE("a name that stays is found while others come and go") {
    closed_index index;
    for (int n = 0; n < 100; ++n)
        index.insert(host(n));
    std::atomic<bool> end{false};
    std::atomic<int> missed{0};
    std::vector<std::thread> readers;
    for (int t = 0; t < 2; ++t)
        readers.emplace_back([&] {
            for (int n = 0; !end; n = (n + 1) % 100)
                if (!index.may_exist(host(n))) ++missed;
        });
    std::vector<std::shared_ptr<const void>> kept;   // until the readers have passed
    const auto keep = [&] {
        for (auto& old : index.take_retired())
            kept.push_back(std::move(old));
    };
    for (int n = 100; n < 50'000; ++n) {
        index.insert(host(n));
        if (n % 3 == 0) index.erase(host(n));
        keep();
    }
    end = true;
    for (std::thread& t : readers)
        t.join();
    CHECK(missed == 0);
    CHECK(index.size() == 100 + 49'900 - 16'633);
}
