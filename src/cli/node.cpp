// Where the admin address and the token come from, and how failures read.
#include "node.hpp"

#include <fmt/format.h>
#include <unistd.h>
#include <gatehouse/base/text.hpp>
#include <gatehouse/config/load.hpp>

#include <cerrno>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>
#include <system_error>

#include "commands.hpp"
#include "table.hpp"
#include "views.hpp"

namespace gatehouse::cli {
namespace {

std::string start_hint(const options& o) {
    const auto file = find_config(o);
    return file.empty() ? "start it with: gatehouse serve --config FILE"
                        : fmt::format("start it with: gatehouse serve --config {}", file);
}

// Fills what the options left open from the settings; the error, or nothing.
std::string complete(const options& o, std::string& address, std::string& token_file) {
    if (!address.empty() && !token_file.empty()) return {};
    const auto file = find_config(o);
    if (file.empty())
        return "no settings: there is no gatehouse.toml here nor in /etc/gatehouse; give --config "
               "FILE, or --admin ADDRESS and --token-file FILE";
    const auto loaded = config::load_settings(file);
    if (!loaded.value)
        return check_text(loaded.diagnostics) +
               fmt::format(
                   "{} cannot be used; mend it, or give --admin ADDRESS and --token-file "
                   "FILE",
                   file);
    if (address.empty()) address = loaded.value->admin.address;
    if (token_file.empty()) token_file = loaded.value->admin.token_file;
    if (address.empty()) return fmt::format("{} has no [admin] address", file);
    return {};
}

std::optional<secret_text> read_token(const std::string& file, int& error) {
    constexpr std::size_t most_bytes = 1024;
    const auto bytes = read_secret(file, most_bytes);
    error = bytes ? 0 : bytes.error().value();
    if (!bytes || bytes->empty()) return std::nullopt;
    const auto text = bytes->view();
    return secret_text(trim(text.substr(0, text.find_first_of("\r\n"))));
}

}  // namespace

node_access find_node(const options& o) {
    node_access out;
    auto address = o.admin_address, token_file = o.token_file;
    out.error = complete(o, address, token_file);
    if (!out.error.empty()) return out;
    int error = 0;
    const auto token = read_token(token_file, error);
    if (token) {
        out.api.emplace(address, *token);
    } else if (error == ENOENT) {
        out.not_running = true;
        out.error = fmt::format(
            "no admin token at {}; a node makes it when it starts for the first time; {}",
            token_file, start_hint(o));
    } else {
        out.error = fmt::format("admin token {}: {}", token_file,
                                error == 0 ? "empty" : std::generic_category().message(error));
    }
    return out;
}

std::string failure_text(const reply& r, const client& api, const options& o) {
    if (r.what == reply::kind::unreachable)
        return fmt::format("no node answers at {} ({}); {}", api.address(), r.error, start_hint(o));
    if (r.what == reply::kind::failed)
        return fmt::format("the node at {} could not be asked: {}", api.address(), r.error);
    if (r.status == 401)
        return fmt::format(
            "the node at {} does not take this token; is --token-file the node's own?",
            api.address());
    boost::system::error_code ec;
    const auto body = json::parse(r.body, ec);
    if (!ec && body.is_object()) return problem_text(body.get_object(), r.status);
    return fmt::format("the node at {} answered {}", api.address(), r.status);
}

namespace {

template <class Ask>
std::optional<json::object> ask_object(const options& o, const Ask& ask) {
    const auto node = find_node(o);
    if (!node.api) {
        complain(node.error);
        return std::nullopt;
    }
    const reply r = ask(*node.api);
    if (r.what != reply::kind::answered || r.status / 100 != 2) {
        complain(failure_text(r, *node.api, o));
        return std::nullopt;
    }
    boost::system::error_code ec;
    auto body = json::parse(r.body, ec);
    if (ec || !body.is_object()) {
        complain(fmt::format("the answer of {} is no JSON object; is it a Gatehouse node?",
                             node.api->address()));
        return std::nullopt;
    }
    return std::move(body.get_object());
}

}  // namespace

std::optional<json::object> get_object(const options& o, std::string_view target) {
    return ask_object(o, [target](const client& c) { return c.get(target); });
}

std::optional<std::string> get_bytes(const options& o, std::string_view target) {
    const auto node = find_node(o);
    if (!node.api) {
        complain(node.error);
        return std::nullopt;
    }
    auto r = node.api->get(target);
    if (r.what == reply::kind::answered && r.status / 100 == 2) return std::move(r.body);
    complain(failure_text(r, *node.api, o));
    return std::nullopt;
}

std::optional<json::object> post_object(const options& o, std::string_view target) {
    return ask_object(o, [target](const client& c) { return c.post(target); });
}

std::optional<json::object> send_object(const options& o, std::string_view method, std::string_view target,
                                        std::string_view body, std::string_view revision) {
    return ask_object(o, [&](const client& c) { return c.send(method, target, body, revision); });
}

std::optional<json::array> all_pages(const options& o, std::string_view path,
                                     std::string_view filter, std::string_view list) {
    json::array all;
    std::string after;
    for (;;) {
        auto page = get_object(
            o, fmt::format("{}?limit=1000&after={}{}", path, percent_encoded(after), filter));
        if (!page) return std::nullopt;
        if (auto* rows = page->if_contains(list); rows != nullptr && rows->is_array()) {
            for (auto& row : rows->get_array())
                all.push_back(std::move(row));
        }
        const auto next = text_of(*page, "next");
        if (next.empty() || next == after) return all;
        after = next;
    }
}

std::optional<std::string> read_input(const std::string& file) {
    if (file == "-") return std::string(std::istreambuf_iterator<char>(std::cin), {});
    std::ifstream in(file, std::ios::binary);
    if (!in) {
        complain(fmt::format("{} cannot be read", file));
        return std::nullopt;
    }
    return std::string(std::istreambuf_iterator<char>(in), {});
}

void print(std::string_view text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
}

void complain(std::string_view text) {
    std::fflush(stdout);
    fmt::print(stderr, "gatehouse: {}\n", text);
}

std::string of_tenant(const options& o) {
    return o.tenant.empty() ? std::string() : "&tenant=" + percent_encoded(o.tenant);
}

int show_list(const options& o, const std::optional<json::array>& all, const std::vector<std::string>& heads,
              const std::vector<std::string_view>& keys) {
    if (!all) return refused;
    if (o.json) {
        print(json::serialize(*all) + "\n");
        return done;
    }
    std::vector<std::vector<std::string>> rows;
    for (const auto& v : *all) {
        const auto* r = v.if_object();
        if (r == nullptr) continue;
        auto& row = rows.emplace_back();
        for (const auto key : keys) {
            auto text = printable(text_of(*r, key));
            row.push_back(text.empty() ? "-" : std::move(text));
        }
    }
    print(table(heads, rows));
    return done;
}

}  // namespace gatehouse::cli
