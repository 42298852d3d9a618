// Who may ask what of the admin API, and what tenants' administrators asked the platform for. Plain values; stored in
// central.db, each change of them with its line in the audit log.
#pragma once

#include <boost/json/object.hpp>
#include <chrono>
#include <cstdint>
#include <gatehouse/registry/change.hpp>
#include <gatehouse/tenant/model.hpp>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

namespace gatehouse::registry {

// Of a tenant: it and all below it.
enum class role : std::uint8_t { platform_admin, platform_viewer, tenant_admin, tenant_viewer };

std::string_view name(role r) noexcept;  // "platform-admin"
std::optional<role> role_named(std::string_view word) noexcept;
constexpr bool is_platforms(role r) noexcept {
    return r == role::platform_admin || r == role::platform_viewer;
}
constexpr bool may_change(role r) noexcept {
    return r == role::platform_admin || r == role::tenant_admin;
}

struct access_token {
    std::string id;      // public, 16 hexadecimal digits
    std::string hash;    // seal::sha256 of its secret; the secret itself is 192 random bits and kept nowhere
    registry::role role = role::tenant_viewer;
    std::string tenant;  // whose; empty: the platform's
    std::string label;   // what it is for, in its maker's words
    std::string made_by;
    tenant::utc_time made_at{};
    std::optional<tenant::utc_time> expires;
};

// One of a kind: asked for again, it is the same.
inline auto key_of(const request& r) {
    return std::tie(r.tenant, r.what, r.host);
}
struct request_order {
    bool operator()(const request& a, const request& b) const noexcept { return key_of(a) < key_of(b); }
};

// What one tenant lets another's tokens do with it, and with none below it.
struct grant {
    std::string tenant, to;
    registry::role role = registry::role::tenant_viewer;  // or tenant_admin
    std::string made_by;
    tenant::utc_time made_at{};
    std::optional<tenant::utc_time> expires;
};

// A change that was done and may be asked for again.
struct done_change {
    std::string key, content;  // tenant_change::retry_key, retry_content
    std::string tenant;
    tenant::utc_time at{};
};
// So long the answer to a repeated one is known.
inline constexpr std::chrono::hours retries_kept{24};

struct access_list {
    std::map<std::string, access_token, std::less<>> tokens;            // by id
    std::map<std::string, std::vector<request>, std::less<>> requests;  // by tenant, in request_order
    std::map<std::string, std::map<std::string, grant, std::less<>>, std::less<>> grants;  // by tenant, then by whom it is to
    std::map<std::string, done_change, std::less<>> retries;            // by key
    std::string proof_key;                                              // of host_proof()
    // Nothing of that tenant is left.
    void forget(std::string_view tenant);
    void forget_retries(tenant::utc_time now);
    // What was asked for before stays as it was.
    void ask(const std::vector<request>& list);
};

// All or nothing.
struct access_change {
    std::vector<access_token> put_tokens;
    std::vector<std::string> drop_tokens;  // ids
    std::vector<request> put_requests, drop_requests;
    std::vector<grant> put_grants, drop_grants;  // drop: by tenant and to
    std::vector<audit_event> events;
    registry::author author;
    void apply_to(access_list& list) const;
};

// At most, so that nobody fills the node's memory with them.
inline constexpr std::size_t most_tokens_of_one = 100, most_requests_of_one = 100, most_grants_of_one = 100;

}  // namespace gatehouse::registry
