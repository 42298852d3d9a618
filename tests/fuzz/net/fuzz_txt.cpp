// Any bytes as a resolver's answer: texts, few and no longer than a record, or why there are none.
#include <cstdint>
#include <cstdlib>
#include <gatehouse/net/txt.hpp>
#include <string_view>

namespace {

void require(bool holds) {
    if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    const auto a = gatehouse::net::read_txt(bytes, "_gatehouse-challenge.shop.example");
    require(a.records.empty() != a.why.empty());
    require(a.records.size() <= 64);
    for (const auto& r : a.records)
        require(r.size() < 65'536 && r.size() < size);
    return 0;
}
