// A worker's cache: bound, order, and what each erase drops.
#include <catch2/catch.hpp>
#include <cstdlib>
#include <gatehouse/tls/certificates.hpp>
#include <new>

using gatehouse::tls::certificate;
using gatehouse::tls::certificate_cache;
using gatehouse::tls::certificate_ptr;

namespace {

certificate_ptr named(const char* pattern) {
    auto c = std::make_shared<certificate>();
    c->pattern = pattern;
    return c;
}

bool has(certificate_cache& cache, const char* host) {
    const certificate_ptr* c = cache.find(host);
    return c != nullptr && *c != nullptr;
}

}  // namespace

TEST_CASE("the least recently used certificate goes first") {
    certificate_cache cache(2);
    cache.put("a.x", named("a.x"));
    cache.put("b.x", named("b.x"));
    REQUIRE(has(cache, "a.x"));
    cache.put("c.x", named("c.x"));
    CHECK(has(cache, "a.x"));
    CHECK_FALSE(has(cache, "b.x"));
    CHECK(has(cache, "c.x"));
}

TEST_CASE("a missing name is remembered, apart from the certificates") {
    certificate_cache cache(1);
    cache.put("a.x", named("a.x"));
    cache.put("gone.x", nullptr);
    CHECK(has(cache, "a.x"));
    REQUIRE(cache.find("gone.x") != nullptr);
    CHECK(*cache.find("gone.x") == nullptr);
    CHECK(cache.find("never.x") == nullptr);
    cache.put("gone.x", named("gone.x"));
    CHECK(has(cache, "gone.x"));
    cache.put("gone.x", nullptr);
    CHECK_FALSE(has(cache, "gone.x"));
}

TEST_CASE("erase drops what came from the pattern and nothing else") {
    certificate_cache cache(10);
    const auto fill = [&] {
        cache.put("a.acme.example", named("*.acme.example"));
        cache.put("b.acme.example", named("*.acme.example"));
        cache.put("c.acme.example", named("c.acme.example"));
        cache.put("d.acme.example", nullptr);
        cache.put("a.b.acme.example", nullptr);
        cache.put("acme.example", nullptr);
    };
    fill();
    cache.erase("*.acme.example");
    CHECK(cache.find("a.acme.example") == nullptr);
    CHECK(cache.find("b.acme.example") == nullptr);
    CHECK(has(cache, "c.acme.example"));
    CHECK(cache.find("d.acme.example") == nullptr);
    CHECK(cache.find("a.b.acme.example") != nullptr);
    CHECK(cache.find("acme.example") != nullptr);

    fill();
    cache.erase("a.acme.example");  // an exact file appeared
    CHECK(cache.find("a.acme.example") == nullptr);
    CHECK(has(cache, "b.acme.example"));
    cache.reset(4);
    CHECK(cache.find("b.acme.example") == nullptr);
    CHECK(cache.find("d.acme.example") == nullptr);

    fill();
    cache.erase("");
    CHECK(cache.find("c.acme.example") == nullptr);
    CHECK(cache.find("d.acme.example") == nullptr);
}

TEST_CASE("a certificate that was replaced is looked up again") {
    certificate_cache cache(10);
    const certificate_ptr c = named("a.x");
    cache.put("a.x", c);
    REQUIRE(has(cache, "a.x"));
    c->replaced = true;
    CHECK(cache.find("a.x") == nullptr);
}

TEST_CASE("names known to be missing are bounded") {
    certificate_cache cache(100000);
    for (int i = 0; i < 3000; ++i)
        cache.put(std::to_string(i) + ".x", nullptr);
    int known = 0;
    for (int i = 0; i < 3000; ++i)
        known += cache.find(std::to_string(i) + ".x") != nullptr ? 1 : 0;
    CHECK(known == 1024);
}
