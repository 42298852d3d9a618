// Any bytes as JSON of a tenant, as the admin API and Redis bring it: no crash, what is refused is refused in words, and
// what was accepted is the same written and read again.
#include <boost/json.hpp>
#include <cstdint>
#include <cstdlib>
#include <gatehouse/config/json.hpp>
#include <string_view>

namespace {

using namespace gatehouse::config;

void require(bool holds) {
    if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    boost::system::error_code ec;
    const auto value = boost::json::parse({reinterpret_cast<const char*>(data), size}, ec);
    if (ec || !value.is_object()) return 0;
    unknown_keys unknown;
    const auto first = parse_tenant(value.get_object(), "body", "platform.tld", "X-Tenant-", unknown);
    require(first.value.has_value() != has_errors(first.diagnostics));
    for (const diagnostic& d : first.diagnostics) {
        require(!d.message.empty() && !d.advice.empty());
        require(to_text(d).find('\n') == std::string::npos);
    }
    if (first.value) {
        unknown_keys none;
        const auto second = parse_tenant(to_json(*first.value), "body", "platform.tld", "X-Tenant-", none);
        require(none.empty() && second.value && *second.value == *first.value);
    }
    // And as what nodes share of their settings.
    unknown_keys others;
    const auto shared = parse_shared(value.get_object(), settings{}, "platform", others);
    for (const diagnostic& d : shared.diagnostics) require(!d.message.empty());
    return 0;
}
