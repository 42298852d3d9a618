// The table of problems a client can be told.
#include <array>
#include <gatehouse/base/problem.hpp>

namespace gatehouse {
namespace {

constexpr problem_row keeps(std::uint16_t status, std::string_view type, std::string_view title) {
    return {status, type, title, false, false};
}
constexpr problem_row closes(std::uint16_t status, std::string_view type, std::string_view title) {
    return {status, type, title, true, false};
}
constexpr problem_row later(std::uint16_t status, std::string_view type, std::string_view title) {
    return {status, type, title, false, true};
}

// In the order of the enum.
constexpr std::array rows{
    keeps(200, "none", "No problem"),
    closes(400, "bad-request", "The request could not be understood"),
    keeps(402, "tenant-suspended", "This service is paused until its billing is settled"),
    keeps(403, "tenant-suspended", "This service is suspended"),
    keeps(403, "tenant-mismatch", "The request names more than one tenant"),
    keeps(403, "forbidden", "This request is not allowed"),
    keeps(404, "unknown-host", "Nothing is served at this address"),
    keeps(404, "not-found", "Nothing was found here"),
    closes(405, "method-not-allowed", "This method is not allowed"),
    closes(408, "request-timeout", "The request took too long to arrive"),
    keeps(410, "tenant-gone", "This service is no longer available"),
    closes(413, "body-too-large", "The request body is too large"),
    closes(414, "target-too-long", "The address is too long"),
    closes(417, "expectation-failed", "The expectation of this request cannot be met"),
    closes(421, "misdirected", "This connection is not for that address"),
    keeps(421, "wrong-region", "This service is available from another region"),
    later(429, "rate-limited", "Too many requests, please try again shortly"),
    later(429, "concurrency-limited", "Too many requests at once, please try again shortly"),
    later(429, "quota-exhausted", "The quota of this service is used up"),
    closes(431, "head-too-large", "The request header fields are too large"),
    keeps(451, "tenant-suspended", "This service is unavailable for legal reasons"),
    closes(501, "unknown-coding", "This transfer coding is not supported"),
    keeps(502, "upstream-failed", "The application did not answer properly"),
    later(503, "no-endpoint", "The application is not available right now"),
    problem_row{503, "overloaded", "Too busy right now, please try again shortly", true, true},
    later(503, "tenant-provisioning", "This service is being set up"),
    later(503, "tenant-maintenance", "This service is under maintenance"),
    later(503, "registry-unavailable", "This service cannot be looked up right now"),
    keeps(504, "upstream-timeout", "The application took too long to answer"),
    closes(505, "version-not-supported", "This HTTP version is not supported"),
    keeps(508, "loop", "The request came back to where it had been"),
};
static_assert(rows.size() == static_cast<std::size_t>(problem::loop) + 1);

}  // namespace

const problem_row& row(problem p) noexcept {
    return rows[static_cast<std::size_t>(p)];
}

}  // namespace gatehouse
