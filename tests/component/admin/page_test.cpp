// Pages of the tenant list.
#include <catch2/catch.hpp>
#include <gatehouse/admin/node_view.hpp>

using namespace gatehouse;
using namespace gatehouse::admin;

namespace {

registry::tenant_row row(const std::string& id, const std::string& parent = {},
                         const std::string& source = "file /x") {
    registry::tenant_row r;
    r.id = id;
    r.source = source;
    if (id.empty()) return r;
    tenant::tenant t;
    t.id = id;
    t.parent = parent;
    auto record = std::make_shared<tenant::record>();
    record->id = id;
    record->tenant = tenant::pack(t);
    r.record = record;
    return r;
}

const std::vector<registry::tenant_row> rows = {row("a"),
                                                row("b", "a"),
                                                row("c", "a"),
                                                row("d", "b"),
                                                row("", "", "file /t/broken.toml"),
                                                row("", "", "file /t/other.toml")};

std::string joined(const std::vector<registry::tenant_row>& page) {
    std::string s;
    for (const auto& r : page)
        s += std::string(cursor(r)) + ",";
    return s;
}

}  // namespace

TEST_CASE("a page begins after its cursor and ends at its limit") {
    const auto [after, limit, parent, expected] =
        GENERATE(table<std::string, std::size_t, std::string, std::string>({
            {"", 2, "", "a,b,"},
            {"b", 2, "", "c,d,"},
            {"bb", 1, "", "c,"},  // the row of the cursor is gone
            {"d", 9, "", "file /t/broken.toml,file /t/other.toml,"},
            {"zzz", 1, "", "file /t/broken.toml,"},
            {"file /t/broken.toml", 9, "", "file /t/other.toml,"},
            {"file /t/other.toml", 9, "", ""},
            {"", 9, "a", "b,c,"},
            {"b", 9, "a", "c,"},
            {"", 1, "a", "b,"},
            {"", 9, "nobody", ""},
            {"", 0, "", ""},
        }));
    CHECK(joined(page_of(rows, after, limit, parent)) == expected);
}
