// What nodes tell each other of usage through Redis: each node its own whole counts of an hour and
// tenant (PREFIX:usage:TENANT:HOUR), so that telling twice is telling once. Not here: when, and
// what is kept (server/usage.hpp). Control thread alone.
#pragma once

#include <cstdint>
#include <functional>
#include <gatehouse/fleet/fleet.hpp>
#include <gatehouse/redis/script.hpp>
#include <gatehouse/store/rows.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse::fleet {

using usage_rows = std::vector<store::usage_row>;

// Redis has an hour for that long after its last change.
inline constexpr std::int64_t usage_kept_s = 3 * 24 * 3600;

class usage_exchange {
 public:
    explicit usage_exchange(fleet& f);
    bool is_up() const { return fleet_.is_up(); }

    // At most rows_a_call rows, all of one node. `done` gets a number that another one takes the
    // place of when Redis has lost what it had; nothing: it may be told, or not.
    static constexpr std::size_t rows_a_call = 100;
    void tell(const usage_rows& rows, std::function<void(std::optional<std::int64_t> epoch)> done);
    // What changed behind `cursor`, of all nodes, in the order of changes.
    struct changes {
        std::int64_t epoch = 0;    // as of tell(); 0: nobody has told anything
        std::int64_t cursor = 0;   // where to go on
        usage_rows rows;           // empty: that was all
    };
    void changed(std::int64_t cursor, std::function<void(std::optional<changes>)> done);
    // Of one tenant, of these hours.
    void read(const std::string& tenant, const std::vector<std::int64_t>& hours,
              std::function<void(std::optional<usage_rows>)> done);

 private:
    std::string key(const std::string& tenant, std::int64_t hour) const;
    fleet& fleet_;
    const redis::script put_, take_, read_;
};

// A node's counts as they stand in Redis, behind their sum, which orders two of them.
std::string to_text(const tenant::usage_counts& c);
tenant::usage_counts counts_in(std::string_view text);

}  // namespace gatehouse::fleet
