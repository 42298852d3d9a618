// Any bytes as an archive that somebody imports: refused in words, or files whose names stay below the folder they would be
// unpacked into, and which are the same written and read again.
#include <cstdint>
#include <cstdlib>
#include <gatehouse/store/tar.hpp>
#include <string>

namespace {

void require(bool holds) {
    if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace gatehouse::store;
    std::string why;
    const auto files = from_tar({reinterpret_cast<const char*>(data), size}, why);
    require(files.has_value() == why.empty());
    if (!files) return 0;
    std::size_t bytes = 0;
    for (const auto& f : *files) {
        require(!f.name.empty() && f.name.size() <= 100 && f.name[0] != '/');
        require(("/" + f.name + "/").find("/../") == std::string::npos);
        bytes += f.bytes.size();
    }
    require(bytes <= size);
    const auto again = from_tar(to_tar(*files, 1'700'000'000), why);
    require(again && *again == *files);
    return 0;
}
