// What a node that follows has of the registry: state_dir/mirror.db, and how a change gets into it.
// Blocks: in the pool, or before the node runs.
#pragma once

#include <atomic>
#include <functional>
#include <gatehouse/registry/documents.hpp>
#include <gatehouse/store/mirror_db.hpp>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gatehouse::registry {

// Whom documents are read for. Immutable, shared with jobs in the pool.
struct follower_identity {
    std::string region;
    seal::key_ring keys;
    config::settings own;  // the node's own settings
    registry::reader reader() const { return {.region = region, .keys = keys}; }
};
using identity_ptr = std::shared_ptr<const follower_identity>;

// What Redis has under a key, without the prefix. No value: nothing.
struct followed_value {
    std::string key;
    std::optional<std::string> value;
};

class followed_copy {
 public:
    followed_copy() = default;
    followed_copy(const followed_copy&) = delete;
    followed_copy& operator=(const followed_copy&) = delete;

    // False: it cannot be used, `why` says why.
    bool open(const std::string& state_dir, std::string& why);
    store::mirror_mark mark() const;

    struct answer {
        std::optional<std::string> value;
        bool readable = true;  // false: the file could not be read
    };
    answer find(std::string_view key);
    // False: the file is damaged, and not all of them were seen.
    bool for_each_key(std::string_view prefix, const std::function<void(std::string_view)>& f);
    // Something in it could not be read, as it is no database's: it is to be made anew once Redis has
    // all of it.
    bool is_damaged() const noexcept { return damaged_.load(std::memory_order_relaxed); }
    // In the place of a damaged one: an empty copy. False: it cannot be used, `why` says why.
    bool begin_anew(std::string& why);

    struct outcome {
        std::vector<std::pair<std::string, bool>> changed;         // key; whether it is there now
        std::vector<std::pair<std::string, std::string>> refused;  // key, why what Redis has is not taken
        bool doubted = false;  // something is not in Redis, and that does not count
        std::string trouble;  // it cannot be stored, and why: nothing has changed
    };
    // Takes over what differs, if it may be taken: signed for this region, not older than what is
    // here. `gone_counts`: no value means that there is none.
    outcome apply(std::vector<followed_value> values, bool gone_counts, const follower_identity& who,
                  const store::mirror_mark& m);

 private:
    bool open_file(std::string& why);
    void note(const store::failure& why);

    mutable std::mutex reading_, writing_;  // in this order: writing_, reading_
    std::atomic<bool> damaged_{false};
    store::mirror_db reader_, writer_;
    store::mirror_mark mark_;  // under reading_
    std::string file_;
};

}  // namespace gatehouse::registry
