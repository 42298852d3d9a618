#include "retry.hpp"

namespace gatehouse::proxy {

bool is_idempotent(std::string_view method) noexcept {
    return method == "GET" || method == "HEAD" || method == "PUT" || method == "DELETE" || method == "OPTIONS";
}

retry closed_before_answer(bool reused, error_code ec) noexcept {
    if (reused) return retry::reused_closed;
    return ec == boost::system::errc::connection_reset ? retry::reset : retry::never;
}

bool may_retry(const failure& f, const retry_facts& facts) noexcept {
    if (facts.response_begun || !facts.body_replayable) return false;
    if (facts.attempts >= attempts_limit || facts.credit < credit_a_retry) return false;
    switch (f.retry) {
        case retry::nothing_sent: return true;
        case retry::reused_closed: return is_idempotent(facts.method);
        case retry::reset: return is_idempotent(facts.method) && !facts.has_body;
        case retry::never: break;
    }
    return false;
}

}  // namespace gatehouse::proxy
