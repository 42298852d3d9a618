#include "certificate_listing.hpp"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <memory>
#include <set>
#include <string_view>
#include <utility>

#include "certificate_file.hpp"

namespace gatehouse::tls {
namespace {

using clock = std::chrono::steady_clock;
constexpr int names_a_step = 100;
constexpr auto turn_time = std::chrono::milliseconds(5);

class page_job : public std::enable_shared_from_this<page_job> {
 public:
    explicit page_job(listing l) : l_(std::move(l)), all_(l_.certs_dir) {}
    void post() {
        l_.run_in_pool([self = shared_from_this()] { self->turn(); });
    }

 private:
    void turn() {
        const clock::time_point until = clock::now() + turn_time;
        while (step())
            if (clock::now() >= until) return post();
        l_.done(std::move(page_));
    }

    // A few names, then file by file; false: that was all.
    bool step() {
        if (!listed_) {
            take_names();
            return page_.error.empty();
        }
        if (names_.empty()) {
            if (!more_) page_.next.clear();
            return false;
        }
        page_.next = std::move(names_.extract(names_.begin()).value());
        add_row(page_.next);
        return true;
    }

    void take_names() {
        std::string_view file;
        for (int i = 0; i < names_a_step; ++i) {
            if (!all_.next(file)) {
                listed_ = true;
                break;
            }
            take_name(pattern_of(file));
        }
        if (!all_.error.empty())
            page_.error = "the folder " + l_.certs_dir + " cannot be read (" + all_.error +
                          "): check its path and rights";
    }

    // The first of them are kept.
    void take_name(std::string name) {
        if (name.empty() || name <= l_.after) return;
        if (names_.size() == l_.limit && name > *names_.rbegin()) {
            more_ = true;
            return;
        }
        names_.insert(std::move(name));
        if (names_.size() <= l_.limit) return;
        names_.erase(std::prev(names_.end()));
        more_ = true;
    }

    void add_row(const std::string& name) {
        const std::string file = file_of(name);
        if (std::optional<certificate_row> row = l_.in_memory(file))
            return page_.rows.push_back(*std::move(row));
        leaf_facts leaf = read_leaf_facts(l_.certs_dir, file, leaf_look::end_and_name);
        if (leaf.missing) return;
        page_.rows.push_back({.pattern = name,
                              .file = file,
                              .error = std::move(leaf.error),
                              .not_after = leaf.not_after});
    }

    listing l_;
    folder_names all_;
    std::set<std::string> names_;
    bool listed_ = false, more_ = false;
    certificate_page page_;
};

}  // namespace

void list_folder(listing l) {
    // Opening the folder belongs into the pool as well.
    const auto run = l.run_in_pool;
    run([l = std::move(l)]() mutable { std::make_shared<page_job>(std::move(l))->post(); });
}

certificate_page page_of(std::vector<certificate_row> rows, const std::string& after,
                         std::size_t limit) {
    rows.erase(rows.begin(),
               std::upper_bound(rows.begin(), rows.end(), after,
                                [](const std::string& a, const auto& r) { return a < r.pattern; }));
    certificate_page page{.rows = std::move(rows), .next = {}, .error = {}};
    if (page.rows.size() <= limit) return page;
    page.rows.resize(limit);
    if (limit != 0) page.next = page.rows.back().pattern;
    return page;
}

}  // namespace gatehouse::tls
