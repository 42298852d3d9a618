// What stands in Redis, rightly signed and yet anything: read as a tenant, a certificate and the platform.
// The first byte says whether the text is signed by us (so that what lies behind the signature is
// reached) or taken as the whole document.
#include <cstdint>
#include <cstdlib>
#include <fmt/format.h>
#include <gatehouse/registry/documents.hpp>
#include <string>
#include <string_view>

using namespace gatehouse;
using namespace gatehouse::registry;

namespace {

seal::key_ring ring() {
    std::string trouble;
    return *seal::key_ring::parse(std::string(64, '1'), trouble);
}

void require(bool holds) {
    if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const seal::key_ring keys = ring();
    static const config::settings own = [] {
        config::settings s;
        s.node.region = "eu-west";
        return s;
    }();
    if (size == 0) return 0;
    const std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
    std::string text(rest);
    const bool is_signed = (data[0] & 1) != 0;
    if (is_signed)
        text = fmt::format("{{\"signatures\":{{\"eu-west\":\"{}:{}\"}},\"signed\":{}}}", keys.current().id(),
                           keys.current().sign(rest), rest);
    const reader r{.region = "eu-west", .keys = keys};
    const auto t = read_tenant(text, "acme", r);
    if (t.what == reading::whole) {
        require(t.document.id == "acme");
        require(!t.document.tenant || t.document.tenant->id == "acme");
        require(!t.document.strict || t.document.region == "eu-west");
    }
    if (t.what == reading::refused) require(!t.why.empty());
    const auto c = read_certificate(text, "shop.acme.example", r);
    require(c.what != reading::whole || c.document.name == "shop.acme.example");
    const auto p = read_platform(text, r, own);
    // Nobody without the key has made this.
    if (!is_signed) require(t.what == reading::refused && c.what == reading::refused && p.what == reading::refused);
    (void)same_content(text, text);
    (void)current_source(text, "shop.acme.example", {"eu-west"}, {{"eu-west", keys}});
    return 0;
}
