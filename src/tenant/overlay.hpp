// Limits of a plan and of a tenant laid over each other, as values, texts and levels.
// Not the walk through parents; that is effective.cpp. Pure.
#pragma once

#include <gatehouse/limit/admission.hpp>
#include <gatehouse/tenant/model.hpp>
#include <gatehouse/tenant/state.hpp>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace gatehouse::tenant {

// Key by key: what `own` says, otherwise what `base` says.
limits overlay(const limits& base, const limits& own);
upstream_timeouts overlay(const upstream_timeouts& base, const upstream_timeouts& own);

// Key and value of each limit that is set, named as in the configuration.
std::vector<std::pair<std::string, std::string>> limit_texts(const limits& l);

// A level with the budget `l`, counted in `cells` (null: not counted).
limit::level make_level(std::string policy, std::string owner, const limits& l, limit_cells* cells);
// One of its rules, which counts in `cells`.
limit::rule make_rule(const std::string& policy, const std::string& owner, const client_rule& r,
                      std::shared_ptr<limit::client_cells> cells);

}  // namespace gatehouse::tenant
