// The watcher's loop: signals gather names, timers tell them, listings find what signals missed.
#include "inotify.hpp"

#include <sys/stat.h>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <gatehouse/watch/folder.hpp>
#include <gatehouse/watch/listing.hpp>
#include <map>
#include <set>

namespace gatehouse::watch {
namespace asio = boost::asio;
using clock = std::chrono::steady_clock;

namespace {

constexpr int poll_share = 50;  // a listing may use 1/50 of the time between polls

struct difference {
    std::vector<std::string> changed, missing;
};

difference compare(const listing& before, const listing& after) {
    difference d;
    std::size_t i = 0, j = 0;
    while (i < before.size() || j < after.size()) {
        const bool gone =
            j == after.size() || (i < before.size() && before[i].name < after[j].name);
        const bool is_new = !gone && (i == before.size() || after[j].name < before[i].name);
        if (gone)
            d.missing.emplace_back(before[i].name);
        else if (is_new || before[i].stamp != after[j].stamp)
            d.changed.emplace_back(after[j].name);
        i += is_new ? 0 : 1;
        j += gone ? 0 : 1;
    }
    return d;
}

}  // namespace

class folder::impl : public std::enable_shared_from_this<impl> {
 public:
    impl(asio::io_context& io, std::string path, std::string suffix, callback on_events, options o,
         std::function<void(const std::string&)> on_trouble)
        : io_(io),
          path_(std::move(path)),
          suffix_(std::move(suffix)),
          on_events_(std::move(on_events)),
          on_trouble_(std::move(on_trouble)),
          options_(std::move(o)),
          queue_(path_),
          readable_(io),
          tell_timer_(io),
          vanish_timer_(io),
          poll_timer_(io) {}

    ~impl() {
        // The queue owns the descriptor.
        if (readable_.is_open()) readable_.release();
    }

    void start() {
        running_ = true;
        queue_.attach();
        // Where the system has no room for one more, polling finds what changed.
        boost::system::error_code ec;
        if (queue_.descriptor() >= 0) readable_.assign(queue_.descriptor(), ec);
        if (readable_.is_open()) wait_readable();
        list(purpose::remember);
    }

    void stop() {
        running_ = false;
        boost::system::error_code ignored;
        readable_.cancel(ignored);
        tell_timer_.cancel();
        vanish_timer_.cancel();
        poll_timer_.cancel();
    }

    void rescan() {
        if (running_) list(purpose::tell);
    }

 private:
    enum class purpose : std::uint8_t { remember, tell };

    void wait_readable() {
        readable_.async_wait(asio::posix::stream_descriptor::wait_read, [self = shared_from_this()](
                                                                            error_code ec) {
            if (ec || !self->running_) return;
            self->queue_.drain([&](signal s, std::string_view name) { self->on_signal(s, name); });
            self->wait_readable();
        });
    }

    void on_signal(signal s, std::string_view name) {
        const bool wanted = counts(name, suffix_);
        switch (s) {
            case signal::touched:
                if (wanted) note_changed(std::string(name));
                return;
            case signal::linked:
                // A hidden link may be what the files lead through ("..data" of a mounted map).
                if (wanted)
                    note_changed(std::string(name));
                else if (is_link(name))
                    schedule_rescan();
                return;
            case signal::vanished:
                if (wanted) note_vanished(std::string(name), clock::now());
                return;
            case signal::rescan:
                schedule_rescan();
                return;
            case signal::replaced:
                lost_folder_ = true;
                schedule_rescan();
                return;
        }
    }

    bool is_link(std::string_view name) const {
        struct stat s {};
        return ::lstat((path_ + '/' + std::string(name)).c_str(), &s) == 0 && S_ISLNK(s.st_mode);
    }

    void note_changed(std::string name) {
        vanished_.erase(name);
        changed_.insert(std::move(name));
        schedule_tell();
    }

    void note_vanished(std::string name, clock::time_point when) {
        changed_.erase(name);
        const bool first = vanished_.empty();
        vanished_.emplace(std::move(name), when + options_.vanish);
        // What else goes in the same burst is told with it: a mass removal is seen as one.
        if (first) schedule_vanish(when + options_.vanish + options_.debounce);
    }

    void schedule_rescan() {
        rescan_wanted_ = true;
        schedule_tell();
    }

    void schedule_tell() {
        if (tell_scheduled_) return;
        tell_scheduled_ = true;
        tell_timer_.expires_after(options_.debounce);
        tell_timer_.async_wait([self = shared_from_this()](error_code ec) {
            self->tell_scheduled_ = false;
            if (!ec && self->running_) self->tell();
        });
    }

    void tell() {
        if (lost_folder_ && !queue_.attached_to_path()) queue_.attach();
        lost_folder_ = false;
        std::vector<event> events;
        for (const auto& name : std::exchange(changed_, {}))
            events.push_back({name, kind::changed});
        if (std::exchange(rescan_wanted_, false)) list(purpose::tell);
        if (!events.empty()) on_events_(std::move(events));
    }

    void schedule_vanish(clock::time_point when) {
        vanish_timer_.expires_at(when);
        vanish_timer_.async_wait([self = shared_from_this()](error_code ec) {
            if (!ec && self->running_) self->tell_vanished();
        });
    }

    void tell_vanished() {
        const auto now = clock::now();
        std::vector<event> events;
        auto next = clock::time_point::max();
        for (auto it = vanished_.begin(); it != vanished_.end();) {
            if (it->second > now) {
                next = std::min(next, it->second);
                ++it;
                continue;
            }
            struct stat s {};
            const bool back = ::stat((path_ + '/' + it->first).c_str(), &s) == 0;
            events.push_back({it->first, back ? kind::changed : kind::removed});
            it = vanished_.erase(it);
        }
        if (!vanished_.empty()) schedule_vanish(next + options_.debounce);
        // The folder's own absence removes nothing; the next listing reports it.
        struct stat s {};
        if (::stat(path_.c_str(), &s) != 0) return;
        if (!events.empty()) on_events_(std::move(events));
    }

    void list(purpose p) {
        if (listing_now_) {
            list_again_ = true;
            return;
        }
        listing_now_ = true;
        // The last owner must go on this thread, so the job gives its share away with its result.
        auto owner = std::make_shared<std::shared_ptr<impl>>(shared_from_this());
        auto job = [owner, &io = io_, p, before = known_, path = path_, suffix = suffix_] {
            const auto began = clock::now();
            auto found = list_folder(path, suffix);
            auto d = found ? compare(*before, *found) : difference{};
            const auto took = clock::now() - began;
            asio::post(io, [self = std::move(*owner), p, took, d = std::move(d),
                            found = std::move(found)]() mutable {
                self->listed(p, took, std::move(found), std::move(d));
            });
        };
        if (options_.run_in_pool)
            options_.run_in_pool(std::move(job));
        else
            job();
    }

    void listed(purpose p, clock::duration took, result<listing> found, difference d) {
        listing_now_ = false;
        if (!running_) return;
        report_trouble(found ? std::string() : path_ + ": " + found.error().message());
        if (found) {
            known_ = std::make_shared<const listing>(std::move(*found));
            if (p == purpose::tell) {
                const auto now = clock::now();
                for (auto& name : d.changed)
                    note_changed(std::move(name));
                for (auto& name : d.missing)
                    note_vanished(std::move(name), now);
            }
        }
        if (std::exchange(list_again_, false)) list(purpose::tell);
        schedule_poll(took);
    }

    void schedule_poll(clock::duration took) {
        poll_timer_.expires_after(std::max<clock::duration>(options_.poll, took * poll_share));
        poll_timer_.async_wait([self = shared_from_this()](error_code ec) {
            if (ec || !self->running_) return;
            if (!self->queue_.attached_to_path()) self->queue_.attach();
            self->list(purpose::tell);
        });
    }

    void report_trouble(std::string text) {
        if (text == trouble_) return;
        trouble_ = std::move(text);
        if (on_trouble_) on_trouble_(trouble_);
    }

    asio::io_context& io_;
    const std::string path_, suffix_;
    const callback on_events_;
    const std::function<void(const std::string&)> on_trouble_;
    const options options_;
    inotify queue_;
    asio::posix::stream_descriptor readable_;
    asio::steady_timer tell_timer_, vanish_timer_, poll_timer_;

    bool running_ = false, tell_scheduled_ = false, rescan_wanted_ = false, lost_folder_ = false;
    bool listing_now_ = false, list_again_ = false;
    std::set<std::string> changed_;
    std::map<std::string, clock::time_point> vanished_;  // and when it counts
    std::shared_ptr<const listing> known_ = std::make_shared<const listing>();
    std::string trouble_;
};

folder::folder(asio::io_context& io, std::string path, std::string suffix, callback on_events,
               options o, std::function<void(const std::string&)> on_trouble)
    : impl_(std::make_shared<impl>(io, std::move(path), std::move(suffix), std::move(on_events),
                                   std::move(o), std::move(on_trouble))) {}
folder::~folder() {
    impl_->stop();
}
void folder::start() {
    impl_->start();
}
void folder::stop() {
    impl_->stop();
}
void folder::rescan() {
    impl_->rescan();
}

}  // namespace gatehouse::watch
