// Looks at the leaf of each file of certs_dir in the background, once a day and when one changed, so
// that none ends unseen because nobody asked for it. changed(), again() and counts(): any thread;
// turn(): pool threads, one at a time.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "certificate_file.hpp"
#include "expiry_watch.hpp"

namespace gatehouse::tls {

class certificate_sweep {
 public:
    void changed(const std::string& file);
    void again();  // from the start, over what may be another folder
    expiry_counts counts() const;

    // A few milliseconds of work at most; `now`: Unix seconds. Writes the lines into the log. True:
    // there is more to do.
    bool turn(const std::string& certs_dir, std::int64_t now);
    // Where there is no folder: once a minute over what is in memory.
    void turn(const std::function<std::vector<certificate_row>()>& held, std::int64_t now);

 private:
    void look_at(const std::string& certs_dir, const std::string& file, std::int64_t now);
    bool take_changed(std::string& file);
    void go_round(const std::string& certs_dir, std::int64_t now);
    void end_round(const std::string& certs_dir, std::int64_t now);
    void tell(std::int64_t now);

    mutable std::mutex mutex_;
    std::set<std::string> changed_;  // files to look at before the rest
    bool again_ = true;
    expiry_counts counts_;

    // Of turn() alone.
    expiry_watch watch_;
    std::optional<folder_names> names_;  // a round is under way
    std::int64_t began_ = 0, told_ = 0;
    std::uint64_t shared_count_ = 0;  // files seen since tell() that others may read, and one of them
    std::string shared_file_;
};

}  // namespace gatehouse::tls
