#include "schema.hpp"

#include <fmt/format.h>
#include <sqlite3.h>
#include <filesystem>

namespace gatehouse::store {
namespace {

// Whole or not at all, and over what a broken-off copy left.
failure copy_to(database& db, const std::string& target) {
    const auto unfinished = target + ".part";
    std::error_code ec;
    std::filesystem::remove(unfinished, ec);
    failure why;
    auto s = db.prepare("VACUUM INTO ?1", why);
    if (why) return why;
    if (!s.bind(1, unfinished).run()) return s.error();
    std::filesystem::rename(unfinished, target, ec);
    if (ec) return {SQLITE_IOERR, fmt::format("{}: {}", target, ec.message())};
    return {};
}

}  // namespace

std::string name_of(const std::string& file) {
    return file.substr(file.rfind('/') + 1);
}

std::int64_t single_number(database& db, std::string_view sql, failure& why) {
    auto s = db.prepare(sql, why);
    if (why) return 0;
    const std::int64_t value = s.step() ? s.integer(0) : 0;
    if (s.failed()) why = s.error();
    return value;
}

failure migrate(database& db, const std::string& file, std::span<const char* const> migrations, std::int64_t* was) {
    const auto newest = static_cast<std::int64_t>(migrations.size());
    failure why;
    auto version = single_number(db, "PRAGMA user_version", why);
    if (why) return why;
    *was = version;
    if (version > newest)
        return {SQLITE_MISMATCH, fmt::format("{}: schema {} is newer than this gatehouse knows ({})", name_of(file), version, newest)};
    if (version == newest) return {};
    if (version != 0) why = copy_to(db, fmt::format("{}.schema-{}", file, version));
    if (why) return why;
    transaction t(db);
    if (t.begun()) return t.begun();
    for (; version < newest; ++version)
        if (why = db.execute(migrations[version]); why) return why;
    why = db.execute(fmt::format("PRAGMA user_version={}", newest).c_str());
    return why ? why : t.commit();
}

}  // namespace gatehouse::store
