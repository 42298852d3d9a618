// What a client can be told went wrong: the one table of problem types, their status and title.
// Not here: the document itself (http/problem_document.hpp). Pure; any thread.
#pragma once

#include <cstdint>
#include <string_view>

namespace gatehouse {

// One a row of the error table (RFC 9457 problem types under urn:gatehouse:).
enum class problem : std::uint8_t {
    none,
    bad_request,             // 400
    suspended_billing,       // 402 tenant-suspended
    suspended_abuse,         // 403 tenant-suspended
    tenant_mismatch,         // 403
    forbidden,               // 403
    unknown_host,            // 404
    not_found,               // 404 no route of the tenant takes this target
    method_not_allowed,      // 405
    request_timeout,         // 408
    tenant_gone,             // 410
    body_too_large,          // 413
    target_too_long,         // 414
    expectation_failed,      // 417
    misdirected,             // 421
    wrong_region,            // 421
    rate_limited,            // 429
    concurrency_limited,     // 429
    quota_exhausted,         // 429
    head_too_large,          // 431
    suspended_legal,         // 451 tenant-suspended
    unknown_coding,          // 501
    upstream_failed,         // 502
    no_endpoint,             // 503
    overloaded,              // 503
    tenant_provisioning,     // 503
    tenant_maintenance,      // 503 also: suspended with reason maintenance
    registry_unavailable,    // 503
    upstream_timeout,        // 504
    version_not_supported,   // 505
    loop,                    // 508
};

struct problem_row {
    std::uint16_t status;
    std::string_view type;    // after "urn:gatehouse:"
    std::string_view title;   // one short English sentence, safe to show
    bool closes;              // the client connection cannot carry another request after this
    bool retry_after;         // a Retry-After field belongs to the answer
};

const problem_row& row(problem p) noexcept;

}  // namespace gatehouse
