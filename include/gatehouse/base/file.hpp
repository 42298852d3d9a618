// Files written so that nobody sees half of one. Blocking.
#pragma once

#include <string>
#include <string_view>

namespace gatehouse {

// Beside it, synced, then in its place: a reader sees the old file or the new one, and so does the next start. Mode 0600.
// Why not, in the system's words; empty: it is written.
std::string write_whole(const std::string& path, std::string_view bytes);

}  // namespace gatehouse
