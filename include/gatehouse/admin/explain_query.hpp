// From what an operator asks about (a URL, header fields) to what explain wants: the request is
// written out and read by the gate's own parser, so that both see the same. Pure.
#pragma once

#include <gatehouse/config/settings.hpp>
#include <gatehouse/explain/report.hpp>
#include <gatehouse/http/head.hpp>
#include <optional>
#include <string>
#include <vector>

namespace gatehouse::admin {

struct explain_query {
    std::string url;                   // "https://shop.acme.example/a?b"; https when no scheme
    std::optional<std::string> sni;    // unset: the URL's host; empty: a hello without SNI
    std::vector<std::string> headers;  // "Name: value"; a Host here stands for the URL's
    std::string client;                // IP address; empty: unknown
    std::string method = "GET";
};

struct prepared_query {
    std::string error;  // non-empty: the question itself is not understood
    std::optional<explain::report>
        refused;                   // the gate refuses such bytes before any tenant is known
    explain::explain_input input;  // else; without now, now_ns and node_region
};
http::head_limits head_limits_of(const config::settings& s) noexcept;
prepared_query prepare(const explain_query& q, const http::head_limits& limits);

}  // namespace gatehouse::admin
