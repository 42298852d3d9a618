#include "followed_copy.hpp"

#include <fmt/format.h>
#include <filesystem>
#include <gatehouse/base/log.hpp>

namespace gatehouse::registry {
namespace {

constexpr std::size_t id_bytes_max = 63;

struct judged {
    std::string refused;  // why it may not be taken
    position at;
};

judged judge(const platform_reading& r) {
    // The settings that this node understands stay, over a restart too.
    if (r.what != reading::whole) return {.refused = r.why, .at = {}};
    return {.refused = {}, .at = r.document.at};
}

template <class Reading>
judged judge(const Reading& r) {
    if (r.what == reading::refused) return {.refused = r.why, .at = {}};
    return {.refused = {}, .at = r.document.at};
}

judged judge(std::string_view key, std::string_view value, const follower_identity& who) {
    const auto colon = std::min(key.find(':'), key.size());
    const std::string_view kind = key.substr(0, colon), name = key.substr(std::min(colon + 1, key.size()));
    if (kind == "tenant") return judge(read_tenant(value, name, who.reader()));
    if (kind == "cert") return judge(read_certificate(value, name, who.reader()));
    if (kind == "platform") return judge(read_platform(value, who.reader(), who.own));
    // Whose a host is counts only where the tenant's document lists the host.
    return {.refused = value.size() > id_bytes_max ? "is no tenant's id" : "", .at = {}};
}

}  // namespace

bool followed_copy::open(const std::string& state_dir, std::string& why) {
    std::error_code ec;
    std::filesystem::create_directories(state_dir, ec);
    std::filesystem::permissions(state_dir, std::filesystem::perms::owner_all, ec);
    file_ = state_dir + "/mirror.db";
    return open_file(why);
}

bool followed_copy::open_file(std::string& why) {
    store::failure trouble;
    bool made_anew = false;
    writer_ = store::mirror_db::open(file_, trouble, &made_anew);
    if (made_anew) log::warn("{} was damaged: it is made anew from Redis", file_);
    if (!trouble) reader_ = store::mirror_db::open(file_, trouble, &made_anew);
    if (!trouble) mark_ = reader_.mark(trouble).value_or(store::mirror_mark());
    if (trouble) why = fmt::format("{} cannot be used: {}", file_, trouble.text);
    return !trouble;
}

bool followed_copy::begin_anew(std::string& why) {
    const std::scoped_lock lock(writing_, reading_);
    log::warn("{} is damaged: it is made anew from Redis", file_);
    reader_ = store::mirror_db();
    writer_ = store::mirror_db();
    mark_ = {};
    store::mirror_db::remove(file_);
    damaged_ = !open_file(why);
    return !damaged_;
}

void followed_copy::note(const store::failure& why) {
    if (why.is_corrupt()) damaged_ = true;
}

store::mirror_mark followed_copy::mark() const {
    const std::lock_guard lock(reading_);
    return mark_;
}

followed_copy::answer followed_copy::find(std::string_view key) {
    const std::lock_guard lock(reading_);
    store::failure why;
    auto found = reader_.find(key, why);
    note(why);
    if (why) return {.value = std::nullopt, .readable = false};
    if (!found) return {};
    return {.value = std::move(found->value), .readable = true};
}

bool followed_copy::for_each_key(std::string_view prefix, const std::function<void(std::string_view)>& f) {
    // In pieces, so that nobody who wants one value waits for all.
    constexpr std::size_t keys_a_piece = 2000;
    std::string after;
    for (bool more = true; more;) {
        std::size_t n = 0;
        const std::lock_guard lock(reading_);
        const store::failure why = reader_.for_each_key(prefix, after, [&](std::string_view key) {
            after = key;
            f(key);
            return ++n < keys_a_piece;
        });
        note(why);
        if (why) return false;
        more = n == keys_a_piece;
    }
    return true;
}

followed_copy::outcome followed_copy::apply(std::vector<followed_value> values, bool gone_counts,
                                            const follower_identity& who, const store::mirror_mark& m) {
    const std::lock_guard lock(writing_);
    outcome out;
    std::vector<store::mirror_change> changes;
    store::failure why;
    for (auto& [key, value] : values) {
        const auto before = writer_.find(key, why);
        if (why) break;
        if (!value) {
            if (before && gone_counts) changes.push_back({.key = key, .entry = std::nullopt});
            out.doubted = out.doubted || (before && !gone_counts);
            continue;
        }
        if (before && before->value == *value) continue;
        const judged j = judge(key, *value, who);
        if (!j.refused.empty()) {
            out.refused.emplace_back(key, j.refused);
            continue;
        }
        if (before && j.at < position{.epoch = before->epoch, .revision = before->revision}) {
            out.refused.emplace_back(key, "is older than what this node has");
            continue;
        }
        changes.push_back({.key = key,
                           .entry = store::mirror_entry{.value = std::move(*value),
                                                        .epoch = j.at.epoch,
                                                        .revision = j.at.revision}});
    }
    // What was refused is read again after a restart: it may come with another key or version.
    store::mirror_mark stored = m;
    if (!out.refused.empty()) stored.registry.clear();
    if (!why) why = writer_.write(changes, stored);
    note(why);
    if (why) {
        out.trouble = fmt::format("{} cannot be written: {}", file_, why.text);
        return out;
    }
    for (auto& c : changes)
        out.changed.emplace_back(std::move(c.key), c.entry.has_value());
    const std::lock_guard read(reading_);
    mark_ = stored;
    return out;
}

}  // namespace gatehouse::registry
