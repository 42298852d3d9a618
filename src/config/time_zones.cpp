#include <filesystem>
#include <fstream>
#include <gatehouse/base/text.hpp>
#include <gatehouse/config/time_zones.hpp>
#include <iterator>
#include <string>
#include <unordered_map>

namespace gatehouse::config {
namespace {

namespace fs = std::filesystem;
using zones = std::unordered_map<std::string, time_zone, text_hash, std::equal_to<>>;

constexpr const char* folder = "/usr/share/zoneinfo";
constexpr std::size_t most_zones = 2'000;
constexpr std::uintmax_t largest_file = 64 * 1024;

// The same again with other leap seconds.
bool is_other_set(const fs::path& p) {
    return p.filename() == "posix" || p.filename() == "right";
}

zones read_zones() {
    zones out;
    std::error_code ec;
    for (fs::recursive_directory_iterator i(folder, ec), end; !ec && i != end && out.size() < most_zones; i.increment(ec)) {
        std::error_code ignored;
        if (i->is_directory(ignored) && is_other_set(i->path())) i.disable_recursion_pending();
        if (!i->is_regular_file(ignored) || i->file_size(ignored) > largest_file) continue;
        std::ifstream in(i->path(), std::ios::binary);
        const std::string bytes{std::istreambuf_iterator<char>(in), {}};
        if (auto zone = time_zone::parse(bytes)) out.emplace(i->path().lexically_relative(folder).string(), std::move(*zone));
    }
    return out;
}

}  // namespace

const time_zone* find_time_zone(std::string_view name) {
    static const zones all = read_zones();
    const auto it = all.find(name);
    return it == all.end() ? nullptr : &it->second;
}

}  // namespace gatehouse::config
