// The admin API without HTTP: a request's method, target and fields to an answer. Not here:
// connections (server.cpp). Control thread.
#pragma once

#include <gatehouse/admin/node_view.hpp>

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gatehouse::admin {

struct api_request {
    std::string_view method, target, authorization, if_none_match;
    std::string_view if_match = {}, content_type = {}, body = {};
    std::string_view client = {}, request_id = {};  // whose address, and what it is called in the audit log
};

struct api_answer {
    unsigned status = 200;
    std::string content_type = "application/json";
    std::string body;
    std::vector<std::pair<std::string, std::string>> fields;  // ETag, Allow, WWW-Authenticate
    // Set: what answers later. The server runs it and sends what it calls back with, or this
    // answer when that takes too long.
    std::function<void(std::function<void(api_answer)>)> action;
};

api_answer api_problem(unsigned status, std::string_view type, std::string_view title,
                       std::string_view detail);

struct asked_change;

class api {
 public:
    struct options {
        std::string token;
        bool open_metrics = false;  // bound to loopback or a Unix socket: no token for /metrics
        std::chrono::milliseconds metrics_every{1'000};
    };
    api(node_view& node, options o);
    api_answer answer(const api_request& r);
    // Gives tenants their series; done once before any traffic, they count from 0.
    void look_at_tenants();
    const std::string& token() const noexcept { return options_.token; }
    void set_token(std::string token) { options_.token = std::move(token); }

 private:
    struct parsed;
    struct endpoint;
    static const std::vector<endpoint>& endpoints();
    static std::optional<std::size_t> page_limit(const parsed& p);
    bool authorized(std::string_view authorization) const noexcept;
    api_answer health(const parsed&);
    api_answer ready(const parsed&);
    api_answer metrics(const parsed&);
    api_answer openapi(const parsed&);
    api_answer node(const parsed&);
    api_answer certificates(const parsed&);
    api_answer tenants(const parsed&);
    api_answer tenant(const parsed&);
    api_answer effective(const parsed&);
    api_answer usage(const parsed&);
    api_answer create(const parsed&);
    api_answer update(const parsed&);
    api_answer suspend(const parsed&);
    api_answer reactivate(const parsed&);
    api_answer remove(const parsed&);
    api_answer audit(const parsed&);
    api_answer audit_verify(const parsed&);
    static asked_change asked(registry::tenant_change::verb what, const parsed&);
    api_answer change(asked_change asked);
    api_answer once_loaded(const std::string& host, const parsed&, api_answer (api::*run)(const parsed&));
    api_answer explain(const parsed&);
    api_answer reload(const parsed&);
    api_answer publish(const parsed&);
    api_answer diff(const parsed&);
    api_answer pools(const parsed&);
    api_answer pool(const parsed&);
    api_answer drain(const parsed&);
    api_answer enable(const parsed&);
    api_answer set_drained(const parsed&, drain_wish);

    node_view& node_;
    options options_;
};

// The OpenAPI 3.1 document of all the above.
const std::string& openapi_document();

}  // namespace gatehouse::admin
