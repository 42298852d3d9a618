// The fields and targets that the gate adds to answers: limits, request id, HSTS, redirects. Pure.
#pragma once

#include <gatehouse/limit/admission.hpp>
#include <gatehouse/proxy/binding.hpp>
#include <gatehouse/proxy/client_side.hpp>
#include <string>
#include <string_view>

namespace gatehouse::proxy {

// The client's tenant identifier field ("X-Tenant-Id"); empty: none.
std::string_view identifier_of(const http::request_head& request, std::string_view field_name) noexcept;

// What a page is written in: the client's wish where we have it, or the tenant's or the platform's language.
const language& page_language(const http::request_head& request, const parameters& p, const tenant::effective* e) noexcept;

// All of these overwrite `out`.
void write_extra_fields(std::string& out, std::string_view request_id, std::string_view hsts_field,
                        const parameters& p, const limit::admission& a);
void write_refusal_fields(std::string& out, problem what, const limit::admission& a, const parameters& p,
                          const tenant::effective* e);
// The sentence for a refusal by a limit: which policy, whose.
std::string_view refusal_detail(std::string& out, const limit::admission& a);
// Whole seconds until it is worth coming back, at least 1.
std::int64_t retry_after_seconds(const limit::admission& a) noexcept;
// At least `seconds`, and up to a quarter more, so that those refused together do not come back
// together: at least up to 2 s, at most up to 60 s more.
std::int64_t spread_seconds(std::int64_t seconds, std::uint64_t random) noexcept;

// Where a redirect of the listener (to HTTPS), of redirect_hosts, or of a route leads.
void write_location(std::string& out, const http::request_head& request, const client_facts& client,
                    std::string_view path_and_query, std::string_view redirect_host, const tenant::route& route);
// The same host at the port of the tenant's home region. False: that region's address is not known.
bool write_region_location(std::string& out, const http::request_head& request, const tenant::effective& e);

}  // namespace gatehouse::proxy
