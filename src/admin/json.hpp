// What the API shows, as JSON: keys are those of the TOML files. Pure.
#pragma once

#include <boost/json.hpp>
#include <gatehouse/admin/node_view.hpp>
#include <string>

#include "usage_query.hpp"

namespace gatehouse::admin {

namespace json = boost::json;

json::object tenant_json(const gatehouse::tenant::tenant& t);
json::object row_summary(const registry::tenant_row& r);  // an entry of a list
json::object row_json(const registry::tenant_row& r);     // all of it
json::object effective_json(const tenant::effective& e);
json::object report_json(const registry::change_report& r);
json::object pool_json(const upstream::pool_row& r);
json::object endpoint_json(std::string_view pool, const upstream::endpoint_row& r);
json::object usage_json(std::string_view tenant, const usage_query& q, const usage_answer& a);
json::object diagnostic_json(const config::diagnostic& d);
json::array diagnostics_json(const std::vector<config::diagnostic>& d);
std::string rfc3339(std::int64_t unix_seconds);

}  // namespace gatehouse::admin
