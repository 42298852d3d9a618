// A file's tables, brought to what this program knows.
#pragma once

#include <cstdint>
#include <gatehouse/store/database.hpp>
#include <span>
#include <string>

namespace gatehouse::store {

// migrations[n] leads from version n to n + 1, of PRAGMA user_version; existing ones are never edited. A newer file is
// refused; one of an older version N is copied to FILE.schema-N before it is changed. *was: its version before; 0: it is new.
failure migrate(database& db, const std::string& file, std::span<const char* const> migrations, std::int64_t* was);

std::int64_t single_number(database& db, std::string_view sql, failure& why);

// "central.db" of a path.
std::string name_of(const std::string& file);

}  // namespace gatehouse::store
