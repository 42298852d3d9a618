// What the API answered, as text for people. Pure.
#pragma once

#include <boost/json.hpp>
#include <gatehouse/config/load.hpp>
#include <string>
#include <vector>

namespace gatehouse::cli {

namespace json = boost::json;

// Missing keys and other types than expected count as empty: a node may be older or newer.
std::string text_of(const json::object& o, std::string_view key);

std::string tenant_table(const json::array& summaries);
// Parents and children; `root` non-empty: that tenant and all below it. A tenant whose parent is
// not there stands at the left, named as such; so does one of a cycle.
std::string tenant_tree(const json::array& summaries, std::string_view root);
json::array tenant_tree_json(const json::array& summaries, std::string_view root);
std::string tenant_text(const json::object& tenant);
std::string effective_text(const json::object& effective);
std::string certificate_table(const json::array& certificates);
std::string pool_table(const json::array& pools);
// "pool shared: 127.0.0.1:9001 is draining, 3 in flight"
std::string endpoint_line(const json::object& endpoint);
// In flight at the endpoint that `address` names, all of its addresses together; of GET /v1/pools/NAME.
std::uint64_t in_flight_at(const json::object& pool, std::string_view address);
std::string reload_text(const json::object& report);
std::string problem_text(const json::object& problem, unsigned status);

std::string check_text(const std::vector<config::diagnostic>& d);
json::object check_json(const std::vector<config::diagnostic>& d);

}  // namespace gatehouse::cli
