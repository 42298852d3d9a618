// Limits and timeouts laid over each other.
#include "overlay.hpp"

#include <fmt/format.h>

namespace gatehouse::tenant {
namespace {

template <class T>
void take(std::optional<T>& to, const std::optional<T>& over) {
    if (over) to = over;
}

std::string_view text_of(redis_loss l) noexcept {
    switch (l) {
        case redis_loss::share:
            return "share";
        case redis_loss::open:
            return "open";
        case redis_loss::closed:
            return "closed";
    }
    return "share";
}

std::string text_of(const std::vector<client_rule>& rules) {
    std::string out;
    for (const client_rule& r : rules) {
        if (!out.empty()) out += ", ";
        out += r.key + " " + to_text(r.rate);
        if (r.burst) out += " burst " + std::to_string(*r.burst);
    }
    return out;
}

// draft-ietf-httpapi-ratelimit-headers-08.
std::string rate_fields(std::string_view policy, const limit::gcra_parameters& p) {
    constexpr std::int64_t second_ns = 1'000'000'000;
    if (p.interval_ns == 0) return {};
    const bool often = p.interval_ns <= second_ns;
    const std::int64_t quota = often ? second_ns / p.interval_ns : 1;
    const std::int64_t window_s = often ? 1 : p.interval_ns / second_ns;
    return fmt::format("RateLimit-Policy: \"{0}\";q={1};w={2}\r\nRateLimit: \"{0}\";r=", policy,
                       quota, window_s);
}

// A calendar period has no length that always holds, so the policy tells none.
std::string quota_fields(std::string_view policy, const quota& q) {
    return fmt::format("RateLimit-Policy: \"{0};quota\";q={1}\r\nRateLimit: \"{0};quota\";r=", policy,
                       q.count);
}

}  // namespace

limits overlay(const limits& base, const limits& own) {
    limits l = base;
    take(l.rate, own.rate);
    take(l.burst, own.burst);
    take(l.concurrency, own.concurrency);
    take(l.connections, own.connections);
    take(l.quota, own.quota);
    take(l.bandwidth_bytes, own.bandwidth_bytes);
    take(l.max_body_bytes, own.max_body_bytes);
    take(l.weight, own.weight);
    take(l.on_redis_loss, own.on_redis_loss);
    if (!own.rules.empty()) l.rules = own.rules;
    return l;
}

upstream_timeouts overlay(const upstream_timeouts& base, const upstream_timeouts& own) {
    upstream_timeouts t = base;
    take(t.connect, own.connect);
    take(t.upstream_head, own.upstream_head);
    take(t.upstream_body_idle, own.upstream_body_idle);
    take(t.request_body_idle, own.request_body_idle);
    take(t.tunnel_idle, own.tunnel_idle);
    return t;
}

std::vector<std::pair<std::string, std::string>> limit_texts(const limits& l) {
    std::vector<std::pair<std::string, std::string>> out;
    if (l.rate) out.emplace_back("rate", to_text(*l.rate));
    if (l.burst) out.emplace_back("burst", std::to_string(*l.burst));
    if (l.concurrency) out.emplace_back("concurrency", std::to_string(*l.concurrency));
    if (l.connections) out.emplace_back("connections", std::to_string(*l.connections));
    if (l.quota) out.emplace_back("quota", to_text(*l.quota));
    if (l.bandwidth_bytes) out.emplace_back("bandwidth", size_text(*l.bandwidth_bytes) + "/s");
    if (l.max_body_bytes) out.emplace_back("max_body", size_text(*l.max_body_bytes));
    if (l.weight) out.emplace_back("weight", std::to_string(*l.weight));
    if (l.on_redis_loss) out.emplace_back("on_redis_loss", text_of(*l.on_redis_loss));
    if (!l.rules.empty()) out.emplace_back("rules", text_of(l.rules));
    return out;
}

limit::level make_level(std::string policy, std::string owner, const limits& l,
                        limit_cells* cells) {
    limit::level level;
    level.policy = std::move(policy);
    level.owner = std::move(owner);
    if (l.rate) level.rate = limit::make_parameters(*l.rate, l.burst.value_or(0));
    level.rate_fields = rate_fields(level.policy, level.rate);
    if (l.quota) {
        level.requests = *l.quota;
        level.quota_fields = quota_fields(level.policy, *l.quota);
    }
    level.concurrency = l.concurrency.value_or(0);
    level.connections = l.connections.value_or(0);
    if (cells == nullptr) return level;
    level.rate_cell = &cells->rate;
    level.concurrency_gauge = &cells->concurrency;
    level.connections_gauge = &cells->connections;
    return level;
}

limit::rule make_rule(const std::string& policy, const std::string& owner, const client_rule& r,
                      std::shared_ptr<limit::client_cells> cells) {
    constexpr std::string_view field = "field:";
    limit::rule rule;
    rule.bound.policy = policy;
    rule.bound.owner = owner;
    rule.bound.each = r.key;
    rule.bound.rate = limit::make_parameters(r.rate, r.burst.value_or(0));
    rule.bound.rate_fields = rate_fields(owner + ";" + r.key, rule.bound.rate);
    if (r.key.starts_with(field)) rule.field = r.key.substr(field.size());
    rule.cells = std::move(cells);
    return rule;
}

}  // namespace gatehouse::tenant
