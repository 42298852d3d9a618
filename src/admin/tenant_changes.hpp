// Requests that change a tenant, and their answers. Pure.
#pragma once

#include <gatehouse/registry/change.hpp>
#include <optional>
#include <string_view>

#include "api.hpp"

namespace gatehouse::admin {

struct asked_change {
    registry::tenant_change change;
    std::optional<api_answer> wrong;  // set: the request is not understood
};

// What a request says besides its path.
struct change_request {
    std::string_view content_type, if_match, body;
    std::string_view dry_run, grace, recursive;  // of the query
    const std::vector<gatehouse::tenant::tenant>* templates = nullptr;  // create: what a document may begin with; null: nothing
};

api_answer refusal_answer(const registry::change_answer& a);  // of one that was refused
asked_change read_change(registry::tenant_change::verb what, std::string_view id, const change_request& r);
// `shown`: the tenant afterwards; null: it is not known. `row`: as the caller may see it.
api_answer answer_of(const registry::tenant_change& c, const registry::change_answer& a, const registry::tenant_row* shown,
                     const json::object& row);

}  // namespace gatehouse::admin
