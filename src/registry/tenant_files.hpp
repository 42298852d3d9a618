// Reads one tenant file: whole, bounded, and parses it only when its contents are other ones.
// Blocking; in the pool.
#pragma once

#include <gatehouse/registry/state.hpp>
#include <string>
#include <string_view>

namespace gatehouse::registry {

inline constexpr std::size_t max_tenant_file_bytes = 1024 * 1024;
inline constexpr std::string_view tenant_file_suffix = ".toml";

enum class finding : std::uint8_t { read, unchanged, vanished };

// `out` is set with finding::read; with finding::unchanged its mark alone is.
finding read_tenant_file(const std::string& file, std::string_view domain, std::string_view context_prefix,
                         const file_mark& known, document& out);

// Of bytes; 0 where none can be made.
std::uint64_t content_mark(std::string_view bytes);
std::int64_t wall_clock_ns();

}  // namespace gatehouse::registry
