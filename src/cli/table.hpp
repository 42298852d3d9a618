// Text for terminals. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace gatehouse::cli {

// Columns as wide as their longest cell, two blanks between, none at a line's end.
std::string table(const std::vector<std::string>& heads,
                  const std::vector<std::vector<std::string>>& rows);
// Lines of RFC 4180, the first with the heads; a cell is quoted where it must be.
std::string csv(const std::vector<std::string>& heads, const std::vector<std::vector<std::string>>& rows);
// Control characters (a name may hold what a terminal would obey) become "?".
std::string printable(std::string_view s);
std::string joined(const std::vector<std::string>& parts, std::string_view between);

}  // namespace gatehouse::cli
