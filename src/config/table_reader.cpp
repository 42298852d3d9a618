// Typed, bounded access to one TOML table.
#include "table_reader.hpp"

#include <algorithm>
#include <chrono>
#include <gatehouse/base/ip.hpp>

namespace gatehouse::config {
namespace {

std::string_view type_name(const toml::node& node) noexcept {
    switch (node.type()) {
        case toml::node_type::table:
            return "a table";
        case toml::node_type::array:
            return "an array";
        case toml::node_type::string:
            return "a string";
        case toml::node_type::integer:
            return "an integer";
        case toml::node_type::floating_point:
            return "a float";
        case toml::node_type::boolean:
            return "a boolean";
        case toml::node_type::date:
            return "a date";
        case toml::node_type::time:
            return "a time";
        case toml::node_type::date_time:
            return "a date and time";
        case toml::node_type::none:
            break;
    }
    return "nothing";
}

void wrong_type(const place& where, const toml::node& node, std::string_view advice) {
    where.error("is " + std::string(type_name(node)), std::string(advice));
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> previous(b.size() + 1), current(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j)
        previous[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        current[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t replaced = previous[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            current[j] = std::min({previous[j] + 1, current[j - 1] + 1, replaced});
        }
        previous.swap(current);
    }
    return previous[b.size()];
}

// The known name that a misspelling most likely meant; empty when none is near.
std::string nearest(std::string_view wrong, const std::vector<std::string>& known) {
    if (wrong.size() > 64) return {};
    std::string best;
    std::size_t least = std::max<std::size_t>(2, wrong.size() / 3) + 1;
    for (const std::string& name : known) {
        const std::size_t distance = edit_distance(wrong, name);
        if (distance < least) {
            least = distance;
            best = name;
        }
    }
    return best;
}

bool is_bare_key(std::string_view key) noexcept {
    return !key.empty() && key.find_first_not_of(
                               "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                               "0123456789_-*") == key.npos;
}

std::string joined(const std::vector<std::string>& names) {
    std::string out;
    for (const std::string& name : names)
        out.append(out.empty() ? "" : ", ").append(name);
    return out;
}

// toml++ sorts a table's entries by name; people mean the order they wrote.
std::vector<std::pair<const toml::key*, const toml::node*>> in_document_order(
    const toml::table& t) {
    std::vector<std::pair<const toml::key*, const toml::node*>> out;
    for (auto it = t.cbegin(); it != t.cend(); ++it)
        out.emplace_back(&it->first, &it->second);
    std::stable_sort(out.begin(), out.end(), [](const auto& a, const auto& b) {
        return a.first->source().begin < b.first->source().begin;
    });
    return out;
}

}  // namespace

table_reader::table_reader(document& doc, const toml::table& table, std::string path)
    : doc_(&doc), table_(&table), path_(std::move(path)) {}

std::string table_reader::path_of(std::string_view key) const {
    const std::string name = is_bare_key(key) ? std::string(key) : shown(key);
    return path_.empty() ? name : path_ + '.' + name;
}

place table_reader::at(const toml::node& node, std::string path) const {
    return {*doc_, node.source().begin.line, std::move(path)};
}

place table_reader::at(std::string_view key) const {
    const toml::node* node = table_->get(key);
    return at(node != nullptr ? *node : *table_, path_of(key));
}

place table_reader::here() const {
    return at(*table_, path_);
}

const toml::node* table_reader::take(std::string_view key) {
    known_.emplace_back(key);
    if (doc_->discovered != nullptr) doc_->discovered->insert(path_of(key));
    return table_->get(key);
}

bool table_reader::text_of(const toml::node& node, const place& where, std::string& out) const {
    const auto* value = node.as_string();
    if (value == nullptr) {
        wrong_type(where, node, "write a string in quotes");
        return false;
    }
    std::string missing;
    const auto replaced = substitute(value->get(), &missing);
    if (!doc_->environment) {
        if (!replaced || *replaced != value->get())
            where.warning("contains \"${\", which is taken as it stands",
                          "the environment is read for the main file alone");
        out = value->get();
        return true;
    }
    if (!replaced) {
        where.error("the environment variable " + missing + " is not set",
                    "set it, or write \"$${\" for a literal \"${\"");
        return false;
    }
    out = *replaced;
    return true;
}

bool table_reader::text(std::string_view key, std::string& out) {
    const toml::node* node = take(key);
    return node != nullptr && text_of(*node, at(key), out);
}

std::optional<std::string> table_reader::take_text(std::string_view key, const text_rule& rule) {
    std::string value;
    if (!text(key, value)) return std::nullopt;
    if (rule.holds(value)) return value;
    // As written, so that what came from the environment stays secret.
    const std::string written = table_->get(key)->as_string()->get();
    at(key).error(shown(written) + " is not " + std::string(rule.noun), std::string(rule.advice));
    return std::nullopt;
}

bool table_reader::text(std::string_view key, std::string& out, const text_rule& rule) {
    return assign(take_text(key, rule), out);
}

bool table_reader::text(std::string_view key, std::optional<std::string>& out,
                        const text_rule& rule) {
    return assign(take_text(key, rule), out);
}

bool table_reader::path(std::string_view key, std::string& out) {
    std::string value;
    if (!text(key, value)) return false;
    if (value.empty() || value.find('\0') != value.npos) {
        at(key).error("is no path",
                      "name a file or folder, relative to this file's folder or absolute");
        return false;
    }
    out = doc_->absolute(value);
    return true;
}

bool table_reader::flag(std::string_view key, bool& out) {
    const toml::node* node = take(key);
    if (node == nullptr) return false;
    const auto* value = node->as_boolean();
    if (value == nullptr) {
        wrong_type(at(key), *node, "write true or false, without quotes");
        return false;
    }
    out = value->get();
    return true;
}

bool table_reader::networks(std::string_view key, std::vector<ip_network>& out) {
    constexpr std::size_t networks_max = 10'000;
    strings(key, networks_max, [&](const std::string& value, const place& where) {
        if (const auto network = parse_network(value)) {
            out.push_back(*network);
        } else {
            where.error(shown(value) + " is not a network",
                        "write 10.0.0.0/8, 2001:db8::/32 or a single address; bits behind the "
                        "prefix are 0");
        }
    });
    return has(key);
}

bool table_reader::utc(std::string_view key, tenant::utc_time& out) {
    const toml::node* node = take(key);
    if (node == nullptr) return false;
    const auto* value = node->as_date_time();
    if (value == nullptr || !value->get().offset) {
        const std::string_view advice =
            "write it with its offset, without quotes: 2026-12-01T02:00:00Z";
        if (value != nullptr) {
            at(key).error("is a local date and time", std::string(advice));
        } else {
            wrong_type(at(key), *node, advice);
        }
        return false;
    }
    const toml::date_time& t = value->get();
    const std::chrono::year_month_day day{std::chrono::year{t.date.year},
                                          std::chrono::month{t.date.month},
                                          std::chrono::day{t.date.day}};
    const tenant::utc_time when = std::chrono::sys_days{day} + std::chrono::hours{t.time.hour} +
                                  std::chrono::minutes{t.time.minute} +
                                  std::chrono::seconds{t.time.second} -
                                  std::chrono::minutes{t.offset->minutes};
    const tenant::utc_time first{std::chrono::sys_days{std::chrono::year{1970} / 1 / 1}};
    const tenant::utc_time end{std::chrono::sys_days{std::chrono::year{9999} / 12 / 31}};
    if (when < first || when >= end) {
        at(key).error("is out of range", "use the years 1970 to 9999");
        return false;
    }
    out = when;
    return true;
}

std::optional<std::uint64_t> table_reader::take_number(std::string_view key, bounds b) {
    const toml::node* node = take(key);
    if (node == nullptr) return std::nullopt;
    const auto* value = node->as_integer();
    if (value == nullptr) {
        wrong_type(at(key), *node, "write a whole number, without quotes");
        return std::nullopt;
    }
    const std::int64_t n = value->get();
    if (n < 0 || static_cast<std::uint64_t>(n) < b.least ||
        static_cast<std::uint64_t>(n) > b.most) {
        at(key).error(std::to_string(n) + " is out of range",
                      "use " + std::to_string(b.least) + " to " + std::to_string(b.most));
        return std::nullopt;
    }
    return static_cast<std::uint64_t>(n);
}

std::optional<milliseconds> table_reader::take_duration(std::string_view key, duration_bounds b) {
    std::string value;
    if (!text(key, value)) return std::nullopt;
    const auto parsed = parse_duration(value);
    if (!parsed) {
        at(key).error(shown(value) + " is not a duration",
                      "write a number and ms, s, m, h or d: \"30s\"");
        return std::nullopt;
    }
    if (*parsed < b.least || *parsed > b.most) {
        at(key).error(shown(value) + " is out of range",
                      "use " + gatehouse::to_text(b.least) + " to " + gatehouse::to_text(b.most));
        return std::nullopt;
    }
    return *parsed;
}

std::optional<std::uint64_t> table_reader::take_size(std::string_view key, bounds b,
                                                     std::string_view suffix) {
    std::string value;
    if (!text(key, value)) return std::nullopt;
    std::string_view number = value;
    const bool suffixed = number.ends_with(suffix);
    if (suffixed) number.remove_suffix(suffix.size());
    const auto parsed = parse_size_bytes(number);
    if (!parsed || !suffixed) {
        at(key).error(shown(value) + " is not a size",
                      "write a number and B, KiB, MiB or GiB: \"10MiB" + std::string(suffix) + '"');
        return std::nullopt;
    }
    if (*parsed < b.least || *parsed > b.most) {
        at(key).error(shown(value) + " is out of range",
                      "use " + size_text(b.least) + " to " + size_text(b.most));
        return std::nullopt;
    }
    return *parsed;
}

bool table_reader::rate(std::string_view key, std::optional<gatehouse::rate>& out) {
    constexpr std::uint64_t count_max = 1'000'000'000;
    std::string value;
    if (!text(key, value)) return false;
    const auto parsed = parse_rate(value);
    if (!parsed || parsed->count > count_max) {
        at(key).error(shown(value) + " is not a rate",
                      "write 1 to 1000000000 and /s, /m, /h or /d: \"500/s\"");
        return false;
    }
    out = *parsed;
    return true;
}

bool table_reader::quota(std::string_view key, std::optional<gatehouse::quota>& out) {
    std::string value;
    if (!text(key, value)) return false;
    const auto parsed = parse_quota(value);
    if (!parsed || parsed->count > quota_max) {
        at(key).error(shown(value) + " is not a quota",
                      "write a number up to 1000000000000 and /hour, /day or /month: \"100000/day\"");
        return false;
    }
    out = *parsed;
    return true;
}

const toml::array* table_reader::take_array(std::string_view key, std::size_t count_max,
                                            std::string_view of) {
    const toml::node* node = take(key);
    if (node == nullptr) return nullptr;
    const toml::array* array = node->as_array();
    if (array == nullptr) {
        wrong_type(at(key), *node, of);
        return nullptr;
    }
    if (array->size() > count_max) {
        at(key).error("has " + std::to_string(array->size()) + " entries",
                      "use at most " + std::to_string(count_max));
        return nullptr;
    }
    return array;
}

void table_reader::strings(std::string_view key, std::size_t count_max, const item_function& f) {
    const toml::array* array = take_array(key, count_max, "write an array of strings: [\"...\"]");
    if (array == nullptr) return;
    for (std::size_t i = 0; i < array->size(); ++i) {
        const place where = at((*array)[i], path_of(key) + '[' + std::to_string(i) + ']');
        std::string value;
        if (text_of((*array)[i], where, value)) f(value, where);
    }
}

const toml::table* table_reader::take_table(std::string_view key, std::size_t count_max) {
    const toml::node* node = take(key);
    if (node == nullptr) return nullptr;
    const toml::table* table = node->as_table();
    if (table == nullptr) {
        wrong_type(at(key), *node, "write a table: [" + path_of(key) + "] or { ... }");
        return nullptr;
    }
    if (table->size() > count_max) {
        at(key).error("has " + std::to_string(table->size()) + " entries",
                      "use at most " + std::to_string(count_max));
        return nullptr;
    }
    return table;
}

void table_reader::pairs(std::string_view key, std::size_t count_max, const pair_function& f) {
    if (doc_->discovered != nullptr) doc_->discovered->insert(path_of(key) + ".*");
    const toml::table* table = take_table(key, count_max);
    if (table == nullptr) return;
    const table_reader inner(*doc_, *table, path_of(key));
    for (const auto& [name, node] : in_document_order(*table)) {
        const place where = at(*node, inner.path_of(name->str()));
        std::string value;
        if (text_of(*node, where, value)) f(std::string(name->str()), value, where);
    }
}

void table_reader::section(std::string_view key, const section_function& f) {
    static const toml::table nothing;
    const toml::table* table = take_table(key, std::numeric_limits<std::size_t>::max());
    if (doc_->discovered != nullptr) table = &nothing;
    if (table == nullptr) return;
    table_reader inner(*doc_, *table, path_of(key));
    f(inner);
    inner.finish();
}

std::optional<std::size_t> table_reader::sections(std::string_view key, std::size_t count_max,
                                                  const section_function& f) {
    if (doc_->discovered != nullptr) {
        take(key);
        const toml::table nothing;
        table_reader inner(*doc_, nothing, path_of(key) + "[]");
        f(inner);
        return 1;
    }
    const toml::array* array = take_array(
        key, count_max, "write an array of tables: [[" + path_of(key) + "]] or [ { ... } ]");
    if (array == nullptr) return has(key) ? std::nullopt : std::optional<std::size_t>(0);
    for (std::size_t i = 0; i < array->size(); ++i) {
        std::string path = path_of(key) + '[' + std::to_string(i) + ']';
        const toml::node& node = (*array)[i];
        if (const toml::table* table = node.as_table()) {
            table_reader inner(*doc_, *table, std::move(path));
            f(inner);
            inner.finish();
        } else {
            wrong_type(at(node, std::move(path)), node, "write a table: { ... }");
        }
    }
    return array->size();
}

void table_reader::named_sections(std::string_view key, std::size_t count_max,
                                  const named_function& f) {
    if (doc_->discovered != nullptr) {
        take(key);
        const toml::table nothing;
        table_reader inner(*doc_, nothing, path_of(key) + ".*");
        f("any", inner);
        return;
    }
    const toml::table* table = take_table(key, count_max);
    if (table == nullptr) return;
    const table_reader outer(*doc_, *table, path_of(key));
    for (const auto& [name, node] : in_document_order(*table)) {
        std::string path = outer.path_of(name->str());
        if (const toml::table* entry = node->as_table()) {
            table_reader inner(*doc_, *entry, std::move(path));
            f(std::string(name->str()), inner);
            inner.finish();
        } else {
            const std::string advice = "write a table: [" + path + ']';
            wrong_type(at(*node, std::move(path)), *node, advice);
        }
    }
}

bool table_reader::require(std::string_view key, std::string_view advice) {
    if (has(key)) return true;
    at(key).error("is missing", std::string(advice));
    return false;
}

void table_reader::later(std::string_view key, std::string_view what) {
    if (!has(key)) return;
    at(key).warning("is not in force in this version",
                    std::string(what) + " come with a later one");
}

void table_reader::finish() {
    for (auto it = table_->cbegin(); it != table_->cend(); ++it) {
        const std::string name(it->first.str());
        if (std::find(known_.begin(), known_.end(), name) != known_.end()) continue;
        if (doc_->unknown != nullptr) {
            doc_->unknown->push_back(path_of(name));
            continue;
        }
        const place where{*doc_, it->first.source().begin.line, path_of(name)};
        const std::string near = nearest(name, known_);
        where.error("unknown key",
                    near.empty() ? "known here: " + joined(known_) : "did you mean " + near + '?');
    }
}

}  // namespace gatehouse::config
