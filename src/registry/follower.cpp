// One lane, as the publisher's: what changed is read from Redis, taken into the copy in the pool, and
// only then does the next begin. A change is a key; what it is now is what Redis says now, so that
// neither order nor repetition matters. Changes of the stream go before what is being compared.
#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/json/serialize.hpp>
#include <charconv>
#include <ctime>
#include <gatehouse/base/log.hpp>
#include <gatehouse/base/text.hpp>
#include <gatehouse/registry/follower.hpp>
#include <set>

#include "followed_copy.hpp"
#include "followed_settings.hpp"
#include "tenant_loads.hpp"

namespace gatehouse::registry {

namespace asio = boost::asio;
namespace json = boost::json;

namespace {

constexpr milliseconds deadline{5000}, ask_deadline{1000}, beat_deadline{2000}, stream_block{5000}, stream_deadline{8000};
constexpr std::chrono::seconds heartbeat_every{5}, heartbeat_lives{15}, retry_after{2};
constexpr std::int64_t heard_stored_every_s = 60;
constexpr std::int64_t ask_anew_later_s = 30;   // Redis had nothing better
constexpr std::size_t keys_a_job = 200, entries_a_read = 1000, scan_count = 1000;
constexpr std::size_t refused_kept = 1000, refused_shown = 20, doubtful_most = 1000;

std::uint64_t number_of(std::string_view text) noexcept {
    std::uint64_t n = 0;
    std::from_chars(text.data(), text.data() + text.size(), n);
    return n;
}

// "1700000000000-3"
struct stream_id {
    std::uint64_t ms = 0, sequence = 0;
    auto operator<=>(const stream_id&) const = default;
};
stream_id parse_id(std::string_view text) noexcept {
    const auto dash = std::min(text.find('-'), text.size());
    return {.ms = number_of(text.substr(0, dash)), .sequence = number_of(text.substr(std::min(dash + 1, text.size())))};
}

bool is_followed(std::string_view key) noexcept {
    return key.starts_with("tenant:") || key.starts_with("host:") || key.starts_with("cert:") || key == "platform";
}

// What a publisher says of itself.
struct publisher_said {
    std::string registry, node;
    std::uint64_t epoch = 0;
    bool complete = false;
};

// The id of the first entry of what XRANGE and XREVRANGE answer.
std::string first_id(const redis::reply& r) {
    return r.items.empty() || r.items.front().items.empty() ? std::string() : r.items.front().items.front().text;
}

void add_hosts(std::string_view list, std::set<std::string>& keys) {
    while (!list.empty()) {
        const auto space = std::min(list.find(' '), list.size());
        if (space > 0) keys.insert("host:" + std::string(list.substr(0, space)));
        list.remove_prefix(std::min(space + 1, list.size()));
    }
}

}  // namespace

std::string_view name(following f) noexcept {
    switch (f) {
        case following::away:
            return "away";
        case following::reading:
            return "reading";
        case following::waiting:
            return "waiting";
        case following::current:
            return "current";
    }
    return {};
}

class follower::impl : public std::enable_shared_from_this<impl> {
 public:
    impl(options o, dependencies d);

    bool open(std::string& why);
    std::optional<config::settings> platform_settings(const config::settings& own, const region_keys& keys,
                                                      std::string& why) const;
    void set_identity(const config::settings& own, const region_keys& keys);
    void set_ready() { loads_->set_ready(); }
    void start();
    void stop();
    follower_status status() const;
    void load(std::string key, std::function<void(answer)> done);
    void read_certificate(const std::string& name, std::function<void(followed_certificate)> done);

 private:
    template <class F>
    auto mine(F f) {
        return [weak = weak_from_this(), turn = turn_, f = std::move(f)](auto&&... arguments) mutable {
            const auto self = weak.lock();
            if (self && !self->stopped_ && self->turn_ == turn) f(*self, std::forward<decltype(arguments)>(arguments)...);
        };
    }
    std::string key(std::string_view rest) const { return options_.prefix + ':' + std::string(rest); }
    struct get_command {
        std::vector<std::string> words;
        std::vector<std::string_view> views;
    };
    get_command get_all(const std::vector<std::string>& keys) const {
        get_command c{.words = {"MGET"}, .views = {}};
        for (const std::string& k : keys)
            c.words.push_back(key(k));
        c.views.assign(c.words.begin(), c.words.end());
        return c;
    }
    std::string files_dir() const { return options_.state_dir + "/followed"; }
    identity_ptr identity() const {
        const std::lock_guard lock(identity_mutex_);
        return identity_;
    }
    // Runs what went wrong through lost(); `f` gets the good reply.
    template <class F>
    auto good(F f) {
        return mine([f = std::move(f)](impl& self, result<redis::reply> r) mutable {
            if (!r) return self.lost(r.error().message());
            if (r->is_error()) return self.lost(r->text);
            f(self, std::move(*r));
        });
    }

    void on_redis(redis::state s, const std::string& why);
    void lost(const std::string& why);
    bool read_names();
    void make_copy_anew();
    void forget_names();
    void begin();
    void began(const std::string& last);
    template <class F>
    void ask_for_publisher(milliseconds within, F then) {
        commands_->send({"HMGET", key("publisher"), "epoch", "complete", "registry", "node"}, within, std::move(then));
    }
    void heard(const redis::reply& publisher);
    void read_stream();
    void take_entries(const redis::reply& r);
    void take_entry(const redis::reply& fields);
    void compare_all();

    void step();
    void scan();
    void look_for_gone();
    void compared();
    void fetch(std::vector<std::string> keys, bool ends_batch);
    void fetched(std::vector<std::string> keys, redis::reply values, bool ends_batch);
    void apply(std::vector<followed_value> values, store::mirror_mark m);
    void applied(std::uint64_t turn, const std::vector<std::string>& keys, followed_copy::outcome o, const store::mirror_mark& m);
    bool lane_takes(const followed_copy::outcome& o, const store::mirror_mark& m);
    void take_changes(const std::vector<std::pair<std::string, bool>>& changed, bool in_turn);
    void go_on();
    void take_change(const std::string& key, bool there);
    void note_refused(const std::vector<std::string>& keys, const std::vector<std::pair<std::string, std::string>>& refused);
    void ask_redis(const std::vector<std::string>& keys, std::function<void(std::optional<tenant_loads::values>)> done);
    void certificate_from(const std::string& name, const std::optional<std::string>& text, const follower_identity& who,
                          const std::function<void(followed_certificate)>& done) const;
    void note_doubtful(const std::vector<std::string>& keys) const;
    void ask_anew();
    void answered(const std::vector<std::string>& keys, bool helped);

    void settle_state();
    void set_state(following f, std::string why);
    void beat();
    void tell_fleet();
    void look_at_publisher(const redis::reply& r);
    void tick();

    const options options_;
    const dependencies deps_;
    const std::shared_ptr<followed_copy> copy_ = std::make_shared<followed_copy>();
    std::shared_ptr<tenant_loads> loads_;
    tenant::host_index hosts_, ids_;
    mutable std::mutex identity_mutex_, doubtful_mutex_;
    identity_ptr identity_;
    mutable std::set<std::string> doubtful_;   // keys under which the copy has what cannot be right
    bool asking_anew_ = false;
    std::int64_t ask_anew_from_s_ = 0;

    std::unique_ptr<redis::client> commands_, stream_;
    asio::steady_timer retry_, beat_, tick_;
    bool stopped_ = false, busy_ = false, reading_stream_ = false;
    std::uint64_t turn_ = 0;
    following state_ = following::away;
    std::string why_ = "not connected yet", trouble_;
    publisher_said publisher_;
    store::mirror_mark mark_;

    std::set<std::string> pending_;   // keys of the stream's last entries
    std::string batch_end_;           // the last of these; empty: all are in
    std::uint64_t batch_revision_ = 0;
    bool scanning_ = false, scan_listed_ = false, scan_ends_ = false, scan_wanted_ = false;
    std::string cursor_;
    std::vector<std::string> scan_keys_;
    std::vector<std::uint64_t> seen_;  // hashes of keys
    std::uint64_t scan_epoch_ = 0;
    bool scan_complete_ = false;
    std::size_t keys_a_job_ = keys_a_job;

    std::map<std::string, std::string> refused_;
    std::uint64_t taken_ = 0;
    std::int64_t last_current_s_ = 0, heard_stored_s_ = 0, started_s_ = std::time(nullptr);
    bool expired_ = false;
};

follower::impl::impl(options o, dependencies d)
    : options_(std::move(o)), deps_(std::move(d)), retry_(deps_.control), beat_(deps_.control), tick_(deps_.control) {}

// --- start ---

bool follower::impl::open(std::string& why) {
    if (!copy_->open(options_.state_dir, why)) return false;
    mark_ = copy_->mark();
    if (!read_names()) {
        why = "state_dir/mirror.db cannot be read";
        if (!copy_->is_damaged() || !copy_->begin_anew(why)) return false;
        why.clear();
        mark_ = copy_->mark();
        read_names();
    }
    last_current_s_ = mark_.heard_s;
    deps_.directory.set_names(&hosts_, &ids_);
    loads_ = std::make_shared<tenant_loads>(
        tenant_loads::dependencies{.control = deps_.control,
                                   .run_in_pool = deps_.run_in_pool,
                                   .directory = deps_.directory,
                                   .after_publish = deps_.after_publish,
                                   .copy = copy_,
                                   .ask = [weak = weak_from_this()](const std::vector<std::string>& keys, auto done) {
                                       if (const auto self = weak.lock()) self->ask_redis(keys, std::move(done));
                                   },
                                   .is_nobodys = [this](std::string_view host) { return !hosts_.has(host); },
                                   .doubtful = [this](const std::vector<std::string>& keys) { note_doubtful(keys); }},
        options_.cache_tenants, files_dir());
    loads_->set_whole(mark_.whole);
    return true;
}

// False: the copy is damaged, and what it has is not to be trusted to be all.
bool follower::impl::read_names() {
    const auto read = [this](std::string_view prefix, tenant::host_index& into) {
        std::vector<std::string> names;
        const bool all = copy_->for_each_key(prefix, [&](std::string_view key) { names.emplace_back(key.substr(prefix.size())); });
        into.replace({names.begin(), names.end()});
        into.set_open(!mark_.whole);
        return all;
    };
    const bool hosts = read("host:", hosts_), ids = read("tenant:", ids_);
    return hosts && ids;
}

std::optional<config::settings> follower::impl::platform_settings(const config::settings& own, const region_keys& keys,
                                                                  std::string& why) const {
    const auto text = copy_->find("platform");
    if (!text.value) return std::nullopt;
    auto all = followed_settings(*text.value, own, keys, files_dir(), why);
    if (!all) note_doubtful({"platform"});
    return all;
}

void follower::impl::set_identity(const config::settings& own, const region_keys& keys) {
    const auto ring = keys.find(own.node.region);
    const auto before = identity();
    const auto fresh = std::make_shared<const follower_identity>(
        follower_identity{.region = own.node.region, .keys = ring->second, .own = own});
    {
        const std::lock_guard lock(identity_mutex_);
        identity_ = fresh;
    }
    loads_->set_identity(fresh);
    if (!before) return;
    if (before->region != fresh->region) loads_->renew_all();
    if (!refused_.empty()) compare_all();
}

void follower::impl::start() {
    const auto connect = [this](bool stream) {
        redis::options o = options_.redis;
        if (stream) o.name += "-changes";
        redis::client::dependencies d;
        d.run_in_pool = deps_.run_in_pool;
        d.on_state = [weak = weak_from_this()](redis::state s, const std::string& why) {
            if (const auto self = weak.lock(); self && !self->stopped_) self->on_redis(s, why);
        };
        return std::make_unique<redis::client>(deps_.control, std::move(o), std::move(d));
    };
    commands_ = connect(false);
    stream_ = connect(true);
    commands_->start();
    stream_->start();
    beat();
    tick();
}

void follower::impl::stop() {
    if (std::exchange(stopped_, true)) return;
    ++turn_;
    for (auto* timer : {&retry_, &beat_, &tick_})
        timer->cancel();
    if (loads_) loads_->stop();
    commands_.reset();
    stream_.reset();
}

// --- Redis comes and goes ---

void follower::impl::on_redis(redis::state s, const std::string& why) {
    if (s == redis::state::down) return lost(why);
    if (commands_->is_up() && stream_->is_up()) begin();
}

// What was under way is begun anew: the copy's mark says from where.
void follower::impl::lost(const std::string& why) {
    ++turn_;
    busy_ = reading_stream_ = scanning_ = asking_anew_ = false;
    pending_.clear();
    batch_end_.clear();
    scan_keys_.clear();
    set_state(following::away, why);
    // Redis is there and did not do it: again after a while.
    if (!commands_ || !stream_ || !commands_->is_up() || !stream_->is_up()) return;
    retry_.expires_after(retry_after);
    retry_.async_wait(mine([](impl& self, const error_code& ec) {
        if (!ec && self.commands_->is_up() && self.stream_->is_up()) self.begin();
    }));
}

void follower::impl::begin() {
    ++turn_;
    busy_ = true;
    ask_for_publisher(deadline, good([](impl& self, const redis::reply& r) { self.heard(r); }));
    commands_->send({"XREVRANGE", key("changes"), "+", "-", "COUNT", "1"}, deadline,
                    good([](impl& self, const redis::reply& r) { self.began(first_id(r)); }));
}

// What is in memory is served on; the rest is asked of Redis until it is here again.
void follower::impl::make_copy_anew() {
    busy_ = true;
    deps_.run_in_pool([weak = weak_from_this(), copy = copy_, &control = deps_.control] {
        std::string why;
        const bool damaged = copy->is_damaged();
        if (damaged && copy->begin_anew(why)) why.clear();
        asio::post(control, [weak, damaged, why] {
            const auto self = weak.lock();
            if (!self || self->stopped_) return;
            if (damaged) self->forget_names();
            if (!why.empty()) return self->lost(why);
            if (damaged) self->trouble_.clear();  // the old one's
            if (self->commands_->is_up() && self->stream_->is_up()) self->begin();
        });
    });
}

void follower::impl::forget_names() {
    mark_ = copy_->mark();
    loads_->set_whole(false);
    for (auto* index : {&hosts_, &ids_}) {
        index->replace({});
        index->set_open(true);
        deps_.directory.retire(index->take_retired());
    }
    deps_.after_publish();
}

void follower::impl::heard(const redis::reply& r) {
    if (r.items.size() < 4) return;
    publisher_ = {.registry = r.items[2].text,
                  .node = r.items[3].text,
                  .epoch = number_of(r.items[0].text),
                  .complete = r.items[1].text == "1"};
}

// Whether the stream goes on where the copy ends is seen with its next entries; whether it is another
// stream, now.
void follower::impl::began(const std::string& last) {
    busy_ = false;
    tell_fleet();
    if (copy_->is_damaged() && publisher_.complete) return make_copy_anew();
    const bool another = publisher_.registry != mark_.registry || parse_id(last) < parse_id(mark_.stream);
    if (another && !(publisher_.registry.empty() && last.empty() && mark_.whole)) {
        mark_.stream = last.empty() ? "0-0" : last;
        mark_.registry.clear();  // until everything was compared, should that be broken off
        scan_wanted_ = true;
    }
    if (last.empty()) mark_.stream = "0-0";
    if (!mark_.whole) scan_wanted_ = true;
    if (scan_wanted_ && publisher_.complete) return compare_all();
    settle_state();
    step();
    read_stream();
}

void follower::impl::compare_all() {
    if (!commands_ || !commands_->is_up() || !stream_->is_up() || publisher_.registry.empty()) {
        scan_wanted_ = true;
        return;
    }
    scan_wanted_ = false;
    scanning_ = true;
    scan_listed_ = scan_ends_ = false;
    cursor_ = "0";
    scan_keys_ = {"platform"};  // first: tenants wait for it
    seen_.clear();
    scan_epoch_ = publisher_.epoch;
    scan_complete_ = publisher_.complete;
    settle_state();
    read_stream();
    step();
}

// --- the stream ---

void follower::impl::read_stream() {
    if (reading_stream_ || !batch_end_.empty() || !stream_->is_up()) return;
    reading_stream_ = true;
    stream_->send({"XREAD", "COUNT", std::to_string(entries_a_read), "BLOCK", std::to_string(stream_block.count()), "STREAMS",
                   key("changes"), mark_.stream},
                  stream_deadline, good([](impl& self, const redis::reply& r) {
                      self.reading_stream_ = false;
                      self.take_entries(r);
                  }));
}

// [[stream, [[id, [field, value, ...]], ...]]]; nil: none came.
void follower::impl::take_entries(const redis::reply& r) {
    if (r.items.empty() || r.items.front().items.size() < 2) {
        // Nothing waits that would show it: whether the copy takes anything again is tried.
        if (!trouble_.empty() && !busy_ && !scanning_) return apply({}, mark_);
        return read_stream();
    }
    batch_revision_ = mark_.revision;
    for (const redis::reply& entry : r.items.front().items[1].items) {
        if (entry.items.size() < 2) continue;
        batch_end_ = entry.items[0].text;
        take_entry(entry.items[1]);
    }
    step();
}

void follower::impl::take_entry(const redis::reply& fields) {
    std::string op, id;
    for (std::size_t i = 0; i + 1 < fields.items.size(); i += 2) {
        const std::string& field = fields.items[i].text;
        const std::string& value = fields.items[i + 1].text;
        if (field == "op") op = value;
        if (field == "id") id = value;
        if (field == "add" || field == "drop") add_hosts(value, pending_);
        if (field == "revision") batch_revision_ = number_of(value);
    }
    if (op == "upsert" || op == "remove") pending_.insert("tenant:" + id);
    if (op == "cert") pending_.insert("cert:" + id);
    if (op == "platform") pending_.insert(op);
}

// --- the lane ---

void follower::impl::step() {
    if (busy_ || stopped_) return;
    if (!pending_.empty() || !batch_end_.empty()) {
        std::vector<std::string> keys;
        while (!pending_.empty() && keys.size() < keys_a_job_)
            keys.push_back(pending_.extract(pending_.begin()).value());
        return fetch(std::move(keys), pending_.empty() && !batch_end_.empty());
    }
    if (!scanning_) return;
    if (!scan_keys_.empty()) {
        std::vector<std::string> keys;
        while (!scan_keys_.empty() && keys.size() < keys_a_job_) {
            keys.push_back(std::move(scan_keys_.back()));
            scan_keys_.pop_back();
        }
        return fetch(std::move(keys), false);
    }
    if (scan_ends_) return compared();
    if (scan_listed_) return look_for_gone();
    scan();
}

void follower::impl::scan() {
    busy_ = true;
    commands_->send({"SCAN", cursor_, "MATCH", key("*"), "COUNT", std::to_string(scan_count)}, deadline,
                    good([](impl& self, const redis::reply& r) {
                        self.busy_ = false;
                        if (r.items.size() < 2) return self.lost("an answer that is none");
                        for (const redis::reply& one : r.items[1].items) {
                            std::string rest = one.text.substr(std::min(self.options_.prefix.size() + 1, one.text.size()));
                            if (!is_followed(rest)) continue;
                            self.seen_.push_back(hash_text(rest));
                            self.scan_keys_.push_back(std::move(rest));
                        }
                        self.cursor_ = r.items[0].text;
                        self.scan_listed_ = self.cursor_ == "0";
                        self.step();
                    }));
}

// What the copy has and the scan has not seen is asked for by name.
void follower::impl::look_for_gone() {
    busy_ = true;
    auto seen = std::make_shared<std::vector<std::uint64_t>>(std::move(seen_));
    seen_ = {};
    deps_.run_in_pool([copy = copy_, seen, &control = deps_.control,
                       then = mine([](impl& self, std::vector<std::string>& gone) {
                           self.busy_ = false;
                           self.scan_keys_ = std::move(gone);
                           self.scan_ends_ = true;
                           self.step();
                       })] {
        std::sort(seen->begin(), seen->end());
        std::vector<std::string> gone;
        for (const char* prefix : {"cert:", "host:", "platform", "tenant:"})
            copy->for_each_key(prefix, [&](std::string_view key) {
                if (!std::binary_search(seen->begin(), seen->end(), hash_text(key))) gone.emplace_back(key);
            });
        asio::post(control, [then, gone = std::move(gone)]() mutable { then(gone); });
    });
}

void follower::impl::compared() {
    scanning_ = false;
    if (!scan_complete_ || !publisher_.complete || publisher_.epoch != scan_epoch_) {
        scan_wanted_ = true;  // with the publisher's next `complete`
        if (publisher_.complete) return compare_all();
        return settle_state();
    }
    if (!mark_.whole) log::info("redis: this node has the whole registry of {} (epoch {}): {} hosts", publisher_.node,
                                publisher_.epoch, hosts_.size());
    store::mirror_mark m = mark_;
    m.whole = true;
    m.registry = publisher_.registry;
    m.epoch = publisher_.epoch;
    apply({}, m);
}

void follower::impl::fetch(std::vector<std::string> keys, bool ends_batch) {
    busy_ = true;
    auto values = std::make_shared<redis::reply>();
    if (!keys.empty())
        commands_->send(get_all(keys).views, deadline, mine([values, keys](impl& self, result<redis::reply> r) {
                        if (!r && r.error() == errc::too_large && keys.size() > 1) {
                            // Documents this large come one at a time; the connection begins anew.
                            self.keys_a_job_ = 1;
                        }
                        if (!r) return self.lost(r.error().message());
                        if (r->is_error()) return self.lost(r->text);
                        *values = std::move(*r);
                    }));
    ask_for_publisher(deadline, good([](impl& self, const redis::reply& r) { self.heard(r); }));
    commands_->send({"XRANGE", key("changes"), "-", "+", "COUNT", "1"}, deadline,
                    good([values, keys = std::move(keys), ends_batch](impl& self, const redis::reply& r) mutable {
                        // Entries between where we were and the stream's first are lost.
                        if (ends_batch && parse_id(first_id(r)) > parse_id(self.mark_.stream)) self.scan_wanted_ = true;
                        self.fetched(std::move(keys), std::move(*values), ends_batch);
                    }));
}

void follower::impl::fetched(std::vector<std::string> keys, redis::reply found, bool ends_batch) {
    std::vector<followed_value> values;
    for (std::size_t i = 0; i < keys.size() && i < found.items.size(); ++i) {
        redis::reply& r = found.items[i];
        const bool there = r.kind == redis::kind::text;
        values.push_back({.key = std::move(keys[i]), .value = there ? std::optional(std::move(r.text)) : std::nullopt});
    }
    store::mirror_mark m = mark_;
    if (ends_batch) {
        m.stream = batch_end_;
        m.revision = batch_revision_;
    }
    m.heard_s = std::time(nullptr);
    if (m.whole) m.epoch = publisher_.epoch;
    if (scan_wanted_) m.whole = false;
    apply(std::move(values), m);
}

void follower::impl::apply(std::vector<followed_value> values, store::mirror_mark m) {
    busy_ = true;
    std::vector<std::string> keys;
    for (const followed_value& v : values)
        keys.push_back(v.key);
    auto shared = std::make_shared<std::vector<followed_value>>(std::move(values));
    store::mirror_mark stored = m;
    if (!refused_.empty()) stored.registry.clear();  // a restart is to compare everything
    deps_.run_in_pool([weak = weak_from_this(), turn = turn_, copy = copy_, shared, m, stored, keys, counts = publisher_.complete,
                       who = identity(), &control = deps_.control] {
        auto o = copy->apply(std::move(*shared), counts, *who, stored);
        asio::post(control, [weak, turn, keys, o = std::move(o), m]() mutable {
            const auto self = weak.lock();
            if (self && !self->stopped_) self->applied(turn, keys, std::move(o), m);
        });
    });
}

// What the copy has taken comes into force whatever has become of the lane meanwhile: it is not told
// again.
void follower::impl::applied(std::uint64_t turn, const std::vector<std::string>& keys, followed_copy::outcome o,
                             const store::mirror_mark& m) {
    if (turn == turn_ && !lane_takes(o, m)) return;
    note_refused(keys, o.refused);
    if (o.trouble.empty()) answered(keys, !o.changed.empty());
    taken_ += o.changed.size();
    const bool platform = std::any_of(o.changed.begin(), o.changed.end(), [](const auto& c) { return c.first == "platform"; });
    auto then = [weak = weak_from_this(), turn, changed = std::move(o.changed)] {
        const auto self = weak.lock();
        if (!self || self->stopped_) return;
        self->take_changes(changed, turn == self->turn_);
        if (turn == self->turn_) self->go_on();
    };
    // Tenants may name what came with it.
    if (platform) return deps_.on_platform(std::move(then));
    then();
}

// Late ones (not `in_turn`) may have been overtaken: a name too many is found out when it is asked for, one
// too few would be 404.
void follower::impl::take_changes(const std::vector<std::pair<std::string, bool>>& changed, bool in_turn) {
    for (const auto& [key, there] : changed)
        if (there || in_turn || key.starts_with("cert:")) take_change(key, there);
    for (auto* index : {&hosts_, &ids_}) {
        index->set_open(!mark_.whole && index->is_open());
        deps_.directory.retire(index->take_retired());
    }
    loads_->set_whole(mark_.whole);
    loads_->changed(changed);
    deps_.after_publish();
}

// False: it could not be stored, and the lane begins anew after a while.
bool follower::impl::lane_takes(const followed_copy::outcome& o, const store::mirror_mark& m) {
    if (!o.trouble.empty()) {
        if (trouble_ != o.trouble) log::error("redis: changes wait, as they cannot be stored: {}", o.trouble);
        trouble_ = o.trouble;
        lost(o.trouble);
        return false;
    }
    keys_a_job_ = std::min(keys_a_job, keys_a_job_ * 2);
    mark_ = m;
    heard_stored_s_ = m.heard_s;
    if (parse_id(batch_end_) == parse_id(m.stream)) batch_end_.clear();
    // A part that had room says nothing of the rest.
    if (!scanning_ && pending_.empty() && batch_end_.empty()) trouble_.clear();
    scan_wanted_ = scan_wanted_ || o.doubted;
    return true;
}

void follower::impl::go_on() {
    busy_ = false;
    if (scan_wanted_ && publisher_.complete && !scanning_ && pending_.empty()) return compare_all();
    settle_state();
    read_stream();
    step();
}

void follower::impl::take_change(const std::string& key, bool there) {
    const auto colon = std::min(key.find(':'), key.size());
    const std::string_view kind = std::string_view(key).substr(0, colon);
    const std::string rest = key.substr(std::min(colon + 1, key.size()));
    if (kind == "platform") return;
    if (kind == "cert") return deps_.on_certificate(rest);
    tenant::host_index& index = kind == "host" ? hosts_ : ids_;
    if (there)
        index.insert(rest);
    else
        index.erase(rest);
}

void follower::impl::note_refused(const std::vector<std::string>& keys,
                                  const std::vector<std::pair<std::string, std::string>>& refused) {
    std::map<std::string, std::string> before;
    for (const std::string& k : keys)
        if (auto node = refused_.extract(k)) before.insert(std::move(node));
    for (const auto& [k, why] : refused) {
        if (const auto known = before.find(k); known == before.end() || known->second != why) {
            static log::limiter limiter{refused_shown, 60};
            std::uint64_t suppressed = 0;
            if (limiter.allow(&suppressed)) log::error("redis: {} is not taken, what this node has stays: {}", key(k), why);
        }
        if (refused_.size() < refused_kept) refused_[k] = why;
    }
}

// --- who asks for what the copy has not ---

void follower::impl::ask_redis(const std::vector<std::string>& keys,
                               std::function<void(std::optional<tenant_loads::values>)> done) {
    if (!commands_ || !commands_->is_up()) return done(std::nullopt);
    // What is not there counts only when everything is.
    auto values = std::make_shared<std::optional<redis::reply>>();
    commands_->send(get_all(keys).views, ask_deadline, [values](result<redis::reply> r) {
        if (r && !r->is_error()) *values = std::move(*r);
    });
    commands_->send({"HGET", key("publisher"), "complete"}, ask_deadline,
                    [values, keys, done = std::move(done)](const result<redis::reply>& complete) {
                        if (!*values || !complete || (*values)->items.size() != keys.size()) return done(std::nullopt);
                        tenant_loads::values out;
                        for (std::size_t i = 0; i < keys.size(); ++i) {
                            redis::reply& r = (*values)->items[i];
                            const bool there = r.kind == redis::kind::text;
                            if (!there && complete->text != "1") return done(std::nullopt);
                            out.push_back({.key = keys[i], .value = there ? std::optional(std::move(r.text)) : std::nullopt});
                        }
                        done(std::move(out));
                    });
}

// SQLite sees damage of its own structure alone: a value whose bytes were spoiled is whole to it.
void follower::impl::note_doubtful(const std::vector<std::string>& keys) const {
    const std::lock_guard lock(doubtful_mutex_);
    for (const std::string& k : keys)
        if (doubtful_.size() < doubtful_most) doubtful_.insert(k);
}

// Changes of the stream go first. What Redis has is taken where it differs and can be read.
void follower::impl::ask_anew() {
    if (state_ != following::current || busy_ || !pending_.empty() || !batch_end_.empty()) return;
    if (std::time(nullptr) < ask_anew_from_s_) return;
    {
        const std::lock_guard lock(doubtful_mutex_);
        if (doubtful_.empty()) return;
        pending_ = doubtful_;
    }
    asking_anew_ = true;
    step();
}

void follower::impl::answered(const std::vector<std::string>& keys, bool helped) {
    {
        const std::lock_guard lock(doubtful_mutex_);
        for (const std::string& k : keys)
            doubtful_.erase(k);
    }
    if (std::exchange(asking_anew_, false) && !helped) ask_anew_from_s_ = std::time(nullptr) + ask_anew_later_s;
}

void follower::impl::load(std::string key, std::function<void(answer)> done) {
    asio::post(deps_.control, [weak = weak_from_this(), key = std::move(key), done = std::move(done)]() mutable {
        const auto self = weak.lock();
        if (!self || self->stopped_ || !self->loads_) return done(answer::unavailable);
        self->loads_->load(key, std::move(done));
    });
}

void follower::impl::certificate_from(const std::string& name, const std::optional<std::string>& text,
                                      const follower_identity& who,
                                      const std::function<void(followed_certificate)>& done) const {
    using kind = followed_certificate::kind;
    if (!text) return done({.what = kind::none, .error = {}, .pem = {}});
    certificate_reading r = registry::read_certificate(*text, name, who.reader());
    followed_certificate out{.what = kind::found, .error = {}, .pem = {}};
    if (r.what == reading::whole) {
        out.pem.append(r.document.chain).append(r.document.key.view());
    } else if (r.what == reading::elsewhere) {
        out.error = fmt::format("certificate {}: its key is for another region alone", name);
    } else {
        out.error = fmt::format("certificate {} {}", name, r.why);
        if (r.what == reading::refused) note_doubtful({"cert:" + name});
    }
    done(std::move(out));
}

void follower::impl::read_certificate(const std::string& name, std::function<void(followed_certificate)> done) {
    using kind = followed_certificate::kind;
    deps_.run_in_pool([self = shared_from_this(), name, done = std::move(done)]() mutable {
        const identity_ptr who = self->identity();
        const auto found = self->copy_->find("cert:" + name);
        if (found.value || (self->copy_->mark().whole && found.readable))
            return self->certificate_from(name, found.value, *who, done);
        asio::post(self->deps_.control, [self, name, who, done = std::move(done)]() mutable {
            if (self->stopped_) return done({.what = kind::unavailable, .error = {}, .pem = {}});
            self->ask_redis({"cert:" + name}, [self, name, who, done = std::move(done)](std::optional<tenant_loads::values> got) {
                if (!got || !who) return done({.what = kind::unavailable, .error = {}, .pem = {}});
                self->deps_.run_in_pool([self, name, who, done, text = std::move(got->front().value)] {
                    self->certificate_from(name, text, *who, done);
                });
            });
        });
    });
}

// --- what others are told ---

void follower::impl::settle_state() {
    if (!commands_ || !commands_->is_up() || !stream_->is_up()) return;
    // What waits makes this node older, though Redis is there.
    if (!trouble_.empty()) return set_state(following::away, trouble_);
    if (scanning_) return set_state(following::reading, {});
    if (publisher_.registry.empty()) return set_state(following::waiting, "nobody publishes the registry in this Redis");
    if (!mark_.whole)
        return set_state(following::waiting, fmt::format("{} has not published the whole registry yet", publisher_.node));
    set_state(following::current, {});
}

void follower::impl::set_state(following f, std::string why) {
    const bool other = f != state_ || why != why_;
    state_ = f;
    why_ = std::move(why);
    if (f == following::current) last_current_s_ = std::time(nullptr);
    if (!other) return;
    if (f == following::away) log::warn("redis: {}; what is known of the registry is served on", why_);
    if (f == following::waiting) log::warn("redis: {}; what is known of the registry is served on", why_);
    if (f == following::current) log::info("redis: the registry of {} is followed (epoch {}, revision {})", publisher_.node,
                                           publisher_.epoch, mark_.revision);
}

void follower::impl::beat() {
    beat_.expires_after(heartbeat_every);
    beat_.async_wait([weak = weak_from_this()](const error_code& ec) {
        const auto self = weak.lock();
        if (!ec && self && !self->stopped_) self->beat();
    });
    if (!commands_->is_up()) return;
    tell_fleet();
    ask_for_publisher(beat_deadline, mine([](impl& self, const result<redis::reply>& r) {
                          if (r && !r->is_error() && !self.busy_) self.look_at_publisher(*r);
                      }));
}

void follower::impl::tell_fleet() {
    const auto who = identity();
    const std::string text = json::serialize(json::object{{"region", who->region},
                                                          {"version", options_.version},
                                                          {"state", name(state_)},
                                                          {"epoch", mark_.epoch},
                                                          {"revision", mark_.revision},
                                                          {"started", started_s_}});
    commands_->send({"SET", key("node:" + options_.node_id), text, "EX", std::to_string(heartbeat_lives.count())}, beat_deadline,
                    [](const result<redis::reply>&) {});
}

void follower::impl::look_at_publisher(const redis::reply& r) {
    heard(r);
    if (copy_->is_damaged() && publisher_.complete) return lost("what this node has of the registry is damaged");
    settle_state();
    if (scan_wanted_ && publisher_.complete && !scanning_) return compare_all();
    const bool due = std::time(nullptr) - heard_stored_s_ >= heard_stored_every_s;
    if (!due || state_ != following::current) return;
    store::mirror_mark m = mark_;
    m.heard_s = std::time(nullptr);
    apply({}, m);
}

void follower::impl::tick() {
    tick_.expires_after(std::chrono::seconds(1));
    tick_.async_wait([weak = weak_from_this()](const error_code& ec) {
        const auto self = weak.lock();
        if (!ec && self && !self->stopped_) self->tick();
    });
    loads_->tidy();
    ask_anew();
    const std::int64_t now = std::time(nullptr);
    if (state_ == following::current || state_ == following::reading) last_current_s_ = now;
    const auto most_s = std::chrono::duration_cast<std::chrono::seconds>(options_.max_stale).count();
    const bool expired = most_s > 0 && now - last_current_s_ > most_s;
    if (expired == expired_) return;
    expired_ = expired;
    if (expired)
        log::error("redis: the registry was not heard of for {} s, which is over registry.redis.max_stale: nothing is served",
                   now - last_current_s_);
    deps_.directory.set_stale(expired);
}

follower_status follower::impl::status() const {
    follower_status out{.state = state_,
                        .why = why_,
                        .publisher = publisher_.node,
                        .epoch = mark_.epoch,
                        .revision = mark_.revision,
                        .whole = mark_.whole,
                        .stale_s = 0,
                        .expired = expired_,
                        .taken = taken_,
                        .hosts = hosts_.size(),
                        .in_memory = loads_ ? loads_->in_memory() : 0,
                        .loading = loads_ ? loads_->waiting() : 0,
                        .refused = {}};
    if (state_ != following::current && last_current_s_ != 0) out.stale_s = std::time(nullptr) - last_current_s_;
    for (const auto& [what, why] : refused_) {
        if (out.refused.size() == refused_shown) break;
        out.refused.push_back(fmt::format("{}: {}", key(what), why));
    }
    return out;
}

// --- the public face ---

follower::follower(options o, dependencies d) : impl_(std::make_shared<impl>(std::move(o), std::move(d))) {}
follower::~follower() {
    impl_->stop();
}
bool follower::open(std::string& why) {
    return impl_->open(why);
}
std::optional<config::settings> follower::platform_settings(const config::settings& own, const region_keys& keys,
                                                            std::string& why) const {
    return impl_->platform_settings(own, keys, why);
}
void follower::set_identity(const config::settings& own, const region_keys& keys) {
    impl_->set_identity(own, keys);
}
void follower::set_ready() {
    impl_->set_ready();
}
void follower::start() {
    impl_->start();
}
void follower::stop() {
    impl_->stop();
}
follower_status follower::status() const {
    return impl_->status();
}
void follower::load_host(std::string host, std::function<void(answer)> done) {
    impl_->load("host:" + std::move(host), std::move(done));
}
void follower::load_tenant(std::string id, std::function<void(answer)> done) {
    impl_->load("tenant:" + std::move(id), std::move(done));
}
void follower::read_certificate(const std::string& name, std::function<void(followed_certificate)> done) {
    impl_->read_certificate(name, std::move(done));
}

}  // namespace gatehouse::registry
