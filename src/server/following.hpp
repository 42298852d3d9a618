// The follower of an edge: made of its settings, wired to the certificates.
#pragma once

#include <gatehouse/registry/follower.hpp>
#include <gatehouse/tls/certificates.hpp>
#include <memory>

namespace gatehouse::server {

// Null where the settings ask for none.
std::unique_ptr<registry::follower> make_follower(const config::settings& s, registry::follower::dependencies d);

// Certificates come from what `f` has; it outlives their use.
void load_certificates_from(registry::follower& f, tls::certificate_source& certificates);

}  // namespace gatehouse::server
