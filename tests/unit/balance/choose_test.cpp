// The four ways to choose: exact counts, distributions, what moves when an endpoint is lost.
#include <gatehouse/balance/choose.hpp>

#include <array>
#include <catch2/catch.hpp>
#include <random>
#include <vector>

namespace balance = gatehouse::balance;
using balance::candidate;
using how = gatehouse::tenant::balance;

namespace {

std::vector<candidate> with_weights(const std::vector<std::uint32_t>& weights) {
    std::vector<candidate> out;
    std::uint64_t identity = 0x1234'5678'9abc'def0;
    for (const auto w : weights)
        out.push_back({.weight = w,
                       .in_flight = 0,
                       .identity = identity += 0x9e37'79b9'7f4a'7c15,
                       .usable = true});
    return out;
}

std::size_t pick(how h, const std::vector<candidate>& c, std::uint64_t key = 0,
                 std::uint64_t random = 0, std::uint64_t cursor = 0) {
    return balance::choose(h, c, key, random, cursor);
}

constexpr how all[] = {how::round_robin, how::least_requests, how::random2, how::hash};

}  // namespace

TEST_CASE("nothing usable: none; a draining or excluded one is never chosen") {
    std::mt19937_64 random(7);
    for (const how h : all) {
        INFO("way " << static_cast<int>(h));
        CHECK(pick(h, {}) == balance::none);
        auto c = with_weights({0, 2, 2, 2});
        c[2].usable = false;
        std::uint64_t cursor = 0;
        std::array<int, 4> seen{};
        for (int i = 0; i < 2000; ++i) {
            const auto at = balance::choose(h, c, random(), random(), cursor);
            REQUIRE(at < 4);
            ++seen[at];
        }
        CHECK(seen[0] == 0);
        CHECK(seen[2] == 0);
        CHECK(seen[1] > 0);
        CHECK(seen[3] > 0);
        c[1].usable = c[3].usable = false;
        CHECK(pick(h, c) == balance::none);
    }
}

TEST_CASE("round robin: each cycle takes exactly the weights, wherever it begins") {
    const std::vector<std::vector<std::uint32_t>> rows{{1},
                                                       {1, 1},
                                                       {1, 1, 1},
                                                       {5, 1, 1},
                                                       {1, 2, 3, 4},
                                                       {100, 100},
                                                       {7, 0, 3},
                                                       {1, 1000},
                                                       {13, 17, 19, 23, 1},
                                                       {std::uint32_t{1} << 16, 1},
                                                       std::vector<std::uint32_t>(50, 2)};
    for (const auto& weights : rows) {
        const auto c = with_weights(weights);
        std::uint64_t cycle = 0;
        for (const auto w : weights)
            cycle += w;
        for (const std::uint64_t begin :
             {std::uint64_t{0}, std::uint64_t{3}, std::uint64_t{1} << 40}) {
            std::vector<std::uint64_t> seen(weights.size());
            std::uint64_t cursor = begin;
            for (std::uint64_t i = 0; i < cycle; ++i)
                ++seen[balance::choose(how::round_robin, c, 0, 0, cursor)];
            CHECK(cursor == begin + cycle);
            CHECK(std::vector<std::uint32_t>(seen.begin(), seen.end()) == weights);
        }
    }
}

TEST_CASE("round robin is smooth") {
    const auto order = [](const std::vector<std::uint32_t>& weights, int picks) {
        const auto c = with_weights(weights);
        std::uint64_t cursor = 0;
        std::string out;
        for (int i = 0; i < picks; ++i)
            out += static_cast<char>('a' + balance::choose(how::round_robin, c, 0, 0, cursor));
        return out;
    };
    CHECK(order({1, 1, 1}, 6) == "abcabc");
    CHECK(order({100, 100}, 6) == "ababab");
    CHECK(order({2, 1}, 6) == "abaaba");
    CHECK(order({5, 1, 1}, 7) == "aaabcaa");
    CHECK(order({3, 1}, 8) == "aabaaaba");
    // Within a cycle nobody is ever more than one turn from its fair part (two endpoints).
    const std::vector<std::uint32_t> weights{37, 11};
    const auto text = order(weights, 48);
    double of_a = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        of_a += text[i] == 'a' ? 1 : 0;
        CHECK(std::abs(of_a - 37.0 / 48.0 * static_cast<double>(i + 1)) < 1.0);
    }
}

TEST_CASE("round robin takes the largest weights there are") {
    const auto c = with_weights({0xffff'ffffU, 0xffff'ffffU, 1});
    std::array<int, 3> seen{};
    std::uint64_t cursor = 0;
    for (int i = 0; i < 1000; ++i)
        ++seen[balance::choose(how::round_robin, c, 0, 0, cursor)];
    CHECK(seen[0] + seen[1] == 1000);
    CHECK(seen[0] == Approx(500).margin(2));
}

TEST_CASE("least requests: by load over weight, ties in turn") {
    auto c = with_weights({1, 1, 1});
    c[0].in_flight = 3, c[1].in_flight = 1, c[2].in_flight = 2;
    CHECK(pick(how::least_requests, c) == 1);
    c[0].weight = 4;  // (3 + 1) / 4 = 1 against 2 and 3
    CHECK(pick(how::least_requests, c) == 0);
    c = with_weights({1, 1, 1, 1});
    c[1].in_flight = 1;
    std::uint64_t cursor = 0;
    std::vector<std::size_t> order;
    for (int i = 0; i < 6; ++i)
        order.push_back(balance::choose(how::least_requests, c, 0, 0, cursor));
    CHECK(order == std::vector<std::size_t>{0, 2, 3, 0, 2, 3});
    c = with_weights({0xffff'ffffU, 1});
    c[0].in_flight = 0xffff'ffffU;
    CHECK(pick(how::least_requests, c) == 1);  // 2^32 / (2^32 - 1) > 1
}

TEST_CASE("least requests under steady load fills by weight") {
    auto c = with_weights({1, 2, 3});
    std::uint64_t cursor = 0;
    for (int i = 0; i < 600; ++i)
        ++c[balance::choose(how::least_requests, c, 0, 0, cursor)].in_flight;
    CHECK(c[0].in_flight == Approx(100).margin(1));
    CHECK(c[1].in_flight == Approx(200).margin(1));
    CHECK(c[2].in_flight == Approx(300).margin(1));
}

TEST_CASE("random2: the better of two different ones") {
    std::mt19937_64 random(1);
    auto c = with_weights({1, 1, 1, 1});
    for (std::uint32_t i = 0; i < 4; ++i)
        c[i].in_flight = i;
    std::array<int, 4> seen{};
    constexpr int rounds = 60000;
    for (int i = 0; i < rounds; ++i)
        ++seen[pick(how::random2, c, 0, random())];
    // Of 6 pairs the best wins 3, the next 2, the next 1, the worst none.
    CHECK(seen[0] == Approx(rounds / 2).epsilon(0.03));
    CHECK(seen[1] == Approx(rounds / 3).epsilon(0.03));
    CHECK(seen[2] == Approx(rounds / 6).epsilon(0.05));
    CHECK(seen[3] == 0);
    c = with_weights({1, 1, 1, 1});
    seen = {};
    for (int i = 0; i < rounds; ++i)
        ++seen[pick(how::random2, c, 0, random())];
    for (const int s : seen)
        CHECK(s == Approx(rounds / 4).epsilon(0.05));
    CHECK(pick(how::random2, with_weights({0, 1}), 0, ~std::uint64_t{0}) == 1);
}

TEST_CASE("hash: proportional to weights, the same for the same key") {
    const auto c = with_weights({1, 2, 3, 4});
    std::array<int, 4> seen{};
    constexpr int keys = 100000;
    for (std::uint64_t key = 0; key < keys; ++key) {
        const auto at = pick(how::hash, c, key);
        ++seen[at];
        REQUIRE(pick(how::hash, c, key, 99, 99) == at);
    }
    for (std::size_t i = 0; i < 4; ++i)
        CHECK(seen[i] == Approx(keys / 10.0 * static_cast<double>(i + 1)).epsilon(0.03));
}

TEST_CASE("hash: losing an endpoint moves its keys alone, wherever it stands in the list") {
    const auto before = with_weights({1, 2, 1, 3});
    for (std::size_t lost = 0; lost < before.size(); ++lost) {
        auto excluded = before, shorter = before;
        excluded[lost].usable = false;
        shorter.erase(shorter.begin() + static_cast<std::ptrdiff_t>(lost));
        std::size_t moved = 0;
        for (std::uint64_t key = 0; key < 20000; ++key) {
            const auto was = pick(how::hash, before, key), is = pick(how::hash, excluded, key);
            const auto in_shorter = pick(how::hash, shorter, key);
            REQUIRE(is == in_shorter + (in_shorter >= lost ? 1 : 0));
            if (was != lost)
                REQUIRE(is == was);
            else
                ++moved;
        }
        CHECK(moved > 1000);
    }
}

namespace {

// How often each was chosen while some are in their slow start, in per mille.
std::vector<int> shares(how h, const std::vector<candidate>& c, std::uint32_t in_flight_of_first = 0) {
    constexpr int choices = 40'000;
    std::mt19937_64 random(11);
    std::vector<int> seen(c.size());
    std::uint64_t cursor = 0;
    for (int i = 0; i < choices; ++i) {
        auto copy = c;
        copy[0].in_flight = in_flight_of_first;
        const auto at = balance::choose_in_slow_start(h, copy, random(), random(), cursor);
        REQUIRE(at < c.size());
        ++seen[at];
    }
    for (int& n : seen)
        n = n * 1000 / choices;
    return seen;
}

}  // namespace

TEST_CASE("a newcomer gets its reduced part whatever the way, the others share the rest") {
    for (const how h : all) {
        for (const std::uint32_t share : {10U, 50U, 90U}) {
            auto c = with_weights({1, 1, 1});
            c[0].share_percent = share;
            INFO("way " << static_cast<int>(h) << " share " << share);
            const auto got = shares(h, c);
            const int expected = static_cast<int>(1000 * share / (share + 200));
            CHECK(std::abs(got[0] - expected) < 15);
            CHECK(std::abs(got[1] - got[2]) < 25);
        }
    }
}

TEST_CASE("weights count on top of the slow start") {
    for (const how h : {how::round_robin, how::hash}) {
        auto c = with_weights({4, 1});
        c[0].share_percent = 25;
        INFO("way " << static_cast<int>(h));
        CHECK(std::abs(shares(h, c)[0] - 500) < 15);
    }
}

TEST_CASE("a newcomer that is busier than the others is passed over by the ways that look at that") {
    for (const how h : {how::least_requests, how::random2}) {
        auto c = with_weights({1, 1, 1});
        c[0].share_percent = 50;
        INFO("way " << static_cast<int>(h));
        CHECK(shares(h, c, 3)[0] == 0);
    }
}

TEST_CASE("all of them newcomers, or one alone: somebody is chosen") {
    for (const how h : all) {
        auto c = with_weights({1, 1, 0});
        c[0].share_percent = c[1].share_percent = c[2].share_percent = 10;
        INFO("way " << static_cast<int>(h));
        const auto got = shares(h, c);
        CHECK(std::abs(got[0] - got[1]) < 25);
        CHECK(got[2] == 0);
        const bool looks_at_load = h == how::least_requests || h == how::random2;
        if (looks_at_load) CHECK(shares(h, c, 3)[0] == 0);
        c[1].usable = false;
        CHECK(shares(h, c)[0] == 1000);
        c[0].usable = false;
        std::uint64_t cursor = 0;
        CHECK(balance::choose_in_slow_start(h, c, 1, 2, cursor) == balance::none);
    }
}

TEST_CASE("hash: a slow start moves only the newcomer's keys, and each of them once") {
    auto before = with_weights({1, 1, 1, 1});
    before[2].usable = false;
    std::uint64_t cursor = 0;
    for (std::uint64_t key = 0; key < 2000; ++key) {
        auto at = balance::choose(how::hash, before, key, 0, cursor);
        for (const std::uint32_t share : {10U, 30U, 60U, 99U}) {
            auto c = with_weights({1, 1, 1, 1});
            c[2].share_percent = share;
            const auto now = balance::choose_in_slow_start(how::hash, c, key, 0, cursor);
            CHECK((now == at || now == 2));
            at = now;
        }
        const auto whole = with_weights({1, 1, 1, 1});
        const auto end = balance::choose(how::hash, whole, key, 0, cursor);
        CHECK((end == at || end == 2));
    }
}
