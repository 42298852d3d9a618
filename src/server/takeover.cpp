#include "takeover.hpp"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <cstdlib>
#include <cstring>
#include <gatehouse/base/log.hpp>
#include <string_view>
#include <utility>

#include "successor.hpp"

namespace gatehouse::server {

namespace json = boost::json;

namespace {

json::string hex(const tls::ticket_keys::set& keys) {
    static_assert(std::is_trivially_copyable_v<tls::ticket_keys::set>);
    constexpr std::string_view digits = "0123456789abcdef";
    json::string out(wiping_storage());
    out.reserve(2 * sizeof keys.keys);
    const auto* bytes = reinterpret_cast<const unsigned char*>(keys.keys.data());
    for (std::size_t i = 0; i < sizeof keys.keys; ++i) {
        out.push_back(digits[bytes[i] >> 4U]);
        out.push_back(digits[bytes[i] & 15U]);
    }
    return out;
}

bool from_hex(std::string_view text, tls::ticket_keys::set& keys) {
    if (text.size() != 2 * sizeof keys.keys) return false;
    auto* bytes = reinterpret_cast<unsigned char*>(keys.keys.data());
    const auto value = [](char c) { return static_cast<unsigned>(c <= '9' ? c - '0' : c - 'a' + 10); };
    for (std::size_t i = 0; i < sizeof keys.keys; ++i)
        bytes[i] = static_cast<unsigned char>(value(text[2 * i]) << 4U | value(text[2 * i + 1]));
    return true;
}

limit::quota_use use_of(const json::value& v) {
    return {.owner = json::value_to<std::string>(v.at(0)),
            .route = json::value_to<std::string>(v.at(1)),
            .in = {.kind = static_cast<quota_period>(v.at(2).to_number<int>()), .number = v.at(3).to_number<std::uint32_t>()},
            .count = v.at(4).to_number<std::uint64_t>()};
}

}  // namespace

json::object state_of(const tls::ticket_keys::set& keys, std::int64_t rotate_in_ns, const endpoint_names& down) {
    json::array rows;
    for (const auto& [pool, address] : down) rows.push_back(json::array{pool, address});
    json::object out({{"ticket_count", keys.count}, {"rotate_in_ns", rotate_in_ns}, {"down", std::move(rows)}}, wiping_storage());
    out["ticket_keys"] = hex(keys);
    return out;
}

json::object quotas_said(const std::vector<limit::quota_use>& uses) {
    json::array rows;
    for (const limit::quota_use& u : uses)
        rows.push_back(json::array{u.owner, u.route, static_cast<int>(u.in.kind), u.in.number, u.count});
    return {{"step", "quotas"}, {"rows", std::move(rows)}};
}

std::unique_ptr<takeover> takeover::begin(boost::asio::io_context& control, callbacks c) {
    const char* count = std::getenv(handed_variable);
    if (count == nullptr) return nullptr;
    const int n = std::atoi(count);
    ::unsetenv(handed_variable);
    ::fcntl(handed_talk, F_SETFD, FD_CLOEXEC);
    ::fcntl(handed_lock, F_SETFD, FD_CLOEXEC);
    return std::unique_ptr<takeover>(new takeover(control, n, std::move(c)));
}

takeover::takeover(boost::asio::io_context& control, int count, callbacks c)
    : on_(std::move(c)),
      sockets_(handed_sockets, count),
      lock_(handed_lock),
      talk_(control, handed_talk, [this](const json::object& o) { said(o); }, [this] { on_.ended(); }) {}

net::inherited_sockets takeover::sockets() { return std::move(sockets_); }

void takeover::say(std::string_view step) { talk_.say({{"step", step}, {"version", GATEHOUSE_VERSION}}); }

void takeover::say_failed(const std::string& why) { talk_.say({{"step", "failed"}, {"why", why}}); }

// Another version may say what this one does not know: that is passed over.
void takeover::said(const json::object& o) {
    try {
        const json::string& word = o.at("step").as_string();
        if (word == "take") {
            tls::ticket_keys::set keys{};
            const std::unique_ptr<tls::ticket_keys::set, void (*)(tls::ticket_keys::set*)> wiped(&keys, [](tls::ticket_keys::set* k) { OPENSSL_cleanse(k, sizeof *k); });
            keys.count = o.at("ticket_count").to_number<std::uint8_t>();
            if (keys.count == 0 || keys.count > keys.keys.size() || !from_hex(o.at("ticket_keys").as_string(), keys))
                throw std::invalid_argument("ticket keys");
            from_ = o.at("pid").to_number<int>();
            endpoint_names down;
            for (const json::value& row : o.at("down").as_array())
                down.emplace(json::value_to<std::string>(row.at(0)), json::value_to<std::string>(row.at(1)));
            on_.take(keys, o.at("rotate_in_ns").to_number<std::int64_t>(), std::move(down));
        } else if (word == "go") {
            gone_ = true;
            on_.go();
        } else if (word == "main") {
            on_.is_main();
        } else if (word == "reload") {
            on_.reload();
        } else if (word == "quotas") {
            std::vector<limit::quota_use> uses;
            for (const json::value& row : o.at("rows").as_array()) uses.push_back(use_of(row));
            on_.quotas(std::move(uses));
        }
    } catch (const std::exception& e) {
        say_failed(std::string("it does not understand this node: ") + e.what());
    }
}

}  // namespace gatehouse::server
