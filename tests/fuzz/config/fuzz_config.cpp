// Any bytes as a main file and as a tenant's file: no crash, every diagnostic whole, and what was
// accepted as a tenant survives being written and read again.
#include <cstdint>
#include <cstdlib>
#include <gatehouse/config/load.hpp>
#include <string_view>

namespace {

using namespace gatehouse::config;

void require(bool holds) {
    if (!holds) std::abort();
}

template <class T>
void check(const loaded<T>& loaded) {
    require(loaded.value.has_value() != has_errors(loaded.diagnostics));
    for (const diagnostic& d : loaded.diagnostics) {
        const std::string line = to_text(d);
        require(!d.message.empty() && !d.advice.empty());
        require(line.find('\n') == line.npos);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    check(parse_settings(text, "/etc/gatehouse/gatehouse.toml"));

    const auto first = parse_tenant(text, "/etc/gatehouse/tenants/acme.toml", "platform.tld");
    check(first);
    if (!first.value) return 0;
    const auto second =
        parse_tenant(to_toml(*first.value), "/etc/gatehouse/tenants/acme.toml", "platform.tld");
    check(second);
    require(second.value && *second.value == *first.value);
    return 0;
}
