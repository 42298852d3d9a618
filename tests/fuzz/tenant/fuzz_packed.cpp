// Any bytes as a packed tenant: refused, or a tenant that survives being packed and unpacked.
#include <cstdint>
#include <cstdlib>
#include <gatehouse/tenant/packed.hpp>
#include <string_view>

namespace {

using namespace gatehouse::tenant;

void require(bool holds) {
    if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    const auto given = packed_from(bytes);
    if (!given) return 0;
    const auto t = given->unpack();
    const auto again = pack(t);
    require(again->unpack() == t);
    require(packed_from(again->bytes()) != nullptr);
    const auto b = given->look();
    require(b.id == t.id && b.label == t.label && b.parent == t.parent && b.state == t.state);
    require(b.until == t.until && b.min_tls_version == t.tls.min_version);
    for (const auto& [from, to] : t.redirect_hosts)
        (void)redirect_target(b, from);
    return 0;
}
