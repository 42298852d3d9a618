// Lines of TOML, and the tables that tenants, plans and pools have in common. One thread at a time.
#pragma once

#include <gatehouse/base/language.hpp>
#include <gatehouse/base/text.hpp>
#include <gatehouse/base/units.hpp>
#include <gatehouse/tenant/model.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gatehouse::config {

std::string string_literal(std::string_view s);
std::string date_literal(tenant::utc_time t);

// Lines "key = value"; nothing is written for what is not set.
class writer {
 public:
    void raw(std::string_view key, std::string_view value) {
        out_.append(key).append(" = ").append(value).append("\n");
    }
    void text(std::string_view key, std::string_view value) {
        if (!value.empty()) raw(key, string_literal(value));
    }
    template <class T>
    void number(std::string_view key, const std::optional<T>& value) {
        if (value) raw(key, std::to_string(*value));
    }
    void size(std::string_view key, const std::optional<std::uint64_t>& bytes,
              const char* suffix = "") {
        if (bytes) raw(key, string_literal(size_text(*bytes) + suffix));
    }
    template <class T>
    void unit(std::string_view key, const std::optional<T>& value) {
        if (value) raw(key, string_literal(gatehouse::to_text(*value)));
    }
    void strings(std::string_view key, const std::vector<std::string>& values) {
        if (values.empty()) return;
        std::string list = "[";
        for (const std::string& v : values)
            list.append(list.size() > 1 ? ", " : "").append(string_literal(v));
        raw(key, list += ']');
    }
    void networks(std::string_view key, const std::vector<ip_network>& values) {
        std::vector<std::string> texts;
        for (const ip_network& n : values)
            texts.push_back(n.to_string());
        strings(key, texts);
    }
    void pairs(const std::vector<std::pair<std::string, std::string>>& values) {
        for (const auto& [key, value] : values)
            raw(string_literal(key), string_literal(value));
    }
    void table(std::string_view header) { out_.append("\n[").append(header).append("]\n"); }
    void entry(std::string_view header) { out_.append("\n[[").append(header).append("]]\n"); }
    std::string take() { return std::move(out_); }

 private:
    std::string out_;
};

void write_branding(writer& w, const tenant::branding& b);
void write_languages(writer& w, const std::vector<language_ptr>& all);
// Nothing at all where nothing is set.
void write_limits(writer& w, const std::string& header, const tenant::limits& l);
// Into the table `header`, which the caller began.
void write_limit_keys(writer& w, const std::string& header, const tenant::limits& l);
void write_timeouts(writer& w, const std::string& header, const tenant::upstream_timeouts& t);

}  // namespace gatehouse::config
