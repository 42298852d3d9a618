// The running node, found through the settings or the options, and asked; what goes wrong is told
// on standard error.
#pragma once

#include <boost/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "client.hpp"
#include "options.hpp"

namespace gatehouse::cli {

namespace json = boost::json;

struct node_access {
    std::optional<client> api;  // unset: `error` says why, and what to do
    std::string error;
    bool not_running = false;  // unset because no node has ever started with these settings
};
node_access find_node(const options& o);

// What to print when the reply is not a 2xx.
std::string failure_text(const reply& r, const client& api, const options& o);
// A request that must give a JSON object; otherwise the failure is printed and nothing returned.
std::optional<json::object> get_object(const options& o, std::string_view target);
std::optional<std::string> get_bytes(const options& o, std::string_view target);      // the same of any body
std::optional<json::object> post_object(const options& o, std::string_view target);   // the same
// The same of any method, with client::send()'s body and revision.
std::optional<json::object> send_object(const options& o, std::string_view method, std::string_view target,
                                        std::string_view body, std::string_view revision);

// All pages of the list at `path`; `filter` is what stands behind in the query: "&plan=pro".
std::optional<json::array> all_pages(const options& o, std::string_view path, std::string_view filter, std::string_view list);

// What stands behind a list's path so that it is of --tenant alone.
std::string of_tenant(const options& o);
// A list as JSON or as a table of those keys; nothing: it could not be had, which was said. Its exit code.
int show_list(const options& o, const std::optional<json::array>& all, const std::vector<std::string>& heads,
              const std::vector<std::string_view>& keys);

// A file's bytes; "-": of standard input. Nothing: it cannot be read, which was said.
std::optional<std::string> read_input(const std::string& file);

void print(std::string_view text);     // standard output
void complain(std::string_view text);  // standard error, with the program's name and a newline

}  // namespace gatehouse::cli
