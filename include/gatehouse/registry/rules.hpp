// What the registry judges tenants by: plans, pools, names of the platform. Plain values.
#pragma once

#include <gatehouse/config/settings.hpp>
#include <gatehouse/tenant/directory.hpp>
#include <string>

namespace gatehouse::registry {

struct rules {
    tenant::platform_ptr platform;
    std::string child_name = "{child}.{parent}";
    std::chrono::seconds host_quarantine{7 * 24 * 3600};  // how long hosts of a removed tenant stay its own
};

// All that tenants are judged by, as text: rules of the same text judge alike.
std::string judging_text(const rules& r);

rules make_rules(const config::settings& s, std::uint64_t revision);

// "bpub" below "pixel" -> "bpub.pixel"; `parent` empty: the label itself.
std::string derive_name(const std::string& child_name, std::string_view label,
                        std::string_view parent);

}  // namespace gatehouse::registry
