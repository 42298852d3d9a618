// The main file as a whole: sections in order, then what several sections must agree on.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <gatehouse/base/text.hpp>
#include <iterator>
#include <system_error>

#include "sections.hpp"

namespace gatehouse::config {
namespace {

constexpr std::size_t main_file_bytes_max = 8 * 1024 * 1024;

void read_sections(table_reader& root, settings& out) {
    read_node(root, out.node);
    read_listeners(root, out.listeners);
    read_admin(root, out.admin);
    read_platform(root, out.platform);
    read_registry(root, out.registry);
    read_backup(root, out.node.state_dir, out.backup);
    read_regions(root, out.regions);
    read_tls(root, out.tls, !out.registry.follows());
    read_timeouts(root, out.timeouts);
    read_node_limits(root, out.limits);
    read_plans(root, out.plans);
    read_pools(root, out.pools);
    read_templates(root, {out.platform.domain, out.platform.context_prefix}, out.templates);
    read_log(root, out.log);
    root.finish();
}

place place_of(document& doc, const toml::table& table, std::string_view section,
               std::string_view key) {
    const toml::node* inner = table.get(section);
    const toml::node* node =
        inner != nullptr && inner->is_table() ? inner->as_table()->get(key) : nullptr;
    const std::uint32_t line = node != nullptr ? node->source().begin.line : 0;
    return {doc, line, std::string(section) + '.' + std::string(key)};
}

void check_default_plan(const settings& s, const place& where) {
    const std::string& wanted = s.platform.default_plan;
    const bool follows = s.registry.follows();
    const auto named = [&](const tenant::plan& p) { return p.name == wanted; };
    if (wanted.empty() || follows || std::any_of(s.plans.begin(), s.plans.end(), named)) return;
    where.error("there is no plan " + shown(wanted), "write [plans." + wanted + ']');
}

void check_publisher(const settings& s, const place& where) {
    if (!s.registry.publishes()) return;
    const auto has_key = [](const region_settings& r) { return !r.key_file.empty(); };
    if (std::any_of(s.regions.begin(), s.regions.end(), has_key)) return;
    where.error("no region has a key, so nothing can be signed or sealed for edges",
                "write [regions.NAME] with key_file = \"NAME.key\", made by `openssl rand -hex 32`");
}

// What an edge takes from the publisher must not stand in its own file as well.
void check_follower(const settings& s, document& doc, const toml::table& table) {
    if (!s.registry.follows()) return;
    for (const char* section : {"plans", "pools"})
        if (const toml::node* node = table.get(section))
            place(doc, node->source().begin.line, section)
                .error("have no meaning on a node that follows: they come from the node that publishes",
                       "move them to its file");
    if (const toml::table* platform = table["platform"].as_table())
        for (const auto& [key, node] : *platform)
            if (key.str() != "trusted_proxies")
                place(doc, node.source().begin.line, "platform." + std::string(key.str()))
                    .warning("is the publisher's to say", "remove it here");
    if (s.node.region.empty())
        return place_of(doc, table, "node", "region")
            .error("a node that follows belongs to a region, whose key it holds", "write node.region");
    const auto is_own = [&](const region_settings& r) { return r.name == s.node.region && !r.key_file.empty(); };
    if (std::any_of(s.regions.begin(), s.regions.end(), is_own)) return;
    place_of(doc, table, "registry", "redis")
        .error("there is no key of this node's region, so nothing published can be read",
               "write [regions." + s.node.region + "] with the key_file that the publisher has");
}

void check_redirect_regions(const settings& s, const place& where) {
    if (s.node.wrong_region == wrong_region::refuse) return;
    const auto reachable = [](const region_settings& r) { return !r.address.empty(); };
    if (std::any_of(s.regions.begin(), s.regions.end(), reachable)) return;
    where.warning("no region has an address, so such requests are refused",
                  "write [regions.NAME] with its address");
}

// Each connection of such a listener would be closed.
void check_trusted_proxies(const settings& s, document& doc, const toml::table& table) {
    const bool follows = s.registry.follows();
    if (follows || !s.platform.trusted_proxies.empty()) return;
    for (std::size_t i = 0; i < s.listeners.size(); ++i) {
        if (!s.listeners[i].proxy_protocol_required) continue;
        const toml::node* node = table["listener"][i]["proxy_protocol"].node();
        const std::uint32_t line = node != nullptr ? node->source().begin.line : 0;
        place(doc, line, "listener[" + std::to_string(i) + "].proxy_protocol")
            .error("is \"required\", but no proxy is trusted",
                   "write its network into platform.trusted_proxies");
    }
}

loaded<settings> read_settings(std::string_view text, document doc) {
    doc.environment = true;
    settings out;
    if (const auto table = parse_toml(text, main_file_bytes_max, doc)) {
        table_reader root(doc, *table, {});
        read_sections(root, out);
        check_default_plan(out, place_of(doc, *table, "platform", "default_plan"));
        check_publisher(out, place_of(doc, *table, "registry", "redis"));
        check_follower(out, doc, *table);
        if (!out.registry.follows())
            check_redirect_regions(out, place_of(doc, *table, "node", "wrong_region"));
        check_trusted_proxies(out, doc, *table);
    }
    std::error_code ec;
    const auto whole = std::filesystem::absolute(doc.file, ec);
    out.file = ec ? doc.file : whole.lexically_normal().string();
    loaded<settings> result{std::nullopt, doc.take_diagnostics(), std::nullopt};
    (has_errors(result.diagnostics) ? result.partial : result.value) = std::move(out);
    return result;
}

// The host name as a node's id: lower case, up to the first dot, what does not fit replaced.
std::string host_name_id() {
    std::array<char, 256> name{};
    if (::gethostname(name.data(), name.size() - 1) != 0) return "node";
    std::string id = to_lower(std::string_view(name.data()));
    id.resize(std::min({id.find('.'), id.size(), std::size_t{63}}));
    std::replace_if(
        id.begin(), id.end(),
        [](char c) {
            return !is_entry_name({&c, 1});
        },
        '-');
    return id.empty() ? "node" : id;
}

}  // namespace

loaded<settings> parse_settings(std::string_view text, const std::string& file) {
    return read_settings(text, document(file));
}

loaded<settings> load_settings(const std::string& file) {
    std::ifstream stream(file, std::ios::binary);
    std::string text;
    if (stream) {
        text.resize(main_file_bytes_max + 1);
        stream.read(text.data(), static_cast<std::streamsize>(text.size()));
        text.resize(static_cast<std::size_t>(stream.gcount()));
    }
    document doc(file);
    if (!stream.eof() && stream.fail()) {
        place(doc, 0, {}).error("cannot be read", "check the path and its permissions");
        return {std::nullopt, doc.take_diagnostics(), std::nullopt};
    }
    doc.look_at_files = true;
    auto result = read_settings(text, std::move(doc));
    if (result.value && result.value->node.id.empty()) result.value->node.id = host_name_id();
    return result;
}

std::vector<std::string> known_keys() {
    std::set<std::string> keys;
    document doc("known");
    doc.discovered = &keys;
    const toml::table nothing;
    settings out;
    table_reader root(doc, nothing, {});
    read_sections(root, out);
    return {keys.begin(), keys.end()};
}

}  // namespace gatehouse::config
