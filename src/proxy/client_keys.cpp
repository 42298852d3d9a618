#include "client_keys.hpp"

#include <gatehouse/base/text.hpp>

namespace gatehouse::proxy {

static std::string_view only_value(const http::request_head& request, std::string_view field_name) noexcept {
    std::string_view found;
    bool seen = false;
    for (const http::field& f : request.fields) {
        if (f.name.size() != field_name.size() || !iequals(f.name, field_name)) continue;
        if (seen && found != f.value) return {};
        found = f.value;
        seen = true;
    }
    return found;
}

void find_clients(std::vector<limit::client_charge>& out, const std::vector<limit::rule>& rules,
                  const http::request_head& request, const tenant::guard_input& client) {
    out.clear();
    for (const limit::rule& r : rules) {
        const std::uint64_t key = !r.field.empty()      ? hash_text(only_value(request, r.field))
                                  : client.client_known ? limit::client_key(client.client)
                                                        : hash_text({});
        out.push_back({.of = &r, .key = key});
    }
}

}  // namespace gatehouse::proxy
