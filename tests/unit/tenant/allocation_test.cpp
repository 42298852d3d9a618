// What runs for every request allocates nothing: counted with an operator new of our own. Kept out
// of line, so that the compiler pairs new with delete and not with free.
#include "make.hpp"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <gatehouse/tenant/decide.hpp>
#include <new>

using namespace tenant_test;
using gatehouse::problem;

namespace {

thread_local std::size_t allocations = 0;

}  // namespace

[[gnu::noinline]] void* operator new(std::size_t bytes) {
    ++allocations;
    if (void* p = std::malloc(bytes)) return p;
    throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
    ++allocations;
    return std::malloc(bytes);
}
[[gnu::noinline]] void operator delete(void* p) noexcept {
    std::free(p);
}
[[gnu::noinline]] void operator delete(void* p, std::size_t) noexcept {
    std::free(p);
}

TEST_CASE("find, resolve, guard, match, rewrite and admit allocate nothing") {
    tenant::directory d;
    auto platform = std::make_shared<tenant::platform>();
    platform->shared_hosts.insert("a-rather-long-shared-host-name.platform.example");
    platform->pools["shared"].endpoints = {{"127.0.0.1:9001", "", 1, 0, 0}};
    d.set_platform(std::move(platform));
    settings t;
    t.id = "a-tenant-with-a-long-identifier";
    t.pool = "shared";
    t.limits.rate = gatehouse::rate{1000, std::chrono::seconds(1)};
    t.routes = std::vector<tenant::route>(1);
    t.routes->front().path = "/api";
    t.routes->front().strip_prefix = "/api";
    t.routes->front().add_prefix = "/version-one";
    t.allow.emplace_back();
    t.limits.rules = {{"client_ip", gatehouse::rate{100, std::chrono::seconds(1)}, {}}};
    d.put(record_of(t, {"*.a-rather-long-customer-domain.example"}));
    const auto e = effective_of(d, t.id);
    gatehouse::ip_address client;
    client.bytes[15] = 1;
    std::string target;
    target.reserve(256);
    const std::string path = "/api/some/rather/long/path/behind/it?and=a&query=too";
    const std::string named = "/t/a-tenant-with-a-long-identifier/api";

    const auto& rules = e->routes.front().rules;
    std::vector<gatehouse::limit::client_charge> clients{
        {.of = rules.data(), .key = gatehouse::limit::client_key(client)}};
    gatehouse::limit::admit({}, {1'000'000'000, 0}, clients);  // the first makes the table

    const std::size_t before = allocations;
    const auto own = tenant::resolve(d, {.host = "shop.a-rather-long-customer-domain.example",
                                         .path = path,
                                         .tenant_field = "a-tenant-with-a-long-identifier",
                                         .sni_tenant = "a-tenant-with-a-long-identifier",
                                         .sni_tls_policy = e->tls_policy});
    const auto shared =
        tenant::resolve(d, {.host = "a-rather-long-shared-host-name.platform.example",
                            .path = named,
                            .tenant_field = {},
                            .sni_tenant = {},
                            .sni_tls_policy = {}});
    const auto unknown = tenant::resolve(d, {.host = "somebody-elses-rather-long-name.example",
                                             .path = path,
                                             .tenant_field = {},
                                             .sni_tenant = {},
                                             .sni_tls_policy = {}});
    const bool current = e->current(d);
    const auto guarded = tenant::guard(
        *e, {.client = client, .client_known = true, .now = {}, .node_region = "eu-west"});
    const auto* route = tenant::match_route(*e, std::string_view(path).substr(0, path.find('?')));
    const bool rewritten = route != nullptr && tenant::rewrite_target(*route, path, target);
    const auto admitted = gatehouse::limit::admit(e->levels, {1'000'000'000, 0}, clients);
    gatehouse::limit::release(e->levels);
    CHECK(allocations == before);

    CHECK(own.refused == problem::none);
    CHECK(shared.refused == problem::none);
    CHECK(unknown.refused == problem::unknown_host);
    CHECK(current);
    CHECK(guarded.refused == problem::forbidden);
    CHECK(rewritten);
    CHECK(target == "/version-one/some/rather/long/path/behind/it?and=a&query=too");
    CHECK(admitted.refused == problem::none);
}
