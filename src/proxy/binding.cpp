#include <gatehouse/proxy/binding.hpp>
#include <gatehouse/tenant/decide.hpp>

namespace gatehouse::proxy {

static void overlay(std::int64_t& out, const std::optional<milliseconds>& said) {
    if (said) out = std::chrono::nanoseconds(*said).count();
}

static proxy::timeouts overlay(proxy::timeouts t, const tenant::upstream_timeouts& said) {
    overlay(t.connect, said.connect);
    overlay(t.upstream_head, said.upstream_head);
    overlay(t.upstream_body_idle, said.upstream_body_idle);
    overlay(t.request_body_idle, said.request_body_idle);
    overlay(t.tunnel_idle, said.tunnel_idle);
    return t;
}

static void add_endpoints(std::vector<const upstream::endpoint*>& out, const upstream::pool& p,
                          const std::vector<std::size_t>& allowed) {
    for (const upstream::endpoint& e : p.endpoints) {
        for (const std::size_t index : allowed) {
            if (e.spec_index == index) out.push_back(&e);
        }
    }
}

void bind_endpoints(bound_route& r, const tenant::effective& e) {
    const tenant::allowed_endpoints allowed = tenant::endpoints_for(e, r.pool->spec);
    add_endpoints(r.endpoints, *r.pool, allowed.preferred);
    r.preferred_count = r.endpoints.size();
    add_endpoints(r.endpoints, *r.pool, allowed.fallback);
}

binding_ptr bindings::make(const tenant::record_ptr& r) {
    auto b = std::make_shared<binding>();
    const std::uint64_t first = made_++;   // many tenants with few requests each are to reach all endpoints alike
    b->effective = tenant::make_effective(r, directory_);
    b->parameters = parameters_;
    b->pools = pools_;
    b->routes.reserve(b->effective->routes.size());
    for (const tenant::effective_route& route : b->effective->routes) {
        bound_route bound;
        bound.route = &route;
        bound.cursor = first;
        bound.timeouts = overlay(parameters_->timeouts, route.timeouts);
        if (route.pool) {
            const auto found = pools_->find(route.pool->name);
            if (found != pools_->end()) {
                bound.pool = found->second;
                bind_endpoints(bound, *b->effective);
            }
        }
        b->routes.push_back(std::move(bound));
    }
    return b;
}

const binding_ptr& bindings::get(const tenant::record_ptr& r) {
    const auto found = kept_.find(r->id);
    if (found != kept_.end()) {
        const binding& b = *found->second;
        if (b.effective->self == r && b.parameters == parameters_ && b.pools == pools_ &&
            b.effective->current(directory_)) {
            return found->second;
        }
        found->second = make(r);
        return found->second;
    }
    if (kept_.size() >= kept) kept_.clear();
    return kept_.emplace(r->id, make(r)).first->second;
}

void bindings::set_pools(std::shared_ptr<const upstream::pool_map> p) {
    pools_ = std::move(p);
    ++generation_;
}

void bindings::set_parameters(parameters_ptr p) {
    parameters_ = std::move(p);
    ++generation_;
}

}  // namespace gatehouse::proxy
