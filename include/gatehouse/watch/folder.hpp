// Tells which files of a folder changed, by name alone: inotify, and a poll where it is silent.
// Does not read them; "removed" means it was not there a moment ago, so be ready for either.
// One thread, the io_context's; listing the folder happens in the pool.
#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <gatehouse/base/units.hpp>
#include <memory>
#include <string>
#include <vector>

namespace gatehouse::watch {

enum class kind : std::uint8_t { changed, removed };
struct event {
    std::string name;
    watch::kind kind = kind::changed;
    bool operator==(const event&) const = default;
};

struct options {
    std::function<void(std::function<void()>)> run_in_pool;  // empty: listings run on the spot
    milliseconds debounce{10};  // a burst is told this long after its first event
    milliseconds vanish{150};   // how long a file must be away to be removed
    milliseconds poll{5000};    // longer when a listing takes over 1/50 of it
};

class folder {
 public:
    using callback = std::function<void(std::vector<event>)>;
    // `suffix`: ".toml", ".pem". `on_trouble`, may be empty: the folder cannot be listed, and why;
    // empty text when it can again. Files are not removed by that.
    folder(boost::asio::io_context& io, std::string path, std::string suffix, callback on_events,
           options o = {}, std::function<void(const std::string&)> on_trouble = {});
    ~folder();  // nothing is called back after this
    folder(const folder&) = delete;
    folder& operator=(const folder&) = delete;

    // What happens from now on is told; what is there already is not.
    void start();
    void stop();
    // Lists the folder now and tells what differs from the last listing.
    void rescan();

 private:
    class impl;
    std::shared_ptr<impl> impl_;
};

}  // namespace gatehouse::watch
