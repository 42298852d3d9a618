// Turns by weight, order within a party, places taken out in between, and who holds the most.
#include <algorithm>
#include <catch2/catch.hpp>
#include <deque>
#include <gatehouse/balance/fair_queue.hpp>
#include <map>
#include <random>
#include <string>
#include <vector>

using namespace gatehouse::balance;

namespace {

struct one : fair_queue::entry {
    explicit one(char n, int k = 0) : name(n), number(k) {}
    const char name;
    const int number;
};

struct queue_of_ones {
    fair_queue q;
    std::deque<one> all;
    std::map<char, std::uint32_t> weights;
    one& push(char name, int number = 0) {
        const auto w = weights.find(name);
        one& o = all.emplace_back(name, number);
        q.push(o, {.id = static_cast<std::uint64_t>(name), .weight = w == weights.end() ? 1 : w->second});
        return o;
    }
    char pop() {
        auto* o = static_cast<one*>(q.pop());
        return o ? o->name : '-';
    }
    std::string pop_all() {
        std::string out;
        while (!q.empty())
            out += pop();
        return out;
    }
};

}  // namespace

TEST_CASE("parties of the same weight take turns, whoever came first") {
    queue_of_ones w;
    for (int i = 0; i < 4; ++i)
        w.push('a', i);
    w.push('b');
    w.push('c');
    w.push('b');
    CHECK(w.q.size() == 7);
    CHECK(w.pop_all() == "abcabaa");
    CHECK(w.q.pop() == nullptr);
    CHECK(w.q.front() == nullptr);
}

TEST_CASE("within a party the first that came is the first that goes") {
    queue_of_ones w;
    for (int i = 0; i < 5; ++i)
        w.push('a', i);
    w.push('b');
    for (int i = 0; i < 5;) {
        auto* o = static_cast<one*>(w.q.pop());
        if (o->name == 'a') CHECK(o->number == i++);
    }
}

TEST_CASE("shares are as the weights, over a round and over many") {
    for (const auto& [a, b] : std::map<std::uint32_t, std::uint32_t>{{1, 3}, {2, 5}, {10, 1}, {1000, 1}, {7, 7}}) {
        queue_of_ones w;
        w.weights = {{'a', a}, {'b', b}};
        std::uint32_t of_a = 0, of_b = 0;
        for (int i = 0; i < 3; ++i) {
            w.push('a');
            w.push('b');
        }
        for (std::uint32_t i = 0; i < 20 * (a + b); ++i) {
            const char name = w.pop();
            ++(name == 'a' ? of_a : of_b);
            w.push(name);   // each keeps three waiting
            // Never off by more than one turn of either.
            const double even = static_cast<double>(i + 1) * a / (a + b);
            REQUIRE(of_a + 1.01 >= even);
            REQUIRE(of_a <= even + 1.01);
        }
        CHECK(of_a >= 20 * a - 1);
        CHECK(of_b >= 20 * b - 1);
    }
}

TEST_CASE("one that comes to a flood is served within a round; coming back is no way to the front") {
    queue_of_ones w;
    w.weights = {{'a', 3}, {'q', 1}};
    for (int i = 0; i < 1000; ++i)
        w.push('a');
    for (int i = 0; i < 100; ++i)
        w.pop();
    std::string served;
    w.push('q');
    for (int i = 0; i < 400; ++i) {
        served += w.pop();
        if (served.back() == 'q') w.push('q');   // alone each time
    }
    const auto of_q = std::count(served.begin(), served.end(), 'q');
    CHECK(of_q >= 99);
    CHECK(of_q <= 101);
    CHECK(served.find('q') <= 3);
    CHECK(served.find("qq") == served.npos);
}

TEST_CASE("parties that come once each do not keep out one that was there before") {
    queue_of_ones w;
    for (int i = 0; i < 10; ++i)
        w.push('a');
    fair_queue& q = w.q;
    std::deque<one> strangers;
    std::uint64_t id = 1000;
    int of_a = 0;
    for (int i = 0; i < 100; ++i) {
        for (int k = 0; k < 2; ++k)
            q.push(strangers.emplace_back('s'), {.id = id++});
        if (w.pop() == 'a') ++of_a;
    }
    CHECK(of_a >= 5);   // behind twice as many in each of its rounds
}

TEST_CASE("what is taken out is not served; an empty party is none") {
    queue_of_ones w;
    one& a = w.push('a');
    one& b = w.push('b');
    one& b2 = w.push('b');
    w.push('c');
    w.q.remove(b);
    CHECK_FALSE(b.queued());
    w.q.remove(b);
    CHECK(w.q.front() == &a);
    w.q.remove(a);
    CHECK(w.q.size() == 2);
    CHECK(w.q.front() == &b2);
    CHECK(w.pop_all() == "bc");
}

TEST_CASE("the newest of who holds the most for its weight gives way, to one that holds less") {
    queue_of_ones w;
    w.weights = {{'a', 2}, {'b', 1}};
    for (int i = 0; i < 6; ++i)
        w.push('a', i);
    for (int i = 0; i < 2; ++i)
        w.push('b', i);
    const auto number = [](fair_queue::entry* e) { return e ? static_cast<one*>(e)->name + std::to_string(static_cast<one*>(e)->number) : ""; };
    CHECK(number(w.q.crowding_out({.id = 'q'})) == "a5");
    CHECK(number(w.q.crowding_out({.id = 'a', .weight = 2})).empty());   // the flood itself
    CHECK(number(w.q.crowding_out({.id = 'b'})).empty());                // as many as a, for its weight, with one more
    w.push('b', 2);
    w.push('b', 3);
    CHECK(number(w.q.crowding_out({.id = 'a', .weight = 2})) == "b3");
    CHECK(number(fair_queue().crowding_out({.id = 'a'})).empty());
}

TEST_CASE("against a model: any order of coming, going and being served") {
    std::mt19937 random(7);
    fair_queue q;
    std::deque<one> all;
    std::map<char, std::deque<one*>> model;
    std::size_t count = 0;
    for (int step = 0; step < 20'000; ++step) {
        const char name = static_cast<char>('a' + random() % 6);
        const auto what = random() % 5;
        if (what < 2) {
            one& o = all.emplace_back(name, step);
            q.push(o, {.id = static_cast<std::uint64_t>(name), .weight = static_cast<std::uint32_t>(name - 'a' + 1)});
            model[name].push_back(&o);
            ++count;
        } else if (what == 2 && !model[name].empty()) {
            auto& of = model[name];
            const auto which = of.begin() + static_cast<std::ptrdiff_t>(random() % of.size());
            q.remove(**which);
            of.erase(which);
            --count;
        } else if (what > 2) {
            auto* o = static_cast<one*>(q.pop());
            REQUIRE((o != nullptr) == (count > 0));
            if (!o) continue;
            REQUIRE(model[o->name].front() == o);
            model[o->name].pop_front();
            --count;
        }
        REQUIRE(q.size() == count);
    }
    std::size_t seen = 0;
    q.for_each([&](fair_queue::entry&) { ++seen; });
    CHECK(seen == count);
}
