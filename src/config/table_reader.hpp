// Reads one TOML table as a list of known keys: each call names a key, its type, its bounds and
// where it goes. What no call has named is unknown, and told with the nearest known name.
// Not here: which keys there are. One thread at a time.
#pragma once

#include <functional>
#include <gatehouse/base/units.hpp>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "checks.hpp"
#include "document.hpp"
#include "names.hpp"

namespace gatehouse::config {

struct bounds {
    std::uint64_t least = 0;
    std::uint64_t most = std::numeric_limits<std::int64_t>::max();
};

struct duration_bounds {
    milliseconds least{1};
    milliseconds most{std::chrono::hours{24}};
};

template <class T>
struct value_in {
    using type = T;
};
template <class T>
struct value_in<std::optional<T>> {
    using type = T;
};

class table_reader {
 public:
    using section_function = std::function<void(table_reader&)>;
    using named_function = std::function<void(const std::string& name, table_reader&)>;
    using item_function = std::function<void(const std::string& value, const place& where)>;
    using pair_function =
        std::function<void(const std::string& name, const std::string& value, const place& where)>;

    table_reader(document& doc, const toml::table& table, std::string path);

    document& doc() const noexcept { return *doc_; }
    bool has(std::string_view key) const noexcept { return table_->contains(key); }
    // The key's place, or the table's when the key is not there.
    place at(std::string_view key) const;
    place here() const;

    // Every reader below leaves `out` alone and returns false when the key is absent or wrong; what
    // is wrong has been told. `out` may be a T or an optional<T>.
    bool text(std::string_view key, std::string& out);
    bool text(std::string_view key, std::string& out, const text_rule& rule);
    bool text(std::string_view key, std::optional<std::string>& out, const text_rule& rule);
    bool path(std::string_view key, std::string& out);  // made absolute; empty is refused
    bool flag(std::string_view key, bool& out);
    bool networks(std::string_view key, std::vector<ip_network>& out);
    bool utc(std::string_view key, tenant::utc_time& out);

    template <class T>
    bool number(std::string_view key, T& out, bounds b) {
        return assign(take_number(key, b), out);
    }
    template <class T>
    bool duration(std::string_view key, T& out, duration_bounds b = {}) {
        return assign(take_duration(key, b), out);
    }
    template <class T>
    bool size(std::string_view key, T& out, bounds b, std::string_view suffix = {}) {
        return assign(take_size(key, b, suffix), out);
    }
    bool rate(std::string_view key, std::optional<gatehouse::rate>& out);
    bool quota(std::string_view key, std::optional<gatehouse::quota>& out);

    template <class E, std::size_t N, class T>
    bool choice(std::string_view key, T& out, const std::array<names::word<E>, N>& words) {
        std::string value;
        if (!text(key, value)) return false;
        std::string known;
        for (const auto& [word, meaning] : words) {
            if (word == value) {
                out = meaning;
                return true;
            }
            known.append(known.empty() ? "" : ", ").append(word);
        }
        at(key).error("unknown value " + shown(value), "use one of " + known);
        return false;
    }

    void strings(std::string_view key, std::size_t count_max, const item_function& f);
    // { NAME = "text", ... } in the order of the document.
    void pairs(std::string_view key, std::size_t count_max, const pair_function& f);
    void section(std::string_view key, const section_function& f);  // [key]
    // [[key]]. How many entries there are; null when it is no such array (told).
    std::optional<std::size_t> sections(std::string_view key, std::size_t count_max,
                                        const section_function& f);
    void named_sections(std::string_view key, std::size_t count_max,
                        const named_function& f);  // [key.NAME]

    bool require(std::string_view key, std::string_view advice);
    // Tells that the key is understood, but what it asks for comes with a later version.
    void later(std::string_view key, std::string_view what);
    // After the last key: tells about those that nobody has named.
    void finish();

 private:
    const toml::node* take(std::string_view key);
    std::string path_of(std::string_view key) const;
    place at(const toml::node& node, std::string path) const;
    bool text_of(const toml::node& node, const place& where, std::string& out) const;
    std::optional<std::string> take_text(std::string_view key, const text_rule& rule);
    std::optional<std::uint64_t> take_number(std::string_view key, bounds b);
    std::optional<milliseconds> take_duration(std::string_view key, duration_bounds b);
    std::optional<std::uint64_t> take_size(std::string_view key, bounds b, std::string_view suffix);
    const toml::array* take_array(std::string_view key, std::size_t count_max, std::string_view of);
    const toml::table* take_table(std::string_view key, std::size_t count_max);

    template <class V, class T>
    static bool assign(const std::optional<V>& value, T& out) {
        if (!value) return false;
        out = static_cast<typename value_in<T>::type>(*value);
        return true;
    }

    document* doc_;
    const toml::table* table_;
    std::string path_;
    std::vector<std::string> known_;
};

}  // namespace gatehouse::config
