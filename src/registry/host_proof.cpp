#include <fmt/format.h>
#include <gatehouse/registry/host_proof.hpp>
#include <gatehouse/seal/region_key.hpp>

namespace gatehouse::registry {

proof_record host_proof(std::string_view key, const request& r) {
    std::string_view host = r.host;
    if (host.starts_with("*.")) host.remove_prefix(2);
    proof_record out{.name = fmt::format("_gatehouse-challenge.{}", host), .value = {}};
    const auto k = seal::region_key::parse(key);
    if (k) out.value = k->sign(fmt::format("host-proof\n{}\n{}\n{}", r.tenant, r.host, r.asked_at.time_since_epoch().count()));
    return out;
}

}  // namespace gatehouse::registry
