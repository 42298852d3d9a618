// The trace that a request belongs to (W3C Trace Context, level 1). It is passed on, never added to: the gate
// is no span of it. Pure; any thread.
#pragma once

#include <gatehouse/http/head.hpp>
#include <string_view>

namespace gatehouse::http {

inline constexpr std::size_t traceparent_bytes = 55, trace_id_bytes = 32;

// Writes the traceparent that continues the request's, which is the only one and valid, to `out`, no
// terminator. False: there is none to continue, and its tracestate means nothing. A later version's is
// written as version 00.
bool continue_trace(const request_head& head, char (&out)[traceparent_bytes]) noexcept;

inline std::string_view trace_id(const char (&traceparent)[traceparent_bytes]) noexcept {
    return {traceparent + 3, trace_id_bytes};
}

}  // namespace gatehouse::http
