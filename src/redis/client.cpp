// The life of the connection: reach (through a sentinel), log in, serve, lose, wait, again. Every
// step runs in a handler of Asio's that keeps the impl, so a callback may destroy the client.
#include <netdb.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <charconv>
#include <deque>
#include <gatehouse/base/ip.hpp>
#include <gatehouse/base/text.hpp>
#include <gatehouse/redis/client.hpp>
#include <optional>
#include <random>
#include <utility>
#include <vector>

#include "connection.hpp"

namespace gatehouse::redis {

namespace asio = boost::asio;
using clock = std::chrono::steady_clock;
using server = config::redis_url::server;

namespace {

constexpr auto no_deadline = clock::time_point::max();
constexpr milliseconds sweep_pause{5};       // between two looks through what is in flight
constexpr milliseconds steady_after{1000};   // a connection that stood so long resets the back-off
constexpr std::uint64_t framing_bytes = 16;  // of one argument
constexpr std::size_t shown_max = 200;       // characters of Redis's own words

// hiredis treats these in its own way, which has no place for the answers of commands.
bool changes_connection(std::string_view name) {
    std::string word = to_lower(name);
    if (word.starts_with('p')) word.erase(0, 1);
    return word == "subscribe" || word == "unsubscribe" || word == "monitor";
}

// Errors that go away by waiting.
bool is_passing(std::string_view error) noexcept {
    return error.starts_with("LOADING") || error.starts_with("BUSY") ||
           error.starts_with("MASTERDOWN") || error.starts_with("ERR max number of clients");
}

// All addresses a name has now; blocks.
std::vector<server> look_up(const server& s, std::string& trouble) {
    constexpr std::size_t addresses_max = 16;
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICSERV;
    addrinfo* found = nullptr;
    const int rc = ::getaddrinfo(s.host.c_str(), std::to_string(s.port).c_str(), &hints, &found);
    std::vector<server> out;
    if (rc != 0) {
        trouble = s.host + ": " + ::gai_strerror(rc);
        return out;
    }
    for (const addrinfo* a = found; a != nullptr && out.size() < addresses_max; a = a->ai_next) {
        char text[NI_MAXHOST];
        if (::getnameinfo(a->ai_addr, a->ai_addrlen, text, sizeof text, nullptr, 0,
                          NI_NUMERICHOST) == 0)
            out.push_back({text, s.port});
    }
    ::freeaddrinfo(found);
    if (out.empty()) trouble = s.host + ": has no address";
    return out;
}

std::string text_of(const server& s) {
    if (s.port == 0) return "unix:" + s.host;
    const bool v6 = s.host.find(':') != s.host.npos;
    return (v6 ? '[' + s.host + ']' : s.host) + ':' + std::to_string(s.port);
}

// What a sentinel says of a master: ["192.0.2.1", "6379"].
std::optional<server> server_in(const reply& r) {
    if (r.items.size() != 2) return std::nullopt;
    const std::string& port = r.items[1].text;
    server s{r.items[0].text, 0};
    const auto [end, ec] = std::from_chars(port.data(), port.data() + port.size(), s.port);
    if (ec != std::errc{} || end != port.data() + port.size() || s.port == 0 || s.host.empty())
        return std::nullopt;
    return s;
}

}  // namespace

class client::impl : public std::enable_shared_from_this<impl> {
 public:
    impl(asio::io_context& io, options o, dependencies d)
        : io_(io),
          options_(std::move(o)),
          deps_(std::move(d)),
          attempt_timer_(io),
          sweep_timer_(io),
          random_(std::random_device{}()) {}

    void start();
    void stop();
    void send(command c, milliseconds deadline, callback done);
    bool is_up() const noexcept { return phase_ == phase::up; }

 private:
    enum class phase : std::uint8_t { waiting, asking_sentinel, connecting, up };
    enum class pace : std::uint8_t { usual, slow };
    enum class step : std::uint8_t { auth, select, name, role };

    struct flight {
        clock::time_point deadline;
        std::uint64_t bytes = 0;
        callback done;  // empty: told of its deadline, the reply is still to come
    };
    struct outcome {
        callback done;
        result<reply> value;
    };

    // --- reaching Redis ---
    void attempt();
    void reach(const server& s);
    void open(const server& s);  // its host is numeric
    void greet();
    void ask_sentinel();
    void log_in();
    void greet_with(step s, command c);
    void greeted(step s, const reply& r);
    void ready();
    void fail(const std::string& why, pace p = pace::usual);
    clock::duration next_wait(pace p);
    void tell(redis::state s, const std::string& why, pace p);
    std::string shown(const reply& error) const;

    // --- commands ---
    void progress();
    bool answered(reply r);
    void enqueue(command c, clock::time_point deadline, std::uint64_t bytes, callback done);
    void sweep();
    void sweep_at(clock::time_point when);
    void drop_link();
    void finish(flight& f, result<reply> value);
    void finish_later(callback done, errc e);
    void deliver();

    asio::io_context& io_;
    const options options_;
    const dependencies deps_;
    asio::steady_timer attempt_timer_;  // while waiting: its end; while reaching: the limit
    asio::steady_timer sweep_timer_;
    std::minstd_rand random_;

    phase phase_ = phase::waiting;
    bool started_ = false, stopped_ = false, greeted_ = false, post_pending_ = false;
    std::uint64_t attempt_ = 0;  // what was begun under an older number is dropped
    unsigned failures_ = 0;      // in a row
    std::size_t sentinel_ = 0, sentinels_asked_ = 0, address_ = 0;  // whose turn it is
    clock::time_point up_since_{};
    std::string at_;  // where the connection leads
    std::optional<redis::state> told_;
    std::string told_why_;

    std::shared_ptr<connection> link_;
    std::deque<flight> in_flight_;
    std::uint64_t bytes_in_flight_ = 0;
    clock::time_point sweep_due_ = no_deadline;
    std::deque<outcome> outcomes_;  // to be called back
};

// --- reaching Redis ---

void client::impl::start() {
    if (std::exchange(started_, true)) return;
    asio::post(io_, [self = shared_from_this()] {
        if (!self->stopped_) self->attempt();
    });
}

void client::impl::attempt() {
    const auto number = ++attempt_;
    const bool by_sentinel = !options_.url.master.empty();
    phase_ = by_sentinel ? phase::asking_sentinel : phase::connecting;
    attempt_timer_.expires_after(options_.connect_limit);
    attempt_timer_.async_wait([self = shared_from_this(), number](error_code ec) {
        if (!ec && number == self->attempt_)
            self->fail(self->at_ + ": no answer within " + to_text(self->options_.connect_limit));
    });
    if (options_.url.path.empty())
        reach(options_.url.servers[by_sentinel ? sentinel_ : 0]);
    else
        open({options_.url.path, 0});
}

void client::impl::reach(const server& s) {
    at_ = text_of(s);
    if (parse_ip(s.host)) return open(s);
    // Weak: the pool never holds the last of the impl, which belongs to this thread.
    auto job = [weak = weak_from_this(), &io = io_, number = attempt_, s] {
        std::string trouble;
        auto found = look_up(s, trouble);
        asio::post(io, [weak, number, found = std::move(found), trouble = std::move(trouble)] {
            const auto self = weak.lock();
            if (!self || number != self->attempt_) return;
            if (found.empty()) return self->fail(trouble);
            self->open(found[self->address_ % found.size()]);
        });
    };
    if (deps_.run_in_pool)
        deps_.run_in_pool(std::move(job));
    else
        job();
}

void client::impl::open(const server& s) {
    at_ = text_of(s);
    greeted_ = false;
    link_ = std::make_shared<connection>(io_, options_.reply_bytes_max, [weak = weak_from_this()] {
        if (const auto self = weak.lock()) self->progress();
    });
    if (const std::string why = link_->open(s); !why.empty()) fail(at_ + ": " + why);
}

void client::impl::greet() {
    greeted_ = true;
    if (phase_ == phase::asking_sentinel)
        ask_sentinel();
    else
        log_in();
}

void client::impl::ask_sentinel() {
    const std::string_view parts[] = {"SENTINEL", "get-master-addr-by-name", options_.url.master};
    enqueue(parts, no_deadline, 0, [this, number = attempt_](result<reply> r) {
        if (!r || number != attempt_) return;
        if (r->is_error()) return fail("the sentinel " + at_ + " answers " + shown(*r), pace::slow);
        const auto master = server_in(*r);
        if (!master) return fail("the sentinel " + at_ + " knows no master " + options_.url.master);
        drop_link();
        phase_ = phase::connecting;
        reach(*master);
    });
}

// All in one go; the answers come in order and the last one decides.
void client::impl::log_in() {
    const auto& url = options_.url;
    const std::string database = std::to_string(url.database);
    if (!url.user.empty()) {
        const std::string_view parts[] = {"AUTH", url.user, url.password.view()};
        greet_with(step::auth, parts);
    } else if (!url.password.empty()) {
        const std::string_view parts[] = {"AUTH", url.password.view()};
        greet_with(step::auth, parts);
    }
    if (url.database != 0) {
        const std::string_view parts[] = {"SELECT", database};
        greet_with(step::select, parts);
    }
    const std::string_view name[] = {"CLIENT", "SETNAME", options_.name};
    greet_with(step::name, name);
    if (!url.master.empty()) {
        const std::string_view parts[] = {"ROLE"};
        greet_with(step::role, parts);
    }
}

void client::impl::greet_with(step s, command c) {
    enqueue(c, no_deadline, 0, [this, s, number = attempt_](result<reply> r) {
        if (r && number == attempt_) greeted(s, *r);
    });
}

void client::impl::greeted(step s, const reply& r) {
    // A user may lack the right to name its connection; that much can be done without.
    const bool optional = s == step::name && !r.text.starts_with("NOAUTH") && !is_passing(r.text);
    if (r.is_error() && !optional)
        return fail(at_ + " answers " + shown(r), is_passing(r.text) ? pace::usual : pace::slow);
    if (s == step::role && (r.items.empty() || r.items[0].text != "master"))
        return fail(at_ + " is not the master of " + options_.url.master);
    if (s == (options_.url.master.empty() ? step::name : step::role)) ready();
}

void client::impl::ready() {
    phase_ = phase::up;
    up_since_ = clock::now();
    sentinels_asked_ = 0;
    ++attempt_;  // its limit may have passed in this very moment
    attempt_timer_.cancel();
    tell(state::up, at_, pace::usual);
}

void client::impl::fail(const std::string& why, pace p) {
    if (stopped_) return;
    const auto wait = next_wait(p);
    ++attempt_;
    phase_ = phase::waiting;
    drop_link();
    attempt_timer_.expires_after(wait);
    attempt_timer_.async_wait([self = shared_from_this(), number = attempt_](error_code ec) {
        if (!ec && number == self->attempt_) self->attempt();
    });
    // With another sentinel to ask at once there is nothing to tell yet.
    if (wait != clock::duration::zero()) tell(state::down, why, p);
    deliver();
}

clock::duration client::impl::next_wait(pace p) {
    const bool was_up = phase_ == phase::up;
    if (was_up && clock::now() - up_since_ >= steady_after) failures_ = 0;
    if (!was_up) {
        ++address_;
        // Another sentinel may know better; all of them are asked before there is a pause.
        const std::size_t count = options_.url.master.empty() ? 1 : options_.url.servers.size();
        sentinel_ = (sentinel_ + 1) % count;
        if (phase_ == phase::asking_sentinel && ++sentinels_asked_ < count) return {};
        sentinels_asked_ = 0;
    }
    if (p == pace::slow) return options_.backoff_max;
    constexpr unsigned doublings_max = 16;
    const milliseconds whole = std::min(
        options_.backoff_max, options_.backoff_min * (1 << std::min(failures_, doublings_max)));
    ++failures_;
    const std::int64_t half = whole.count() / 2;
    return milliseconds(whole.count() -
                        std::uniform_int_distribution<std::int64_t>(0, half)(random_));
}

void client::impl::tell(redis::state s, const std::string& why, pace p) {
    if (told_ == s && !(p == pace::slow && why != told_why_)) return;
    told_ = s;
    told_why_ = why;
    if (deps_.on_state) deps_.on_state(s, why);
}

// Redis repeats the arguments of a command it does not know.
std::string client::impl::shown(const reply& error) const {
    const auto& url = options_.url;
    const bool secret = !url.password.empty() && error.text.find(url.password.view()) != error.text.npos;
    return secret ? error.text.substr(0, std::min(error.text.find(' '), error.text.find('\'')))
                  : error.text.substr(0, shown_max);
}

// --- commands ---

void client::impl::progress() {
    const auto link = link_;  // outlives its end in here
    if (!link) return;
    if (link->connected() && !link->ended() && !greeted_) greet();
    bool demoted = false;
    for (reply& r : link->take_replies())
        demoted = answered(std::move(r)) || demoted;
    if (link->ended()) {
        if (link->ended_by_size() && !in_flight_.empty())
            finish(in_flight_.front(), error_code(errc::too_large));
        return fail(at_ + ": " + link->why());
    }
    if (demoted) return fail(at_ + " is not the master any more");
    deliver();
}

// Whether the reply says that this is not the sentinels' master.
bool client::impl::answered(reply r) {
    if (in_flight_.empty()) return false;
    flight f = std::move(in_flight_.front());
    in_flight_.pop_front();
    bytes_in_flight_ -= f.bytes;
    const bool demoted =
        is_up() && !options_.url.master.empty() && r.is_error() && r.text.starts_with("READONLY");
    finish(f, std::move(r));
    return demoted;
}

void client::impl::send(command c, milliseconds deadline, callback done) {
    if (stopped_) return;
    if (!is_up() || c.empty() || changes_connection(c[0]))
        return finish_later(std::move(done), errc::refused);
    std::uint64_t bytes = 0;
    for (const std::string_view part : c)
        bytes += part.size() + framing_bytes;
    if (bytes_in_flight_ + bytes > options_.bytes_in_flight_max ||
        in_flight_.size() >= options_.commands_in_flight_max)
        return finish_later(std::move(done), errc::too_large);
    enqueue(c, clock::now() + deadline, bytes, std::move(done));
}

void client::impl::enqueue(command c, clock::time_point deadline, std::uint64_t bytes,
                           callback done) {
    if (!link_->write(c)) return finish_later(std::move(done), errc::refused);
    in_flight_.push_back({deadline, bytes, std::move(done)});
    bytes_in_flight_ += bytes;
    if (deadline < sweep_due_) sweep_at(deadline);
}

void client::impl::sweep_at(clock::time_point when) {
    sweep_due_ = when;
    sweep_timer_.expires_at(when);
    sweep_timer_.async_wait([self = shared_from_this()](error_code ec) {
        if (!ec && !self->stopped_) self->sweep();
    });
}

void client::impl::sweep() {
    const auto now = clock::now();
    sweep_due_ = no_deadline;
    auto next = no_deadline;
    for (flight& f : in_flight_) {
        if (f.deadline <= now)
            finish(f, error_code(errc::timeout));
        else
            next = std::min(next, f.deadline);
    }
    if (!in_flight_.empty() && in_flight_.front().deadline <= now)
        return fail(at_ + ": a command was not answered within its deadline");
    if (next != no_deadline) sweep_at(std::max<clock::time_point>(next, now + sweep_pause));
    deliver();
}

void client::impl::drop_link() {
    if (link_) std::exchange(link_, nullptr)->close();
    for (flight& f : in_flight_)
        finish(f, error_code(errc::cancelled));
    in_flight_.clear();
    bytes_in_flight_ = 0;
    sweep_timer_.cancel();
    sweep_due_ = no_deadline;
}

void client::impl::finish(flight& f, result<reply> value) {
    if (f.done) outcomes_.push_back({std::exchange(f.done, nullptr), std::move(value)});
}

void client::impl::finish_later(callback done, errc e) {
    outcomes_.push_back({std::move(done), error_code(e)});
    if (std::exchange(post_pending_, true)) return;
    asio::post(io_, [self = shared_from_this()] {
        self->post_pending_ = false;
        self->deliver();
    });
}

// What the callbacks add is for the next time, so that one which tries again at once cannot hold
// the thread.
void client::impl::deliver() {
    for (std::size_t n = outcomes_.size(); n > 0 && !outcomes_.empty(); --n) {
        outcome o = std::move(outcomes_.front());
        outcomes_.pop_front();
        o.done(std::move(o.value));
    }
}

void client::impl::stop() {
    if (std::exchange(stopped_, true)) return;
    ++attempt_;
    phase_ = phase::waiting;
    attempt_timer_.cancel();
    drop_link();
    for (outcome& o : std::exchange(outcomes_, {}))
        o.done(error_code(errc::cancelled));
}

client::client(asio::io_context& io, options o, dependencies d)
    : impl_(std::make_shared<impl>(io, std::move(o), std::move(d))) {}
client::~client() {
    impl_->stop();
}
void client::start() {
    impl_->start();
}
bool client::is_up() const noexcept {
    return impl_->is_up();
}
void client::send(command c, milliseconds deadline, callback done) {
    impl_->send(c, deadline, std::move(done));
}

}  // namespace gatehouse::redis
