// Which endpoint takes an attempt: weights, ejection, what was tried, preferred before fallback.
#include "choose_endpoint.hpp"

#include <catch2/catch.hpp>
#include <gatehouse/balance/choose.hpp>
#include <gatehouse/upstream/ejection.hpp>
#include <gatehouse/upstream/standing.hpp>
#include <set>

using namespace gatehouse;
using namespace gatehouse::proxy;

namespace {

constexpr std::int64_t noon = 1'000'000'000'000;

// A route over a pool of so many endpoints, the first `preferred` of them preferred.
struct fixture {
    explicit fixture(std::size_t count, std::size_t preferred = static_cast<std::size_t>(-1),
                     tenant::balance b = tenant::balance::round_robin) {
        auto p = std::make_shared<upstream::pool>();
        p->spec.balance = b;
        for (std::size_t i = 0; i < count; ++i) {
            upstream::endpoint e;
            e.text = "127.0.0.1:" + std::to_string(9000 + i);
            e.identity = hash_text(e.text);
            e.state = std::make_shared<upstream::endpoint_state>();
            p->endpoints.push_back(std::move(e));
        }
        pool = p;
        route.pool = p;
        for (const upstream::endpoint& e : p->endpoints)
            route.endpoints.push_back(&e);
        route.preferred_count = std::min(preferred, count);
    }
    upstream::endpoint& at(std::size_t i) { return pool->endpoints[i]; }
    void eject(std::size_t i) { at(i).state->ejected_until_ns = noon + 1; }
    // The index chosen; -1: none.
    int choose(const tried_endpoints& tried = {}, std::uint64_t key = 0,
               std::uint64_t random = 12345) {
        const upstream::endpoint* e = choose_endpoint(route, tried, key, random, noon);
        return e ? static_cast<int>(e - pool->endpoints.data()) : -1;
    }
    std::set<int> chosen(const tried_endpoints& tried = {}) {
        std::set<int> out;
        for (std::uint64_t i = 0; i < 64; ++i)
            out.insert(choose(tried, i * 0x9e3779b97f4a7c15U, i * 0x9e3779b97f4a7c15U));
        return out;
    }
    std::shared_ptr<upstream::pool> pool;
    bound_route route;
};

using set = std::set<int>;

}  // namespace

TEST_CASE("a pool without endpoints has nothing to choose") {
    fixture f(0);
    CHECK(f.choose() == -1);
    f.route.pool = nullptr;   // the tenant names a pool that is not here
    CHECK(f.choose() == -1);
}

TEST_CASE("a single endpoint: ejected or not, but neither drained nor tried") {
    fixture f(1);
    CHECK(f.choose() == 0);
    f.eject(0);
    CHECK(f.choose() == 0);
    tried_endpoints tried;
    tried.add(f.at(0));
    CHECK(f.choose(tried) == -1);
    f.at(0).weight = 0;
    CHECK(f.choose() == -1);
    f.at(0).weight = 1;
    CHECK(f.choose() == 0);
    upstream::set_down(*f.at(0).state, true, noon);
    CHECK(f.choose() == -1);
    upstream::set_down(*f.at(0).state, false, noon);
    CHECK(f.choose() == 0);
    upstream::set_drained(*f.at(0).state, true, noon);
    CHECK(f.choose() == -1);
}

// Each endpoint is up, down, drained, without weight or ejected: all combinations of four.
TEST_CASE("who serves, and never more than half of those that could are left out for failures") {
    for (const tenant::balance b : {tenant::balance::round_robin, tenant::balance::least_requests,
                                    tenant::balance::random2, tenant::balance::hash}) {
        for (int combination = 0; combination < 5 * 5 * 5 * 5; ++combination) {
            fixture f(4, 4, b);
            std::size_t could = 0, ejected = 0;
            std::array<int, 4> kind{};
            for (int i = 0, rest = combination; i < 4; ++i, rest /= 5) {
                const auto at = static_cast<std::size_t>(i);
                kind[at] = rest % 5;
                upstream::endpoint_state& s = *f.at(at).state;
                if (kind[at] == 1) upstream::set_down(s, true, noon);
                if (kind[at] == 2) upstream::set_drained(s, true, noon);
                if (kind[at] == 3) f.at(at).weight = 0;
                if (kind[at] == 4) f.eject(at);
                could += kind[at] == 0 || kind[at] == 4 ? 1 : 0;
                ejected += kind[at] == 4 ? 1 : 0;
            }
            CAPTURE(static_cast<int>(b), combination);
            const set got = f.chosen();
            if (could == 0) {
                CHECK(got == set{-1});
                continue;
            }
            CHECK(got.count(-1) == 0);
            for (const int i : got) {
                const int k = kind[static_cast<std::size_t>(i)];
                CHECK((k == 0 || (k == 4 && ejected > could / 2)));
            }
        }
    }
}

TEST_CASE("a down endpoint does not count in the half that may be ejected") {
    fixture f(3, 3, tenant::balance::round_robin);
    upstream::set_down(*f.at(2).state, true, noon);
    f.eject(0);
    f.eject(1);
    CHECK(f.chosen() == set{1});   // one of the two that could serve
}

TEST_CASE("an endpoint that came back gets a part that grows") {
    constexpr std::int64_t second_ns = 1'000'000'000;
    for (const tenant::balance b : {tenant::balance::round_robin, tenant::balance::least_requests,
                                    tenant::balance::random2, tenant::balance::hash}) {
        const auto part = [b](std::int64_t after_ns) {
            fixture f(2, 2, b);
            f.pool->spec.slow_start = std::chrono::seconds(10);
            upstream::set_drained(*f.at(0).state, true, noon);
            upstream::set_drained(*f.at(0).state, false, noon - after_ns);
            int first = 0;
            for (std::uint64_t i = 1; i <= 4000; ++i) {
                first += f.choose({}, hash_text(std::to_string(i)), i * 0x9e3779b97f4a7c15U) == 0 ? 1 : 0;
            }
            return first;
        };
        CAPTURE(static_cast<int>(b));
        const int at_once = part(0), later = part(5 * second_ns), in_the_end = part(10 * second_ns);
        CHECK(std::abs(at_once - 4000 * 10 / 110) < 120);
        CHECK(std::abs(later - 4000 * 55 / 155) < 160);
        CHECK(std::abs(in_the_end - 2000) < 160);
    }
}

TEST_CASE("a region's newcomers come before another region") {
    fixture f(4, 2, tenant::balance::random2);
    for (const std::size_t i : {0U, 1U}) {
        upstream::set_drained(*f.at(i).state, true, noon);
        upstream::set_drained(*f.at(i).state, false, noon);
    }
    CHECK(f.chosen() == set{0, 1});
}

TEST_CASE("ejected endpoints are left out, but never more than half") {
    for (const tenant::balance b : {tenant::balance::round_robin, tenant::balance::least_requests,
                                    tenant::balance::random2, tenant::balance::hash}) {
        for (std::size_t count = 2; count <= 9; ++count) {
            for (std::size_t ejected = 0; ejected <= count; ++ejected) {
                fixture f(count, count, b);
                for (std::size_t i = 0; i < ejected; ++i)
                    f.eject(i);
                CAPTURE(static_cast<int>(b), count, ejected);
                const set got = f.chosen();
                CHECK(got.count(-1) == 0);
                for (const int i : got)
                    CHECK((static_cast<std::size_t>(i) >= ejected || ejected > count / 2));
                std::size_t left = 0;
                for (std::size_t i = 0; i < count; ++i)
                    left += got.count(static_cast<int>(i));
                if (b == tenant::balance::round_robin || b == tenant::balance::random2)
                    CHECK(left == count - std::min(ejected, count / 2));
            }
        }
    }
}

TEST_CASE("an ejection's end brings the endpoint back") {
    fixture f(2);
    f.at(0).state->ejected_until_ns = noon;
    CHECK(f.chosen() == set{0, 1});
    f.eject(0);
    CHECK(f.chosen() == set{1});
}

TEST_CASE("what this exchange has tried is not tried again") {
    fixture f(3);
    tried_endpoints tried;
    CHECK(tried.empty());
    tried.add(f.at(1));
    CHECK(f.chosen(tried) == set{0, 2});
    tried.add(f.at(0));
    CHECK(f.chosen(tried) == set{2});
    tried.add(f.at(2));
    CHECK(f.chosen(tried) == set{-1});
}

TEST_CASE("the last of many is chosen when it alone serves") {
    fixture f(1'000);
    for (std::size_t i = 0; i + 1 < 1'000; ++i) f.at(i).weight = 0;
    CHECK(f.chosen() == set{999});
}

TEST_CASE("preferred endpoints come first, the others when none of them is left") {
    fixture f(4, 2, tenant::balance::random2);
    CHECK(f.chosen() == set{0, 1});
    f.at(0).weight = 0;
    CHECK(f.chosen() == set{1});
    f.eject(1);
    CHECK(f.chosen() == set{2, 3});
    tried_endpoints tried;
    tried.add(f.at(2));
    CHECK(f.chosen(tried) == set{3});
    fixture none_preferred(2, 0, tenant::balance::random2);
    CHECK(none_preferred.chosen() == set{0, 1});
}

TEST_CASE("the least busy endpoint by its weight") {
    fixture f(3, 3, tenant::balance::least_requests);
    f.at(0).state->in_flight = 5;
    f.at(1).state->in_flight = 2;
    f.at(2).state->in_flight = 3;
    CHECK(f.choose() == 1);
    f.at(2).weight = 4;
    CHECK(f.choose() == 2);
    {
        const in_flight_guard a(*f.at(2).state), b(*f.at(2).state);
        CHECK(f.at(2).state->in_flight == 5);
    }
    CHECK(f.at(2).state->in_flight == 3);
}

TEST_CASE("one key stays with one endpoint, and moves only when that is gone") {
    fixture f(5, 5, tenant::balance::hash);
    for (std::uint64_t key = 1; key < 50; ++key) {
        const int first = f.choose({}, hash_text(std::to_string(key)), 1);
        CHECK(f.choose({}, hash_text(std::to_string(key)), 99) == first);
        tried_endpoints tried;
        tried.add(f.at(static_cast<std::size_t>((first + 1) % 5)));
        CHECK(f.choose(tried, hash_text(std::to_string(key)), 1) == first);
    }
}

TEST_CASE("a strict tenant uses its own region's endpoints and those of every region") {
    struct row {
        tenant::residency r;
        const char *region, *endpoint;
        bool may;
    };
    constexpr auto strict = tenant::residency::strict, preferred = tenant::residency::preferred;
    for (const row& r : {row{strict, "eu", "eu", true}, row{strict, "eu", "us", false},
                         row{strict, "eu", "", true}, row{strict, "", "us", true},
                         row{preferred, "eu", "us", true}}) {
        CAPTURE(r.region, r.endpoint);
        tenant::effective e;
        e.residency = r.r;
        e.region = r.region;
        upstream::endpoint at;
        at.region = r.endpoint;
        CHECK(may_use(e, at) == r.may);
    }
}

TEST_CASE("what hash balancing goes by") {
    constexpr std::string_view one = "192.0.2.1", other = "192.0.2.2";
    http::request_head a, b;
    a.path_and_query = "/x?1";
    b.path_and_query = "/x?2";
    a.path_bytes = b.path_bytes = 2;
    a.fields = {{"Cookie", "q=0; user=ann; z", http::known::cookie},
                {"X-User", "ann", http::known::other}};
    b.fields = {{"Cookie", "user=", http::known::cookie},
                {"Cookie", "auser=bob; user=ann", http::known::cookie}};
    tenant::pool p;
    p.balance = tenant::balance::hash;

    CHECK(choice_key(nullptr, a, one) == 0);
    CHECK(choice_key(&p, a, one) != choice_key(&p, a, other));
    CHECK(choice_key(&p, a, one) == choice_key(&p, b, one));
    p.hash_on = "path";
    CHECK(choice_key(&p, a, one) == choice_key(&p, b, other));
    p.hash_on = "field:x-user";
    CHECK(choice_key(&p, a, one) == choice_key(&p, a, other));
    CHECK(choice_key(&p, b, one) != choice_key(&p, b, other));  // without the field: the client
    p.hash_on = "cookie:user";
    CHECK(choice_key(&p, a, one) == choice_key(&p, a, other));
    p.hash_on = "cookie:use";
    CHECK(choice_key(&p, a, one) != choice_key(&p, a, other));
    p.hash_on = "cookie:none";
    CHECK(choice_key(&p, a, one) == balance::stable_hash(one));
    p.balance = tenant::balance::round_robin;
    CHECK(choice_key(&p, a, one) == 0);
}
