// Stage `hello`: which tenant a server name leads to and which certificate, protocol floor and
// client CA its handshake gets. One a worker; the loop's thread alone.
#pragma once

#include <functional>
#include <gatehouse/balance/fair_queue.hpp>
#include <gatehouse/base/text.hpp>
#include <gatehouse/net/loop.hpp>
#include <gatehouse/net/stream.hpp>
#include <gatehouse/proxy/gate.hpp>
#include <gatehouse/tls/certificates.hpp>
#include <gatehouse/tls/context.hpp>
#include <map>
#include <memory>
#include <optional>
#include <string>

namespace gatehouse::proxy {

// A connection's side of the hello: what it learns, and how it is woken. Shared with what is being
// loaded for it, so that a connection may end meanwhile.
struct hello_state {
    explicit hello_state(net::loop& l) : ready(l) {}
    net::event ready;
    bool waited_for_tenant = false, waited_for_trust = false, waited_for_certificate = false;   // it had its turn to wait
    std::size_t names_refused = 0;   // of tls.default_tenant: they have no certificate
    bool tenant_loaded = false;      // or nobody's
    // What came of it, and for what: this handshake's, though the caches may have been emptied since.
    tls::trust_ptr trust;
    tls::certificate_ptr certificate;
    std::string trust_file, certificate_host;
    balance::party party;            // whose steps the handshake's are: the client's network, then the tenant
    bool in_turn = false;            // what comes next waits among its party's
    bool connected = true;           // false once the connection is gone
    bool unknown_name = false;       // for the counters
    std::string tenant;              // the tenant's id; empty on a shared host
    std::string tls_policy;
    bool shared_host = false;
    // On a node that relays. `elsewhere`: the tenant whose home region gets the connection undecrypted.
    std::optional<net::kept_hello> kept;
    std::string relayed_by;          // region of the gateway that relays it here; empty: none does
    std::string server_name;
    binding_ptr elsewhere;
};

class hello final : public tls::hello_policy {
   public:
    using executor = tls::certificate_source::executor;
    hello(gate& g, tls::certificate_source& source, executor run_in_pool, std::size_t cache_count);

    // `connection` is a std::shared_ptr<hello_state>*.
    tls::hello_verdict on_hello(std::string_view server_name, void* connection) override;
    void certificate_replaced(const std::string& pattern) { cache_.erase(pattern); }
    void reset_certificates(std::size_t count) { cache_.reset(count); }   // each is asked for again
    void forget_trust() { trusts_.clear(); }   // CA files are read again at their next use

    static constexpr std::int64_t patience_ns = 250'000'000;
    static constexpr std::size_t names_tried = 8;   // of tls.default_tenant, for a hello without a name

   private:
    tls::hello_verdict look_up(std::string_view server_name, const std::shared_ptr<hello_state>& state);
    tls::hello_verdict with_certificate(std::string_view host, std::string_view tenant_id, std::string_view tls_policy,
                                        const std::shared_ptr<hello_state>& state);
    tls::hello_verdict for_tenant(std::string_view host, const tenant::record_ptr& r,
                                  const std::shared_ptr<hello_state>& state);
    tls::hello_verdict for_default_tenant(const tenant::record_ptr& r, const std::shared_ptr<hello_state>& state);
    std::optional<tls::hello_verdict> relay(std::string_view host, const tenant::record_ptr& r, hello_state& state);
    std::optional<tls::hello_verdict> load_first(std::string_view host, std::string_view id,
                                                 const std::shared_ptr<hello_state>& state);
    void load_trust(const std::string& tenant, const std::string& file, const std::shared_ptr<hello_state>& state);

    gate& gate_;
    tls::certificate_source& source_;
    executor run_in_pool_;
    tls::certificate_cache cache_;
    std::map<std::string, tls::trust_ptr, std::less<>> trusts_;   // by file; null: it cannot be used
    // Callbacks of what is still being loaded find out here that this worker is gone.
    std::shared_ptr<hello*> self_;
};

}  // namespace gatehouse::proxy
