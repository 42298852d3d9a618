#include "turns.hpp"

#include <catch2/catch.hpp>
#include <stdexcept>
#include <utility>
#include <vector>

using gatehouse::admin::turns;

namespace {

struct world {
    turns all;
    std::vector<int> begun;
    std::map<int, turns::turn> under_way;
    void take(const std::string& key, int n) {
        all.take(key, [this, n](turns::turn t) {
            begun.push_back(n);
            under_way[n] = std::move(t);
        });
    }
};

}  // namespace

TEST_CASE("of one key one after another, of others at once") {
    world w;
    w.take("a", 1);
    w.take("a", 2);
    w.take("b", 3);
    CHECK(w.begun == std::vector{1, 3});
    std::exchange(w.under_way[1], nullptr).reset();
    CHECK(w.begun == std::vector{1, 3, 2});
    w.under_way.clear();
    w.take("a", 4);
    CHECK(w.begun.back() == 4);
}

TEST_CASE("work that throws has had its turn") {
    world w;
    w.all.take("a", [](const turns::turn&) { throw std::runtime_error("a fault"); });
    w.take("a", 1);
    CHECK(w.begun == std::vector{1});
}

TEST_CASE("after a stop nothing is begun, and what waited is gone") {
    world w;
    const auto held = std::make_shared<int>();
    w.take("a", 1);
    w.all.take("a", [&w, held](const turns::turn&) { w.begun.push_back(2); });
    w.all.stop();
    CHECK(held.use_count() == 1);
    w.under_way.clear();
    w.take("a", 3);
    CHECK(w.begun == std::vector{1});
}
