// Who asks, and whether they may. Pure, but for the count of wrong tokens.
#pragma once

#include <chrono>
#include <functional>
#include <gatehouse/base/secret.hpp>
#include <gatehouse/registry/access.hpp>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace gatehouse::admin {

struct identity {
    registry::role role = registry::role::platform_admin;
    std::string tenant;  // whose token; empty: the platform's
    std::string who;     // for the audit log: "admin", who has [admin] token_file; "token:0123456789abcdef"
    bool by_grant = false;  // at another's tenant, which lets it
    bool is_platforms() const noexcept { return registry::is_platforms(role); }
    bool may_change() const noexcept { return registry::may_change(role); }
};

// What an operation takes. Where its path names a tenant, that tenant is the caller's own or below it, or granted to it;
// own_...: not granted.
enum class needs : std::uint8_t { nothing, metrics, viewer, admin, own_viewer, own_admin, platform_viewer, platform_admin };

enum class verdict : std::uint8_t { yes, no_such_tenant, forbidden };
// As what a caller stands before a tenant: as itself in its family; by a grant with the lesser of both roles; nothing:
// to it there is no such tenant.
std::optional<identity> before_tenant(const identity& who, std::string_view tenant, bool in_family, const registry::access_list& list,
                                      tenant::utc_time now);
// `who`: as it stands before the tenant that the path names, if any; `sees`: it may know of it.
verdict judge(needs n, const identity& who, bool sees) noexcept;
// Whether it may make a user of one role one of another; empty: there is none. By a grant nobody makes or unmakes owners.
bool may_set_user(const identity& who, std::string_view role_before, std::string_view role_after) noexcept;
// "platform-admin", "tenant-admin or platform-admin".
std::string_view roles_for(needs n) noexcept;

// The text of a new token: what its owner sends, and what is kept of it.
struct new_token {
    secret_text text;  // "gh_ID_SECRET"
    std::string id, hash;
};
new_token make_token();

// Whose token that is; nothing: nobody's, or it is over.
std::optional<identity> find_token(const registry::access_list& list, std::string_view text, tenant::utc_time now);

// Of an Authorization field; empty: there is none.
std::string_view bearer_token(std::string_view authorization) noexcept;

// Holds back answers to wrong tokens, the longer the more there were from one address: 100 ms, doubled each time, up to
// 2 s; forgotten after a minute without one. A right token never waits.
class wrong_tokens {
 public:
    using clock = std::chrono::steady_clock;
    std::chrono::milliseconds count(std::string_view address, clock::time_point now);

 private:
    struct tries {
        unsigned count = 0;
        clock::time_point last;
    };
    std::map<std::string, tries, std::less<>> by_address_;  // at most 1,000; then those of longest ago go
};

}  // namespace gatehouse::admin
