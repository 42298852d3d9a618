#include <gatehouse/registry/host_proof.hpp>

#include <catch2/catch.hpp>
#include <set>

using namespace gatehouse::registry;
namespace tenant = gatehouse::tenant;

TEST_CASE("a record proves one host for one tenant and one request, under one key") {
    const tenant::utc_time noon{std::chrono::hours(480012)};
    const std::string key(64, 'a');
    const request r{.tenant = "acme", .what = request::kind::host, .host = "shop.example", .asked_by = "x", .asked_at = noon};
    const auto record = host_proof(key, r);
    CHECK(record.name == "_gatehouse-challenge.shop.example");
    CHECK(record.value.size() == 64);
    CHECK(record.value == host_proof(key, r).value);
    std::set<std::string> values{record.value};
    auto other = r;
    other.tenant = "acme2";
    values.insert(host_proof(key, other).value);
    other = r;
    other.host = "*.shop.example";
    CHECK(host_proof(key, other).name == record.name);
    values.insert(host_proof(key, other).value);
    other = r;
    other.asked_at += std::chrono::seconds(1);
    values.insert(host_proof(key, other).value);
    values.insert(host_proof(std::string(64, 'b'), r).value);
    CHECK(values.size() == 5);
    // No key: nothing that could be set.
    CHECK(host_proof("", r).value.empty());
}
