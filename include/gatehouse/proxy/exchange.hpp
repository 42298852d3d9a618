// One request and its response, from `resolve` to `settle`. Knows neither TLS nor the client's
// HTTP version. The loop's thread alone.
#pragma once

#include <gatehouse/proxy/client_side.hpp>
#include <gatehouse/proxy/gate.hpp>

namespace gatehouse::proxy {

// The tenant a session resolved last, and what its connection is charged to.
class session_tenant {
   public:
    session_tenant() = default;
    ~session_tenant() { leave(); }
    session_tenant(const session_tenant&) = delete;
    session_tenant& operator=(const session_tenant&) = delete;

    // Valid while both generations stand.
    const binding_ptr* find(std::string_view host, std::uint64_t directory_generation,
                            std::uint64_t bindings_generation) const noexcept;
    void set(std::string_view host, binding_ptr b, std::uint64_t directory_generation,
             std::uint64_t bindings_generation);
    // Charges the session's connection to `b`'s tenant instead of the one before. False: `by` has
    // as many as it may.
    bool enter(const binding_ptr& b, const limit::level** by);
    void leave() noexcept;
    const binding_ptr& kept() const noexcept { return binding_; }   // of the last set()

   private:
    std::string host_;
    binding_ptr binding_;
    std::uint64_t directory_generation_ = 0, bindings_generation_ = 0;
    binding_ptr charged_;
};

// How the session goes on.
enum class ending : std::uint8_t { keep_alive, close, close_after_draining, reset, tunnel_ended };

// `s` holds the parsed request and the exchange's working memory. Never throws on bad input.
net::task<ending> run_exchange(gate& g, client_side& client, session_tenant& who, scratch& s);

}  // namespace gatehouse::proxy
