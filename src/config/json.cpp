// JSON by way of TOML's tree, so that there is one reader and one writer of each key.
#include <fmt/format.h>
#include <boost/json/array.hpp>
#include <boost/json/value.hpp>
#include <cstdlib>
#include <gatehouse/config/json.hpp>

#include "sections.hpp"

namespace gatehouse::config {

namespace json = boost::json;

namespace {

constexpr unsigned depth_max = 16;

// --- TOML to JSON ---

json::object object_of(const toml::table& table);

json::array array_of(const toml::array& list);

std::string date_text(const toml::date_time& d) {
    std::ostringstream out;
    out << d;
    return out.str();
}

json::value value_of(const toml::node& node) {
    if (const auto* table = node.as_table()) return object_of(*table);
    if (const auto* list = node.as_array()) return array_of(*list);
    if (const auto* text = node.as_string()) return json::value(text->get());
    if (const auto* number = node.as_integer()) return json::value(number->get());
    if (const auto* flag = node.as_boolean()) return json::value(flag->get());
    if (const auto* date = node.as_date_time()) return json::value(date_text(date->get()));
    return nullptr;  // our writers make no other kinds
}

json::array array_of(const toml::array& list) {
    json::array out;
    for (const toml::node& node : list)
        out.push_back(value_of(node));
    return out;
}

json::object object_of(const toml::table& table) {
    json::object out;
    for (const auto& [key, node] : table)
        out[key.str()] = value_of(node);
    return out;
}

json::object object_of(const std::string& text) {
    document doc("shared");
    const auto table = parse_toml(text, std::numeric_limits<std::size_t>::max(), doc);
    return table ? object_of(*table) : json::object();
}

// --- JSON to TOML ---

// "2026-12-01T02:00:00Z" where a date belongs; all else is a text, and so is what a context calls the same.
bool is_date(std::string_view key, std::string_view path, std::string_view text) noexcept {
    constexpr std::string_view shape = "0000-00-00T00:00:00Z";
    const bool of_window = path.starts_with("maintenance[") && (key == "from" || key == "to");
    if (path != "until" && !of_window) return false;
    if (text.size() != shape.size()) return false;
    for (std::size_t i = 0; i < shape.size(); ++i) {
        const bool digit = text[i] >= '0' && text[i] <= '9';
        if (shape[i] == '0' ? !digit : text[i] != shape[i]) return false;
    }
    return true;
}

class tree_maker {
 public:
    explicit tree_maker(document& doc) : doc_(doc) {}

    toml::table table_of(const json::object& o, const std::string& path, unsigned depth = 0) {
        toml::table out;
        if (depth > depth_max) {
            complain(path, "is nested too deeply");
            return out;
        }
        for (const auto& member : o) {
            const std::string key(member.key());
            put(member.value(), key, path.empty() ? key : fmt::format("{}.{}", path, key), depth,
                [&](auto&& node) { out.insert_or_assign(key, std::forward<decltype(node)>(node)); });
        }
        return out;
    }

 private:
    template <class Insert>
    void put(const json::value& value, const std::string& key, const std::string& path, unsigned depth,
             const Insert& insert) {
        switch (value.kind()) {
            case json::kind::object:
                return insert(table_of(value.get_object(), path, depth + 1));
            case json::kind::array:
                return insert(array_of(value.get_array(), path, depth + 1));
            case json::kind::string:
                return put_text(std::string(value.get_string()), key, path, insert);
            case json::kind::int64:
                return insert(value.get_int64());
            case json::kind::bool_:
                return insert(value.get_bool());
            case json::kind::uint64:
            case json::kind::double_:
            case json::kind::null:
                complain(path, "has a value that no key takes");
        }
    }

    template <class Insert>
    void put_text(std::string text, const std::string& key, const std::string& path, const Insert& insert) {
        if (!is_date(key, path, text)) return insert(std::move(text));
        try {
            const toml::table one = toml::parse("at = " + text);
            insert(one["at"].as_date_time()->get());
        } catch (const toml::parse_error&) {
            complain(path, "is no date: " + shown(text));
        }
    }

    toml::array array_of(const json::array& list, const std::string& path, unsigned depth) {
        toml::array out;
        if (depth > depth_max) {
            complain(path, "is nested too deeply");
            return out;
        }
        for (std::size_t i = 0; i < list.size(); ++i)
            put(list[i], {}, path + '[' + std::to_string(i) + ']', depth,
                [&](auto&& node) { out.push_back(std::forward<decltype(node)>(node)); });
        return out;
    }

    void complain(const std::string& path, std::string message) {
        place(doc_, 0, path).error(std::move(message), "write it as docs/configuration.md says");
    }

    document& doc_;
};

template <class T, class Read>
loaded<T> read_json(const json::object& o, const std::string& name, T out, unknown_keys& unknown, const Read& read) {
    document doc(name);
    doc.unknown = &unknown;
    const toml::table table = tree_maker(doc).table_of(o, {});
    if (!has_errors(doc.diagnostics)) {
        table_reader root(doc, table, {});
        read(root, out);
    }
    loaded<T> result{std::nullopt, doc.take_diagnostics(), std::nullopt};
    if (!has_errors(result.diagnostics)) result.value = std::move(out);
    return result;
}

}  // namespace

json::object to_json(const tenant::tenant& t) {
    return object_of(to_toml(t));
}

loaded<tenant::tenant> parse_tenant(const json::object& o, const std::string& name,
                                    std::string_view platform_domain,
                                    std::string_view context_prefix, unknown_keys& unknown) {
    return read_json(o, name, tenant::tenant{}, unknown, [&](table_reader& root, tenant::tenant& out) {
        read_tenant(root, {platform_domain, context_prefix}, out);
    });
}

json::object shared_to_json(const settings& s) {
    return object_of(shared_to_toml(s));
}

loaded<settings> parse_shared(const json::object& o, const settings& base, const std::string& name,
                              unknown_keys& unknown) {
    return read_json(o, name, base, unknown, [&](table_reader& root, settings& out) {
        out.platform = {};
        read_platform(root, out.platform);
        tls_settings tls;
        read_tls(root, tls, false);
        out.tls.min_version = tls.min_version;
        out.tls.default_tenant = tls.default_tenant;
        out.regions.clear();
        read_regions(root, out.regions);
        for (const region_settings& own : base.regions)
            for (region_settings& r : out.regions)
                if (r.name == own.name) r.key_file = own.key_file;
        out.plans.clear();
        read_plans(root, out.plans);
        out.pools.clear();
        read_pools(root, out.pools);
        out.languages.clear();
        read_languages(root, out.languages);
        root.finish();
    });
}

}  // namespace gatehouse::config
