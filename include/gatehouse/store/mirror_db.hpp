// state_dir/mirror.db: what a node that follows has of the registry in Redis, under Redis' keys
// without the prefix ("tenant:acme", "host:shop.acme.example"). A copy: lost, it is made anew from
// Redis. What the values mean is the registry's. One thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <gatehouse/store/database.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse::store {

// How far the copy has come.
struct mirror_mark {
    std::string registry;         // whose copy it is; empty: nobody's yet
    std::string stream = "0-0";   // the last change in it
    std::uint64_t epoch = 0, revision = 0;
    bool whole = false;           // what is not in it does not exist
    std::int64_t heard_s = 0;     // when it was last known to be current, Unix seconds
    bool operator==(const mirror_mark&) const = default;
};

struct mirror_entry {
    std::string value;
    std::uint64_t epoch = 0, revision = 0;
};
struct mirror_change {
    std::string key;
    std::optional<mirror_entry> entry;  // none: it goes
};

class mirror_db {
 public:
    // Makes the file where it is missing. A damaged one goes, and a new one is made: *made_anew.
    // Damage that shows later is a failure of what came upon it.
    static mirror_db open(const std::string& file, failure& why, bool* made_anew);
    // The file and what SQLite keeps beside it. Nobody has it open.
    static void remove(const std::string& file);

    bool is_open() const noexcept { return db_.is_open(); }
    std::optional<mirror_mark> mark(failure& why);
    std::optional<mirror_entry> find(std::string_view key, failure& why);
    // Keys that begin with `prefix`, in order; where `after` is not empty, those behind it, which is one of them.
    // Until f says false.
    failure for_each_key(std::string_view prefix, std::string_view after,
                         const std::function<bool(std::string_view key)>& f);
    // All or nothing. Lost only when the machine ends, and then whole.
    failure write(const std::vector<mirror_change>& changes, const mirror_mark& m);

 private:
    static mirror_db open_once(const std::string& file, failure& why);
    database db_;
    statement find_;
};

}  // namespace gatehouse::store
