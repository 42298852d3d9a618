// Which tenants of a list are wanted. Pure.
#pragma once

#include <functional>
#include <gatehouse/tenant/directory.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse::registry {

// What is empty does not matter.
struct tenant_filter {
    std::string text;   // in its id, label, a host, or, whatever the case, its name; lower case
    std::string name;   // in its name, whatever the case; lower case
    std::string host;   // one of its hosts, whole, lower case
    std::string plan, region, state, parent, label;   // state: "removed" too
    std::string within;   // this tenant or below it
    std::vector<std::string> besides;   // with `within`: these too
    bool empty() const noexcept;
};

// `find`: a tenant's record by its id, null where there is none; a region is its parent's where it says none.
// `default_plan`: of tenants that name none.
bool matches(const tenant_filter& f, const tenant::record& r, std::string_view default_plan,
             const std::function<const tenant::record*(std::string_view id)>& find);

}  // namespace gatehouse::registry
