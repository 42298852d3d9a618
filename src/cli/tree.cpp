// The tenants as a forest, from their parents' names.
#include <fmt/format.h>

#include <map>
#include <set>
#include <vector>

#include "table.hpp"
#include "views.hpp"

namespace gatehouse::cli {
namespace {

class forest {
 public:
    explicit forest(const json::array& summaries) {
        for (const auto& v : summaries) {
            const auto* o = v.if_object();
            if (o != nullptr && !text_of(*o, "id").empty()) tenants_.emplace(text_of(*o, "id"), o);
        }
        for (const auto& [id, o] : tenants_) {
            const auto parent = text_of(*o, "parent");
            if (!parent.empty() && tenants_.contains(parent)) children_[parent].push_back(id);
        }
    }

    // Roots, then what no root reaches: cycles, each entered at its first name.
    std::vector<std::string> roots(std::string_view only) const {
        if (!only.empty()) {
            if (tenants_.contains(only)) return {std::string(only)};
            return {};
        }
        std::vector<std::string> found;
        std::set<std::string, std::less<>> reached;
        for (const auto& [id, o] : tenants_) {
            const auto parent = text_of(*o, "parent");
            if (!parent.empty() && tenants_.contains(parent)) continue;
            found.push_back(id);
            reach(id, reached);
        }
        for (const auto& [id, o] : tenants_) {
            if (reached.contains(id)) continue;
            found.push_back(id);
            reach(id, reached);
        }
        return found;
    }

    const json::object& at(const std::string& id) const { return *tenants_.at(id); }
    bool has(std::string_view id) const { return tenants_.contains(id); }
    const std::vector<std::string>& children(const std::string& id) const {
        static const std::vector<std::string> none;
        const auto found = children_.find(id);
        return found == children_.end() ? none : found->second;
    }

 private:
    void reach(const std::string& from, std::set<std::string, std::less<>>& reached) const {
        std::vector<std::string> open{from};
        while (!open.empty()) {
            const auto id = open.back();
            open.pop_back();
            if (!reached.insert(id).second) continue;
            for (const auto& c : children(id))
                open.push_back(c);
        }
    }

    std::map<std::string, const json::object*, std::less<>> tenants_;
    std::map<std::string, std::vector<std::string>, std::less<>> children_;
};

std::string label(const json::object& o) {
    std::vector<std::string> facts;
    const auto state = text_of(o, "state");
    if (!state.empty() && state != "active") facts.push_back(state);
    if (const auto plan = text_of(o, "plan"); !plan.empty()) facts.push_back("plan " + plan);
    auto out = printable(text_of(o, "id"));
    if (!facts.empty()) out += "  (" + printable(joined(facts, ", ")) + ")";
    return out;
}

struct text_walk {
    const forest& tenants;
    std::set<std::string> seen;
    std::string out;

    void below(const std::string& id, const std::string& indent) {
        const auto& children = tenants.children(id);
        for (std::size_t i = 0; i < children.size(); ++i) {
            const bool last = i + 1 == children.size();
            out += indent + (last ? "└─ " : "├─ ") + label(tenants.at(children[i]));
            if (!seen.insert(children[i]).second) {
                out += "  (a cycle of parents)\n";
                continue;
            }
            out += "\n";
            below(children[i], indent + (last ? "   " : "│  "));
        }
    }
};

json::object node_json(const forest& tenants, const std::string& id, std::set<std::string>& seen) {
    json::object o{{"id", id}, {"state", text_of(tenants.at(id), "state")}};
    json::array children;
    for (const auto& c : tenants.children(id)) {
        if (seen.insert(c).second) children.push_back(node_json(tenants, c, seen));
    }
    o["children"] = std::move(children);
    return o;
}

}  // namespace

std::string tenant_tree(const json::array& summaries, std::string_view root) {
    const forest tenants(summaries);
    text_walk walk{.tenants = tenants, .seen = {}, .out = {}};
    for (const auto& id : tenants.roots(root)) {
        walk.seen.insert(id);
        walk.out += label(tenants.at(id));
        const auto parent = text_of(tenants.at(id), "parent");
        if (root.empty() && !parent.empty() && !tenants.has(parent))
            walk.out += fmt::format("  (parent {} is not there)", printable(parent));
        walk.out += "\n";
        walk.below(id, "");
    }
    return walk.out;
}

json::array tenant_tree_json(const json::array& summaries, std::string_view root) {
    const forest tenants(summaries);
    json::array out;
    std::set<std::string> seen;
    for (const auto& id : tenants.roots(root)) {
        seen.insert(id);
        out.push_back(node_json(tenants, id, seen));
    }
    return out;
}

}  // namespace gatehouse::cli
