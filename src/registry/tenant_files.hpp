// Reads one tenant file: whole, bounded, and only when its contents are other ones.
// Blocking; in the pool.
#pragma once

#include <gatehouse/registry/state.hpp>
#include <string>
#include <string_view>

namespace gatehouse::registry {

inline constexpr std::size_t max_tenant_file_bytes = 1024 * 1024;
inline constexpr std::string_view tenant_file_suffix = ".toml";

enum class finding : std::uint8_t { read, unchanged, vanished };

// `out` is set with finding::read alone. known_hash empty: reads it in any case.
finding read_tenant_file(const std::string& file, std::string_view domain,
                         std::string_view known_hash, document& out);

}  // namespace gatehouse::registry
