#include "client_address.hpp"

#include <gatehouse/base/text.hpp>

namespace gatehouse::proxy {

ip_address forwarded_client(const http::request_head& request, const std::vector<ip_network>& trusted,
                            const ip_address& peer, std::string_view& text) {
    ip_address client = peer;
    for (auto f = request.fields.rbegin(); f != request.fields.rend(); ++f) {
        if (f->id != http::known::x_forwarded_for) continue;
        std::string_view list = f->value;
        while (!list.empty()) {
            const std::size_t comma = list.rfind(',');
            const std::string_view item = trim(comma == std::string_view::npos ? list : list.substr(comma + 1));
            const result<ip_address> address = parse_ip(item);
            if (!address) return client;
            client = *address;
            text = item;
            if (!any_contains(trusted, client)) return client;
            list = comma == std::string_view::npos ? std::string_view{} : list.substr(0, comma);
        }
    }
    return client;
}

std::string_view logged(config::logged_client how, const ip_address* client, std::string_view text, std::array<char, 48>& out) noexcept {
    switch (how) {
        case config::logged_client::address: return text;
        case config::logged_client::network: return client != nullptr ? shortened(*client, out) : text;
        case config::logged_client::off: break;
    }
    return {};
}

}  // namespace gatehouse::proxy
