// Rows of the registry, one by one and in pages.
#include "table.hpp"

#include <fmt/format.h>
#include <catch2/catch.hpp>

using namespace gatehouse;
using namespace gatehouse::registry;

namespace {

tenant_update update(const std::string& id, const std::string& parent = {}) {
    tenant::tenant t;
    t.id = id;
    t.parent = parent;
    auto record = std::make_shared<tenant::record>();
    record->id = id;
    record->tenant = tenant::pack(t);
    record->revision = 4;
    return {.kept = {.id = id, .good = record->tenant, .file = shared_text("/t/" + id + ".toml")},
            .record = record,
            .republish = true,
            .quarantine = {},
            .conflicts = {}};
}

document broken(const std::string& file) {
    return {.file = file, .mark = {}, .parsed = nullptr, .reasons = {{.message = "broken"}}};
}

table sample() {
    table t;
    for (const auto& [id, parent] :
         {std::pair("c", "a"), std::pair("a", ""), std::pair("d", "b"), std::pair("b", "a")})
        t.put(update(id, parent));
    t.put_orphan(broken("/t/other.toml"));
    auto twice = broken("/t/broken.toml");
    twice.parsed = tenant::pack(update("a").record->tenant->unpack());
    t.put_orphan(twice);
    return t;
}

std::string joined(const std::vector<tenant_row>& page) {
    std::string s;
    for (const auto& r : page)
        s += (r.is_file ? r.source : r.id) + ",";
    return s;
}

}  // namespace

TEST_CASE("a page begins after its cursor and ends at its limit") {
    const auto [after, limit, parent, expected] =
        GENERATE(Catch::Generators::table<std::string, std::size_t, std::string, std::string>({
            {"", 2, "", "a,b,"},
            {"b", 2, "", "c,d,"},
            {"bb", 1, "", "c,"},  // the row of the cursor is gone
            {"d", 9, "", "file /t/broken.toml,file /t/other.toml,"},
            {"zzz", 1, "", "file /t/broken.toml,"},
            {"file /t/broken.toml", 9, "", "file /t/other.toml,"},
            {"file /t/c.toml", 9, "", "file /t/other.toml,"},
            {"file /t/other.toml", 9, "", ""},
            {"", 9, "a", "b,c,"},
            {"b", 9, "a", "c,"},
            {"", 1, "a", "b,"},
            {"", 9, "nobody", ""},
            {"", 0, "", ""},
        }));
    // Read on to its end, page by page.
    std::string from = after, rest;
    const auto t = sample();
    const auto first = t.page(after, limit, {.parent = parent}, "");
    CHECK(joined(first.rows) == expected);
    if (limit == 0) return;
    for (;;) {
        const auto page = t.page(from, limit, {.parent = parent}, "");
        rest += joined(page.rows);
        if (page.next.empty()) break;
        REQUIRE(page.next != from);
        from = page.next;
    }
    CHECK(rest == joined(t.page(after, 100, {.parent = parent}, "").rows));
}

TEST_CASE("a full page goes on behind its last row, whoever stands between") {
    table t;
    for (const auto& [id, parent] : {std::pair("a", ""), std::pair("b", "a"), std::pair("bb", "z"), std::pair("c", "a"), std::pair("cc", "z")})
        t.put(update(id, parent));
    CHECK(t.page("", 1, {.parent = "a"}, "").next == "b");
    CHECK(t.page("b", 1, {.parent = "a"}, "").next == "");
    CHECK(t.page("", 1, {.within = "a"}, "").next == "a");
}

TEST_CASE("a page of few among many ends early, and the next ones find them") {
    table t;
    for (int i = 10'000; i < 60'000; ++i)
        t.put(update(fmt::format("t{}", i), i == 59'999 ? "a" : ""));
    std::string from, found;
    for (int pages = 1;; ++pages) {
        const auto page = t.page(from, 1, {.parent = "a"}, "");
        found += joined(page.rows);
        if (page.next.empty()) {
            CHECK(pages == 2);
            break;
        }
        REQUIRE(page.next > from);
        from = page.next;
    }
    CHECK(found == "t59999,");
}

TEST_CASE("tenants are found by what they are") {
    table t;
    const auto put = [&t](tenant::tenant n, std::vector<std::string> hosts) {
        if (n.label.empty()) n.label = n.id;
        auto u = update(n.id, n.parent);
        auto record = std::make_shared<tenant::record>(*u.record);
        record->tenant = tenant::pack(n);
        record->hosts = tenant::host_list(hosts);
        u.record = record;
        t.put(u);
    };
    tenant::tenant pixel, bpub, shop;
    pixel.id = "pixel";
    pixel.name = "Pixel Agency";
    pixel.region = "eu";
    pixel.plan = "pro";
    bpub.id = "bpub";
    bpub.parent = "pixel";
    bpub.state = tenant::life::suspended;
    shop.id = "shop";
    shop.label = "store";
    shop.region = "us";
    put(pixel, {"pixel.localhost"});
    put(bpub, {"bpub.pixel.localhost", "books.example"});
    put(shop, {"store.localhost"});
    auto gone = update("old");
    auto record = std::make_shared<tenant::record>(*gone.record);
    record->tenant = nullptr;
    gone.record = record;
    t.put(gone);
    const auto [filter, expected] = GENERATE(Catch::Generators::table<tenant_filter, std::string>({
        {{.text = "agency"}, "pixel,"},
        {{.text = "books"}, "bpub,"},
        {{.text = "pixel"}, "bpub,pixel,"},
        {{.text = "sto"}, "shop,"},
        {{.name = "agen"}, "pixel,"},
        {{.name = "pixel agency ltd"}, ""},
        {{.host = "store.localhost"}, "shop,"},
        {{.host = "store"}, ""},
        {{.plan = "pro"}, "pixel,"},
        {{.plan = "free"}, "bpub,shop,"},
        {{.region = "eu"}, "bpub,pixel,"},
        {{.region = "us"}, "shop,"},
        {{.state = "suspended"}, "bpub,"},
        {{.state = "removed"}, "old,"},
        {{.parent = "pixel"}, "bpub,"},
        {{.label = "store"}, "shop,"},
        {{.text = "pixel", .state = "active"}, "pixel,"},
        {{.text = "nothing like it"}, ""},
    }));
    CAPTURE(expected);
    CHECK(joined(t.page("", 100, filter, "free").rows) == expected);
}

TEST_CASE("a row says what was put last, and the count of quarantines follows") {
    auto t = sample();
    CHECK(t.quarantined_count() == 2);
    auto u = update("a");
    u.quarantine.push_back({.message = "why"});
    t.put(u);
    t.put(u);
    CHECK(t.quarantined_count() == 3);
    const auto* row = t.find("a");
    REQUIRE(row != nullptr);
    CHECK(row->source == "file /t/a.toml");
    CHECK(row->revision == 4);
    REQUIRE(row->quarantine.size() == 1);
    CHECK(row->quarantine[0].message == "why");
    t.put(update("a"));
    CHECK(t.quarantined_count() == 2);
    t.put(u);
    t.drop("a");
    CHECK(t.quarantined_count() == 2);
    t.put_orphan({.file = "/t/broken.toml", .mark = {}, .parsed = nullptr, .reasons = {}});
    CHECK(t.quarantined_count() == 1);
    CHECK(t.find("a") == nullptr);
    CHECK(t.find("/t/other.toml") != nullptr);
}
