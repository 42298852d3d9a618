// What would happen to a request, stage by stage, without sending one: the pure decisions that the
// path of a request obeys, run in its order and written down. Not here: fetching, names, health.
// Pure; the directory is read under its own rule.
#pragma once

#include <gatehouse/base/error.hpp>
#include <gatehouse/base/problem.hpp>
#include <gatehouse/tenant/decide.hpp>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace gatehouse::explain {

struct explain_input {
    std::string scheme = "https";           // "https" or "http"
    std::string host;                       // normalised: lower case, no port, no trailing dot
    std::uint16_t port = 0;                 // 0: not in the URL
    std::string path_and_query = "/";       // normalised: dot segments resolved, begins with '/'
    std::string method = "GET";
    // Of the hello; unset: the URL's host, as a browser would; empty: a hello without SNI.
    std::optional<std::string> sni;
    std::vector<std::pair<std::string, std::string>> fields;   // the request's header fields
    std::optional<ip_address> client;       // unset: rules about addresses do not apply
    tenant::utc_time now;
    std::int64_t now_ns = 0;                // of the clock that the workers charge limits with
    std::string node_region;                // empty: the platform's node_region
    std::function<std::string(const std::string&)> moving_to;   // where a tenant is being moved just now; unset: nowhere
};

struct fact {
    std::string key, value;
};
struct step {
    gatehouse::stage stage;
    std::string decision;                   // a few words: "tenant acme", "refused: 402 tenant-suspended"
    std::vector<fact> facts;
};
struct refusal {
    gatehouse::stage stage;
    gatehouse::problem problem;
    std::string detail;
};
struct destination {
    std::string pool;
    std::string endpoint;                   // the first that could be chosen
    std::string target, host;               // request line and Host sent upstream
};

struct relay_target {
    std::string region, address;            // the connection goes there undecrypted
};

struct report {
    std::string url;
    std::vector<step> steps;                // goes on behind a refusal as far as it can
    std::optional<refusal> refused;         // the first
    std::string redirect;                   // not refused: answered with this redirect instead
    std::optional<destination> forward;
    std::optional<relay_target> relay;      // nothing else is decided here then
};

report explain(const tenant::directory& d, const explain_input& in);

// For people: a line a stage, facts in columns, the outcome last.
std::string to_text(const report& r);
std::string to_json(const report& r);

}  // namespace gatehouse::explain
