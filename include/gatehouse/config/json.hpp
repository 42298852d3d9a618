// Tenants and shared settings as JSON, under the keys of their TOML files; dates are texts (RFC 3339,
// UTC), and what has names comes back sorted by them. Any thread.
#pragma once

#include <boost/json/object.hpp>
#include <gatehouse/config/load.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse::config {

// Keys that a reader of this version does not know, dotted: "mirror", "routes[0].mirror". They are
// no errors in JSON, which another version may have written: the caller decides.
using unknown_keys = std::vector<std::string>;

boost::json::object to_json(const tenant::tenant& t);
// As the parse_tenant() for TOML; `name` stands for the file in diagnostics.
loaded<tenant::tenant> parse_tenant(const boost::json::object& o, const std::string& name,
                                    std::string_view platform_domain,
                                    std::string_view context_prefix, unknown_keys& unknown);

boost::json::object shared_to_json(const settings& s);
// `base` with all that is shared taken from `o`: keys of regions, files and the node's own sections
// stay as they are.
loaded<settings> parse_shared(const boost::json::object& o, const settings& base,
                              const std::string& name, unknown_keys& unknown);

}  // namespace gatehouse::config
