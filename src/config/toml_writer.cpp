#include "toml_writer.hpp"

#include <chrono>
#include <cstdio>

#include "names.hpp"

namespace gatehouse::config {

std::string string_literal(std::string_view s) {
    std::string out = "\"";
    for (const char c : s) {
        const auto u = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (u < 0x20 || u == 0x7f) {
            out += "\\u00" + hex({&c, 1});
        } else {
            out += c;
        }
    }
    return out += '"';
}

std::string date_literal(tenant::utc_time t) {
    const auto day = std::chrono::floor<std::chrono::days>(t);
    const std::chrono::year_month_day date{day};
    const std::chrono::hh_mm_ss time{t - day};
    char text[48];
    std::snprintf(text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02dZ",
                  static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                  static_cast<unsigned>(date.day()), static_cast<int>(time.hours().count()),
                  static_cast<int>(time.minutes().count()),
                  static_cast<int>(time.seconds().count()));
    return text;
}

static void write_burst(writer& w, const std::optional<std::uint64_t>& burst) {
    w.number("burst", burst);
}

void write_limits(writer& w, const std::string& header, const tenant::limits& l) {
    if (l == tenant::limits{}) return;
    w.table(header);
    write_limit_keys(w, header, l);
}

void write_limit_keys(writer& w, const std::string& header, const tenant::limits& l) {
    w.unit("rate", l.rate);
    write_burst(w, l.burst);
    w.number("concurrency", l.concurrency);
    w.number("connections", l.connections);
    w.unit("quota", l.quota);
    w.size("bandwidth", l.bandwidth_bytes, "/s");
    w.size("max_body", l.max_body_bytes);
    w.number("weight", l.weight);
    if (l.on_redis_loss)
        w.text("on_redis_loss", names::name_of(names::redis_losses, *l.on_redis_loss));
    for (const tenant::client_rule& rule : l.rules) {
        w.entry(header + ".rules");
        w.text("key", rule.key);
        w.unit("rate", std::optional(rule.rate));
        write_burst(w, rule.burst);
    }
}

void write_timeouts(writer& w, const std::string& header, const tenant::upstream_timeouts& t) {
    if (t == tenant::upstream_timeouts{}) return;
    w.table(header);
    w.unit("connect", t.connect);
    w.unit("upstream_head", t.upstream_head);
    w.unit("upstream_body_idle", t.upstream_body_idle);
    w.unit("request_body_idle", t.request_body_idle);
    w.unit("tunnel_idle", t.tunnel_idle);
}

}  // namespace gatehouse::config
