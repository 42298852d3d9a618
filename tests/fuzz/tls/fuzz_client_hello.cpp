// Any bytes as the two extensions of a ClientHello that the gate decides by. The first byte says how many of them are the
// server name's; each stands in memory of its own, so that a sanitizer sees its end.
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "client_hello.hpp"
#include "require.hpp"

using namespace gatehouse::tls;
using gatehouse::fuzz::require;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const auto cut = std::min<std::size_t>(data[0], size - 1) + 1;
    const std::vector<std::uint8_t> name(data + 1, data + cut), offered(data + cut, data + size);

    server_name parsed;
    const int alert = parsed.parse(name);
    const std::string text(parsed.text());
    require((alert == 0) == !text.empty());
    if (alert == 0) {
        require(text.size() <= 253);
        for (const char c : text) require((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_');
        // What was read is read again, and to the same.
        std::vector<std::uint8_t> written{0, static_cast<std::uint8_t>(text.size() + 3), 0, 0, static_cast<std::uint8_t>(text.size())};
        if (text.size() + 3 <= 255) {
            written.insert(written.end(), text.begin(), text.end());
            server_name back;
            require((back.parse(written) == 0 && back.text() == text) || text.back() == '.');
        }
    }
    const auto chosen = choose_protocol(offered);
    if (!chosen.empty()) {
        require(chosen.data() > offered.data() && chosen.data() + chosen.size() <= offered.data() + offered.size());
        require(std::string(chosen.begin(), chosen.end()) == "http/1.1" && chosen.data()[-1] == chosen.size());
    }
    return 0;
}
