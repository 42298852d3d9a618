// What was used of quotas: stored when it moved, told when it is nearly all.
#include "quotas.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

using namespace gatehouse;
using gatehouse::server::quotas;

namespace {

constexpr std::int64_t now = 1'700'000'000;
constexpr quota ten{10, quota_period::day};

// Keeps what it is given, and answers when it is told to.
struct recorder {
    std::vector<std::vector<limit::quota_use>> saved;
    std::vector<std::function<void(std::string)>> waiting;
    quotas::save save() {
        return [this](std::vector<limit::quota_use> rows, std::function<void(std::string)> done) {
            saved.push_back(std::move(rows));
            waiting.push_back(std::move(done));
        };
    }
    void answer(const std::string& why_not = {}) { std::exchange(waiting, {}).at(0)(why_not); }
};

void use(limit::quota_account& a, const quota& q, int times, std::int64_t when = now) {
    for (int i = 0; i < times; ++i)
        a.take(q, when);
}

}  // namespace

TEST_CASE("what moved is stored, one save after the other, and again when it failed") {
    const auto book = std::make_shared<limit::quota_book>();
    recorder r;
    quotas q(*book, r.save());
    const auto one = book->account("one", "", ten), two = book->account("two", "/api", ten);
    q.gather(now);
    CHECK(r.saved.empty());
    use(*one, ten, 2);
    q.gather(now);
    REQUIRE(r.saved.size() == 1);
    REQUIRE(r.saved[0].size() == 1);
    CHECK(r.saved[0][0].owner == "one");
    CHECK(r.saved[0][0].count == 2);
    use(*one, ten, 1);
    use(*two, ten, 1);
    q.gather(now);
    CHECK(r.saved.size() == 1);  // the first is not stored yet
    r.answer("the disk is full");
    use(*two, ten, 1);
    q.gather(now);
    REQUIRE(r.saved.size() == 2);
    REQUIRE(r.saved[1].size() == 2);
    CHECK(r.saved[1][0].count == 3);
    CHECK(r.saved[1][1].route == "/api");
    CHECK(r.saved[1][1].count == 2);
    r.answer("the disk is full");
    q.gather(now);
    REQUIRE(r.saved.size() == 3);
    CHECK(r.saved[2].size() == 2);  // nothing moved, but nothing is stored
    use(*one, ten, 1);
    q.finish(now);
    REQUIRE(r.saved.size() == 4);  // whatever is still being stored
    CHECK(r.saved[3].size() == 1);
    CHECK(r.saved[3][0].count == 4);
}

TEST_CASE("those over four fifths are shown, while their period lasts, a hundred at most") {
    const auto book = std::make_shared<limit::quota_book>();
    recorder r;
    quotas q(*book, r.save());
    const auto small = book->account("small", "", ten), route = book->account("small", "/x", ten);
    use(*small, ten, 7);
    use(*route, ten, 8);
    q.gather(now);
    auto rows = q.nearly_used(now);
    REQUIRE(rows.size() == 1);
    CHECK(rows[0].route == "/x");
    CHECK(rows[0].used == Approx(0.8));
    use(*small, ten, 5);
    q.gather(now);
    rows = q.nearly_used(now);
    REQUIRE(rows.size() == 2);
    CHECK(rows[0].tenant == "small");
    CHECK(rows[0].route.empty());
    CHECK(rows[0].used == Approx(1));
    book->account("small", "", {100, quota_period::day});   // a larger one
    CHECK(q.nearly_used(now).size() == 1);
    CHECK(q.nearly_used(now + 86'400).empty());
    q.gather(now + 86'400);
    CHECK(q.nearly_used(now).empty());
    std::vector<std::shared_ptr<limit::quota_account>> many;
    for (int i = 0; i < 150; ++i) {
        many.push_back(book->account("t" + std::to_string(i), "", ten));
        use(*many.back(), ten, i < 30 ? 10 : 9);
    }
    q.gather(now);
    rows = q.nearly_used(now);
    REQUIRE(rows.size() == quotas::shown_max);
    CHECK(rows[29].used == Approx(1));
    CHECK(rows[30].used == Approx(0.9));
}
