#include "certificate_sweep.hpp"

#include <chrono>
#include <gatehouse/base/log.hpp>
#include <utility>

namespace gatehouse::tls {
namespace {

using clock = std::chrono::steady_clock;
constexpr auto turn_time = std::chrono::milliseconds(5);
constexpr std::int64_t round_seconds = 24 * 60 * 60;
constexpr std::int64_t tell_seconds = 60;
constexpr std::size_t most_changed = 10'000;  // then a round looks at all of them

// A clock that was set back counts as time gone by.
bool is_over(std::int64_t since, std::int64_t seconds, std::int64_t now) {
    return now - since >= seconds || now < since;
}

}  // namespace

void certificate_sweep::changed(const std::string& file) {
    const std::lock_guard lock(mutex_);
    changed_.insert(file);
    if (changed_.size() <= most_changed) return;
    changed_.clear();
    again_ = true;
}

void certificate_sweep::again() {
    const std::lock_guard lock(mutex_);
    again_ = true;
}

expiry_counts certificate_sweep::counts() const {
    const std::lock_guard lock(mutex_);
    return counts_;
}

bool certificate_sweep::take_changed(std::string& file) {
    const std::lock_guard lock(mutex_);
    if (changed_.empty()) return false;
    file = std::move(changed_.extract(changed_.begin()).value());
    return true;
}

void certificate_sweep::look_at(const std::string& certs_dir, const std::string& file,
                                std::int64_t now) {
    const std::string name = pattern_of(file);
    if (name.empty()) return;
    const leaf_facts leaf = read_leaf_facts(certs_dir, file, leaf_look::end);
    if (leaf.shared) {
        const std::string path = certs_dir + '/' + file;
        if (others_may_reach(path) && shared_count_++ == 0) shared_file_ = path;
    }
    if (leaf.missing)
        watch_.gone(name);
    else if (leaf.not_after != 0)
        watch_.saw(name, leaf.not_after, now);
    else
        watch_.saw_bad(name, leaf.error);
}

bool certificate_sweep::turn(const std::string& certs_dir, std::int64_t now) {
    const clock::time_point until = clock::now() + turn_time;
    go_round(certs_dir, now);
    std::string file;
    do {
        std::string_view name;
        if (take_changed(file)) {
            look_at(certs_dir, file, now);
        } else if (!names_) {
            break;
        } else if (names_->next(name)) {
            look_at(certs_dir, std::string(name), now);
        } else {
            end_round(certs_dir, now);
            return false;
        }
    } while (clock::now() < until);
    if (is_over(told_, tell_seconds, now)) tell(now);
    return names_.has_value();
}

void certificate_sweep::go_round(const std::string& certs_dir, std::int64_t now) {
    {
        const std::lock_guard lock(mutex_);
        if (!std::exchange(again_, false) && (names_ || !is_over(began_, round_seconds, now))) return;
    }
    began_ = now;
    names_.emplace(certs_dir);
    watch_.begin_round();
}

// What was seen before stays when this folder could not be read.
void certificate_sweep::end_round(const std::string& certs_dir, std::int64_t now) {
    if (names_->error.empty())
        watch_.end_round();
    else
        log::error("certificates: the folder {} cannot be read ({}): check its path and rights",
                   certs_dir, names_->error);
    names_.reset();
    tell(now);
}

void certificate_sweep::turn(const std::function<std::vector<certificate_row>()>& held,
                             std::int64_t now) {
    if (!is_over(told_, tell_seconds, now)) return;
    watch_.begin_round();
    for (const certificate_row& r : held())
        if (r.not_after != 0)
            watch_.saw(r.pattern, r.not_after, now);
        else
            watch_.saw_bad(r.pattern, r.error);
    watch_.end_round();
    tell(now);
}

void certificate_sweep::tell(std::int64_t now) {
    told_ = now;
    expiry_watch::outcome o = watch_.look(now);
    for (const expiry_watch::line& l : o.lines) {
        if (l.urgent)
            log::warn("{}", l.text);
        else
            log::info("{}", l.text);
    }
    if (const auto n = std::exchange(shared_count_, 0); n != 0)
        log::warn("certificates: others than their owner may read {} with a private key, {} for one: chmod 600 {}, which the user of this node has to own",
                  n == 1 ? std::string("a file") : std::to_string(n) + " files", shared_file_, n == 1 ? shared_file_ : "them");
    const std::lock_guard lock(mutex_);
    counts_ = o.counts;
}

}  // namespace gatehouse::tls
