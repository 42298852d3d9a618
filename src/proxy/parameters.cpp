#include <gatehouse/proxy/parameters.hpp>

namespace gatehouse::proxy {

static std::int64_t ns(milliseconds d) { return std::chrono::nanoseconds(d).count(); }

static http::head_limits::underscores convert(config::underscores u) {
    switch (u) {
        case config::underscores::reject: return http::head_limits::underscores::reject;
        case config::underscores::pass: return http::head_limits::underscores::pass;
        case config::underscores::drop: break;
    }
    return http::head_limits::underscores::drop;
}

parameters_ptr make_parameters(const config::settings& s, const std::string& fleet_id) {
    auto p = std::make_shared<parameters>();
    p->node_region = s.node.region;
    p->wrong_region = s.node.wrong_region;
    p->context_prefix = s.platform.context_prefix;
    p->identifier_field = s.platform.context_prefix + "Id";
    p->trusted_proxies = s.platform.trusted_proxies;
    p->restart_traces = s.platform.restart_traces;
    p->traces_sampled_ppm = s.platform.traces_sampled_ppm;
    p->pseudonym = s.platform.via;
    p->fleet_id = fleet_id;
    p->via = "1.1 " + s.platform.via + " (" + fleet_id + ")";
    p->timeouts = {.tls_handshake = ns(s.timeouts.tls_handshake),
                   .request_head = ns(s.timeouts.request_head),
                   .request_body_idle = ns(s.timeouts.request_body_idle),
                   .keep_alive = ns(s.timeouts.keep_alive),
                   .connect = ns(s.timeouts.connect),
                   .upstream_head = ns(s.timeouts.upstream_head),
                   .upstream_body_idle = ns(s.timeouts.upstream_body_idle),
                   .tunnel_idle = ns(s.timeouts.tunnel_idle)};
    p->request_limits.head_bytes = s.limits.head_bytes;
    p->request_limits.fields = s.limits.head_fields;
    p->request_limits.underscore_fields = convert(s.limits.underscore_fields);
    // Applications are trusted with more than their clients.
    p->response_limits.head_bytes = 64 * 1024;
    p->response_limits.fields = 200;
    p->response_limits.underscore_fields = http::head_limits::underscores::pass;
    p->handshakes = s.limits.handshakes;
    p->connections = s.limits.connections;
    p->connections_per_client = s.limits.connections_per_client;
    p->ratelimit_fields = s.limits.ratelimit_fields;
    p->logged_client = s.log.client;
    p->languages = with_built_in(s.languages);
    p->language = s.platform.language;
    p->branding = s.platform.branding;
    return p;
}

}  // namespace gatehouse::proxy
