// What the API answered, as text for people. Pure.
#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <gatehouse/config/load.hpp>
#include <map>
#include <string>
#include <vector>

namespace gatehouse::cli {

namespace json = boost::json;

// Missing keys and other types than expected count as empty: a node may be older or newer.
std::string text_of(const json::object& o, std::string_view key);
std::uint64_t number_of(const json::object& o, std::string_view key);
const json::array& list_of(const json::object& o, std::string_view key);
std::vector<std::string> strings_of(const json::object& o, std::string_view key);

std::string tenant_table(const json::array& summaries);
// Parents and children; `root` non-empty: that tenant and all below it. A tenant whose parent is
// not there stands at the left, named as such; so does one of a cycle.
std::string tenant_tree(const json::array& summaries, std::string_view root);
json::array tenant_tree_json(const json::array& summaries, std::string_view root);
std::string tenant_text(const json::object& tenant);
std::string effective_text(const json::object& effective);
std::string certificate_table(const json::array& certificates);
// An answer of /v1/tenants/ID/usage, all pages together: a table with the total last, or RFC 4180.
std::string usage_table(const json::object& used);
std::string usage_csv(const json::object& used);
std::string pool_table(const json::array& pools);
// "pool shared: 127.0.0.1:9001 is draining, 3 in flight"
std::string endpoint_line(const json::object& endpoint);

// What is in flight at a drained endpoint, look by look: at the addresses it had when it was drained, and
// those its name got since. The pool can lose one; exchanges and tunnels there go on unseen.
class drain_watch {
 public:
    // `answer`: that to the drain.
    drain_watch(std::string endpoint, const json::object& answer);
    void look(const json::object& pool);  // GET /v1/pools/NAME
    std::uint64_t in_flight() const;      // what was last seen of each
    std::string lost() const;             // no longer there and not seen idle; empty: none
    bool blind() const { return at_.empty(); }  // no address at all

 private:
    struct place {
        std::uint64_t in_flight = 0;
        bool there = true;
    };
    std::string endpoint_;
    std::map<std::string, place> at_;
};

std::string reload_text(const json::object& report);
std::string problem_text(const json::object& problem, unsigned status);

std::string check_text(const std::vector<config::diagnostic>& d);
json::object check_json(const std::vector<config::diagnostic>& d);

}  // namespace gatehouse::cli
