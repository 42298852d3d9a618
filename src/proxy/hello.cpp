#include <gatehouse/balance/choose.hpp>
#include <gatehouse/base/log.hpp>
#include <gatehouse/proxy/hello.hpp>
#include <gatehouse/tenant/decide.hpp>

namespace gatehouse::proxy {

hello::hello(gate& g, tls::certificate_source& source, executor run_in_pool, std::size_t cache_count)
    : gate_(g),
      source_(source),
      run_in_pool_(std::move(run_in_pool)),
      cache_(cache_count),
      self_(std::make_shared<hello*>(this)) {}

static tls::hello_verdict refuse(int alert) {
    tls::hello_verdict v;
    v.what = tls::hello_verdict::kind::refuse;
    v.alert = alert;
    return v;
}

static tls::hello_verdict wait() {
    tls::hello_verdict v;
    v.what = tls::hello_verdict::kind::wait;
    return v;
}

// Where others wait for their turn the handshake goes on, to the step that signs, in its tenant's.
tls::hello_verdict hello::on_hello(std::string_view server_name, void* connection) {
    const auto& state = *static_cast<std::shared_ptr<hello_state>*>(connection);
    tls::hello_verdict v = look_up(server_name, state);
    const bool serve = v.what == tls::hello_verdict::kind::serve;
    if (state->in_turn || (serve && !gate_.loop.turns_wanted())) return v;
    if (v.what == tls::hello_verdict::kind::refuse) return v;
    state->in_turn = true;
    if (serve) state->ready.set();
    return wait();
}

tls::hello_verdict hello::look_up(std::string_view server_name, const std::shared_ptr<hello_state>& state) {
    const tenant::platform& platform = *gate_.directory.current_platform();
    if (gate_.directory.is_stale()) return refuse(SSL_AD_INTERNAL_ERROR);
    if (server_name.empty()) {
        if (platform.default_tls_tenant.empty()) return refuse(SSL_AD_UNRECOGNIZED_NAME);
        if (const auto first = load_first({}, platform.default_tls_tenant, state)) return *first;
        const tenant::record_ptr* r = gate_.directory.find_tenant(platform.default_tls_tenant);
        return r ? for_default_tenant(*r, state) : refuse(SSL_AD_UNRECOGNIZED_NAME);
    }
    if (platform.shared_hosts.contains(server_name)) {
        state->shared_host = true;
        state->party = {.id = balance::stable_hash(server_name)};
        return with_certificate(server_name, {}, {}, state);
    }
    if (const auto first = load_first(server_name, {}, state)) return *first;
    const tenant::record_ptr* r = gate_.directory.find_host(server_name);
    if (!r) {
        state->unknown_name = true;
        return refuse(SSL_AD_UNRECOGNIZED_NAME);
    }
    if (const auto elsewhere = relay(server_name, *r, *state)) return *elsewhere;
    return for_tenant(server_name, *r, state);
}

// With the first of its names that has a certificate. They are asked for one after the other, so not without end.
tls::hello_verdict hello::for_default_tenant(const tenant::record_ptr& r, const std::shared_ptr<hello_state>& state) {
    tls::hello_verdict v = refuse(SSL_AD_UNRECOGNIZED_NAME);
    std::size_t number = 0;
    for (const std::string_view host : r->hosts) {
        if (host.starts_with('*')) continue;   // stands for names that nobody has said
        if (number == names_tried) break;
        if (number++ < state->names_refused) continue;
        v = for_tenant(host, r, state);
        if (v.what != tls::hello_verdict::kind::refuse) break;
        ++state->names_refused;
        state->waited_for_certificate = false;
    }
    return v;
}

// What is to be done before the directory is asked; nothing: it has all there is to know.
std::optional<tls::hello_verdict> hello::load_first(std::string_view host, std::string_view id,
                                                    const std::shared_ptr<hello_state>& state) {
    if (!gate_.loader || state->tenant_loaded) return std::nullopt;
    if (host.empty() ? !gate_.directory.must_load_tenant(id) : !gate_.directory.must_load_host(host)) return std::nullopt;
    if (state->waited_for_tenant) return refuse(SSL_AD_INTERNAL_ERROR);
    state->waited_for_tenant = true;
    const auto loaded = [&loop = gate_.loop, state](tenant::loader::answer a) {
        loop.post([state, a] {
            state->tenant_loaded = a == tenant::loader::answer::done;
            if (state->connected) state->ready.set();
        });
    };
    if (host.empty()) {
        gate_.loader->load_tenant(std::string(id), loaded);
    } else {
        gate_.loader->load_host(std::string(host), loaded);
    }
    return wait();
}

// A strict tenant of another region on a node that relays; nothing of the tenant's is needed here. It
// happens once: where the next gateway does not call itself the tenant's home either, the two disagree.
std::optional<tls::hello_verdict> hello::relay(std::string_view host, const tenant::record_ptr& r, hello_state& state) {
    if (!state.kept || !r->tenant) return std::nullopt;
    const binding_ptr& b = gate_.bindings.get(r);
    if (tenant::relay_address(*b->effective, gate_.settings().node_region).empty()) return std::nullopt;
    if (!state.relayed_by.empty()) {
        gate_.counters.relay_failed(relay_failure::twice);
        static log::limiter limiter{1, 60};
        std::uint64_t suppressed = 0;
        if (limiter.allow(&suppressed)) {
            log::warn("tenant {}: region {} relays it here, but its home is {}: not relayed again; its file or regions.{}.address "
                      "is wrong on one of the two", r->id, state.relayed_by, b->effective->region, b->effective->region);
        }
        return refuse(SSL_AD_INTERNAL_ERROR);
    }
    state.server_name = host;
    state.elsewhere = b;
    state.kept->pass_on = true;
    return wait();
}

tls::hello_verdict hello::for_tenant(std::string_view host, const tenant::record_ptr& r,
                                     const std::shared_ptr<hello_state>& state) {
    state->tenant = r->id;
    state->party = {.id = reinterpret_cast<std::uintptr_t>(r->state.get())};
    r->state->last_used_s.store(static_cast<std::uint32_t>(gate_.loop.unix_seconds()), std::memory_order_relaxed);
    if (!r->tenant) {   // gone: so that 410 can be said. It may come back on this connection, and want a client's certificate
        state->tls_policy = tenant::tls_policy_text({}, *gate_.directory.current_platform());
        return with_certificate(host, r->id, {}, state);
    }
    const binding_ptr& b = gate_.bindings.get(r);
    const tenant::client_tls& wanted = b->effective->own.tls;
    tls::trust_ptr trust;
    if (!wanted.client_ca_file.empty()) {
        const auto found = trusts_.find(wanted.client_ca_file);
        const bool handed = found == trusts_.end() && state->trust_file == wanted.client_ca_file;
        if (found == trusts_.end() && !handed) {
            if (state->waited_for_trust) return refuse(SSL_AD_INTERNAL_ERROR);
            state->waited_for_trust = true;
            load_trust(r->id, wanted.client_ca_file, state);
            return wait();
        }
        trust = handed ? state->trust : found->second;
        if (!trust) return refuse(SSL_AD_INTERNAL_ERROR);
    }
    state->tls_policy = b->effective->tls_policy;
    std::string bound_to = b->effective->tls_policy;
    if (trust) bound_to += ' ' + std::to_string(trust->content);
    tls::hello_verdict v = with_certificate(host, r->id, bound_to, state);
    v.client_ca = trust.get();
    if (wanted.min_version == "1.3") v.min_version = TLS1_3_VERSION;
    return v;
}

tls::hello_verdict hello::with_certificate(std::string_view host, std::string_view tenant_id, std::string_view tls_policy,
                                           const std::shared_ptr<hello_state>& state) {
    const tls::certificate_ptr* known = cache_.find(host);
    if (!known && state->waited_for_certificate && state->certificate_host == host) known = &state->certificate;
    if (known) {
        if (!*known) return refuse(SSL_AD_INTERNAL_ERROR);   // the source has said why in the log
        if (!state->waited_for_certificate) gate_.counters.certificates_cached.add();
        tls::hello_verdict v;
        v.what = tls::hello_verdict::kind::serve;
        v.certificate = known->get();
        v.session_context = tls::server_context::session_context_of(tenant_id, tls_policy);
        return v;
    }
    if (state->waited_for_certificate) return refuse(SSL_AD_INTERNAL_ERROR);
    state->waited_for_certificate = true;
    gate_.counters.certificates_asked.add();
    net::loop& loop = gate_.loop;
    const std::string name(host);
    source_.request(name, tenant_id, [weak = std::weak_ptr<hello*>(self_), &loop, name, state](tls::certificate_ptr c) {
        loop.post([weak, name, state, c = std::move(c)] {
            if (const auto self = weak.lock()) (*self)->cache_.put(name, c);
            state->certificate = c;
            state->certificate_host = name;
            if (state->connected) state->ready.set();
        });
    });
    return wait();
}

void hello::load_trust(const std::string& tenant, const std::string& file, const std::shared_ptr<hello_state>& state) {
    net::loop& loop = gate_.loop;
    run_in_pool_([weak = std::weak_ptr<hello*>(self_), &loop, tenant, file, state] {
        std::string error;
        tls::trust_ptr trust;
        try {
            trust = tls::load_trust(file, error);
        } catch (const std::exception& e) {   // whatever it is, the hello is answered
            error = file + ": " + e.what();
        }
        if (!trust) log::error("tenant {}: tls.client_ca: {}", tenant, error);
        loop.post([weak, file, state, trust = std::move(trust)] {
            if (const auto self = weak.lock()) (*self)->trusts_[file] = trust;
            state->trust = trust;
            state->trust_file = file;
            if (state->connected) state->ready.set();
        });
    });
}

}  // namespace gatehouse::proxy
