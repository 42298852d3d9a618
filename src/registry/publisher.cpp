// One lane: a job gathers on control, makes documents in the pool, writes them, and only when Redis
// has answered all of them does the next begin. Changes go before what is still to be compared, and
// a comparison reads the directory when its turn comes, so that nothing older overwrites a change.
#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <charconv>
#include <gatehouse/base/log.hpp>
#include <gatehouse/base/secret.hpp>
#include <gatehouse/base/text.hpp>
#include <gatehouse/redis/script.hpp>
#include <gatehouse/registry/publisher.hpp>
#include <optional>
#include <set>
#include <stdexcept>
#include <unordered_map>
#include <unordered_set>

#include "redis_scripts.hpp"

namespace gatehouse::registry {

namespace asio = boost::asio;

namespace {

constexpr milliseconds lease{10'000}, renew_every{3000}, standby_retry{2000}, trouble_pause{2000};
constexpr milliseconds deadline{5000};
constexpr std::size_t items_a_job = 200, bytes_a_job = 4 << 20;
constexpr std::size_t refused_shown = 20, scan_count = 1000;
constexpr std::size_t differences_kept = 1000;
constexpr std::size_t token_bytes = 16, ancestors_max = 8;

enum class kind : std::uint8_t { platform, tenant, certificate };

struct wanted {
    registry::kind kind;
    std::string name;
    auto operator<=>(const wanted&) const = default;
};

// What a document is made of, gathered on control.
struct item {
    // About what it takes in a command and its answer.
    std::size_t weight_bytes() const noexcept {
        constexpr std::size_t envelope = 1024, certificate = 16 * 1024, name = 256, as_json = 4;
        if (what.kind != registry::kind::tenant) return certificate;
        if (!record) return envelope;
        return envelope + record->hosts.size() * name + (record->tenant ? record->tenant->bytes().size() * as_json : 0);
    }

    wanted what;
    tenant::record_ptr record;  // tenant; null: it is no more
    std::string region;         // tenant: home
    bool strict = false;
    std::vector<std::string> regions;  // certificate: that may have its key
    bool asked_for = false;            // certificate: somebody answers at its name
    std::string existing;              // in Redis; only looked at where `compare`
    bool compare = false, hosts_differ = false;
    bool made_by_api = false;  // tenant
    bool look_only = false;  // what differs is told, not written
};

// What is to be written of it.
struct writing {
    wanted what;
    std::string document;  // empty: remove
    std::string hosts;     // tenant: separated by spaces
    std::string refused;   // why there is none
    bool skip = false;     // Redis has it
    bool look_only = false;
    bool there = false;    // something stands under its key
};

std::string short_key(const wanted& w) {
    if (w.kind == kind::platform) return "platform";
    return (w.kind == kind::tenant ? "tenant:" : "cert:") + w.name;
}

// A host that a certificate of this name covers.
std::string some_host(std::string name) {
    if (name.starts_with("*.")) name.replace(0, 1, "any-name-below");
    return name;
}

std::uint64_t number_of(std::string_view text) noexcept {
    std::uint64_t n = 0;
    std::from_chars(text.data(), text.data() + text.size(), n);
    return n;
}

}  // namespace

std::string_view name(publishing p) noexcept {
    switch (p) {
        case publishing::away:
            return "away";
        case publishing::standby:
            return "standby";
        case publishing::comparing:
            return "comparing";
        case publishing::current:
            return "current";
    }
    return {};
}

class publisher::impl : public std::enable_shared_from_this<impl> {
 public:
    impl(options o, config::settings s, dependencies d)
        : options_(std::move(o)),
          deps_(std::move(d)),
          settings_(std::make_shared<const config::settings>(std::move(s))),
          keys_(std::make_shared<const region_keys>(options_.keys)),
          token_(random_hex(token_bytes)),
          timer_(deps_.control),
          renewal_(deps_.control) {}

    void start();
    void stop();
    void tenant_changed(const std::string& id);
    void add(wanted w);
    bool compare();
    void diff(std::function<void(differences)> done);
    publisher_status status() const;

 private:
    // Weak, and dropped when something began anew meanwhile.
    template <class F>
    auto mine(F f) {
        return [weak = weak_from_this(), turn = turn_, f = std::move(f)](auto&&... arguments) {
            const auto self = weak.lock();
            if (self && !self->stopped_ && self->turn_ == turn) f(*self, std::forward<decltype(arguments)>(arguments)...);
        };
    }
    std::string key(std::string_view rest) const { return options_.prefix + ':' + std::string(rest); }
    std::string key_of(const wanted& w) const;
    void run(const redis::script& s, std::vector<std::string> keys, std::vector<std::string> arguments,
             std::function<void(impl&, const redis::reply&)> done);
    void after(milliseconds pause, void (impl::*f)());

    void on_redis(redis::state s, const std::string& why);
    void claim();
    void claimed(const redis::reply& r);
    void stand_by(const std::string& holder);
    void renew();
    void failed(const std::string& why);

    void step();
    void list_all();
    void begin_comparing(std::optional<std::vector<std::string>> names);
    void differ(difference::kind what, std::string key);
    void end_diff(std::string why_not);
    void compare_some();
    void ask_existing(std::shared_ptr<std::vector<item>> items);
    void make(std::shared_ptr<std::vector<item>> items);
    void write(std::vector<writing> all);
    void scan(std::string cursor);
    void sweep(const redis::reply& found, const std::string& cursor);
    void judge_host(const std::string& host_key, const std::string& id);
    void drop(wanted w);
    void swept(const std::string& cursor);
    void complete();

    item gather(const wanted& w);
    void home_of(const tenant::record& r, item& out) const;
    std::vector<std::string> regions_of(const tenant::record_ptr* owner) const;
    void note_family(const std::string& id);
    void note_strict(const std::string& id, bool strict);
    void refuse(const wanted& w, const std::string& why);

    const options options_;
    const dependencies deps_;
    const std::shared_ptr<const config::settings> settings_;
    const std::shared_ptr<const region_keys> keys_;
    const std::string token_;
    asio::steady_timer timer_, renewal_;
    std::unique_ptr<redis::client> client_;
    const redis::script claim_{scripts::claim}, renew_{scripts::renew}, put_tenant_{scripts::put_tenant},
        put_document_{scripts::put_document}, drop_host_{scripts::drop_host}, complete_{scripts::complete};

    publishing state_ = publishing::away;
    std::string why_ = "not connected yet";
    std::uint64_t epoch_ = 0, revision_ = 0, turn_ = 0, written_ = 0;
    // listed_: everything is being compared, or looked at; scanned_: what Redis has besides, too.
    bool stopped_ = false, busy_ = false, listed_ = false, scanned_ = false, may_take_over_ = true, certificates_listed_ = false;
    std::set<wanted> dirty_;
    std::function<void(differences)> diff_done_;  // set: what is compared is only looked at
    differences differences_;
    std::vector<wanted> to_compare_;
    std::size_t compared_ = 0;
    std::map<wanted, std::string> refused_;
    std::set<std::string, std::less<>> certificates_;  // that have been looked at
    std::unordered_map<std::string, std::set<std::string>> children_;  // who inherits from whom
    std::unordered_map<std::string, std::string> parent_;
    std::unordered_set<std::string> strict_;  // ids
};

// --- the one publisher ---

void publisher::impl::start() {
    redis::client::dependencies d;
    d.run_in_pool = deps_.run_in_pool;
    d.on_state = [weak = weak_from_this()](redis::state s, const std::string& why) {
        if (const auto self = weak.lock(); self && !self->stopped_) self->on_redis(s, why);
    };
    client_ = std::make_unique<redis::client>(deps_.control, options_.redis, std::move(d));
    client_->start();
}

void publisher::impl::stop() {
    stopped_ = true;
    ++turn_;
    timer_.cancel();
    renewal_.cancel();
    client_.reset();
}

void publisher::impl::run(const redis::script& s, std::vector<std::string> keys, std::vector<std::string> arguments,
                          std::function<void(impl&, const redis::reply&)> done) {
    std::vector<std::string_view> k(keys.begin(), keys.end()), a(arguments.begin(), arguments.end());
    s.run(*client_, k, a, deadline, mine([done = std::move(done)](impl& self, result<redis::reply> r) {
              if (!r) return self.failed(r.error().message());
              if (r->is_error() && r->text.starts_with("FENCED")) return self.stand_by({});
              if (r->is_error()) return self.failed(r->text);
              done(self, *r);
          }));
}

void publisher::impl::after(milliseconds pause, void (impl::*f)()) {
    timer_.expires_after(pause);
    timer_.async_wait(mine([f](impl& self, const error_code& ec) {
        if (!ec) (self.*f)();
    }));
}

void publisher::impl::on_redis(redis::state s, const std::string& why) {
    ++turn_;
    busy_ = false;
    timer_.cancel();
    renewal_.cancel();
    end_diff("Redis went away");
    if (s == redis::state::up) return claim();
    if (state_ != publishing::away) log::warn("redis: {}; edges go on with what they have, changes are kept for them", why);
    state_ = publishing::away;
    why_ = why;
}

void publisher::impl::claim() {
    run(claim_, {key("publisher"), key("publisher:lease")},
        {token_, options_.registry_id, options_.node_id, std::to_string(lease.count()), may_take_over_ ? "1" : "0"},
        [](impl& self, const redis::reply& r) { self.claimed(r); });
}

void publisher::impl::claimed(const redis::reply& r) {
    if (r.items.size() < 2) return failed("an answer that is none");
    if (r.items[0].integer == 0) return stand_by(r.items.size() > 2 ? r.items[2].text : std::string());
    epoch_ = number_of(r.items[1].text);
    // Once fenced, only where nobody publishes any more.
    may_take_over_ = false;
    log::info("redis: this node publishes the registry (epoch {})", epoch_);
    compare();
}

void publisher::impl::stand_by(const std::string& holder) {
    ++turn_;
    busy_ = false;
    renewal_.cancel();
    end_diff("another node publishes this registry");
    if (state_ != publishing::standby)
        log::error("redis: {} publishes this registry, so this node does not: stop one of the two, or set "
                   "registry.redis.mode = \"follow\" here", holder.empty() ? "another node" : holder);
    state_ = publishing::standby;
    why_ = fmt::format("{} publishes this registry", holder.empty() ? "another node" : holder);
    epoch_ = 0;
    after(standby_retry, &impl::claim);
}

void publisher::impl::renew() {
    renewal_.expires_after(renew_every);
    const auto again = [](impl& self, const redis::reply& r) {
        if (r.items.empty() || r.items[0].integer == 0)
            return self.stand_by(r.items.size() > 1 ? r.items[1].text : std::string());
        self.renew();
    };
    renewal_.async_wait([weak = weak_from_this(), again](const error_code& ec) {
        const auto self = weak.lock();
        if (ec || !self || self->stopped_ || self->epoch_ == 0) return;
        self->run(self->renew_, {self->key("publisher"), self->key("publisher:lease")},
                  {self->token_, std::to_string(lease.count())}, again);
    });
}

// Redis is there, but did not do it (full, read-only, a wrong type): everything is looked at anew.
void publisher::impl::failed(const std::string& why) {
    ++turn_;
    busy_ = false;
    end_diff(why);
    if (why_ != why) log::error("redis: what edges follow cannot be written: {}", why);
    why_ = why;
    state_ = publishing::away;
    if (client_->is_up()) after(trouble_pause, &impl::claim);
}

// --- the lane ---

void publisher::impl::add(wanted w) {
    dirty_.insert(std::move(w));
    if (busy_ || epoch_ == 0 || state_ == publishing::away || state_ == publishing::standby) return;
    busy_ = true;
    // A burst that comes in one turn is written together.
    asio::post(deps_.control, mine([](impl& self) {
                   self.busy_ = false;
                   self.step();
               }));
}

void publisher::impl::tenant_changed(const std::string& id) {
    note_family(id);
    std::vector<std::string> family{id};
    std::unordered_set<std::string> seen{id};
    while (!family.empty()) {
        const std::string one = std::move(family.back());
        family.pop_back();
        const tenant::record_ptr* found = deps_.directory.find_tenant(one);
        item home;
        if (found != nullptr) home_of(**found, home);
        // Where any tenant is strict, a host that changed hands may need its key sealed for others.
        if ((home.strict || !strict_.empty()) && found != nullptr)
            for (const std::string_view host : (*found)->hosts)
                if (certificates_.contains(host)) add({kind::certificate, std::string(host)});
        note_strict(one, home.strict);
        add({kind::tenant, one});
        if (const auto children = children_.find(one); children != children_.end())
            for (const std::string& child : children->second)
                if (seen.insert(child).second) family.push_back(child);
    }
}

void publisher::impl::note_family(const std::string& id) {
    const tenant::record_ptr* found = deps_.directory.find_tenant(id);
    const std::string parent(found != nullptr && (*found)->tenant ? (*found)->tenant->look().parent : std::string_view());
    const auto before = parent_.find(id);
    if (before != parent_.end() && before->second != parent) children_[before->second].erase(id);
    if (parent.empty()) {
        parent_.erase(id);
        return;
    }
    parent_[id] = parent;
    children_[parent].insert(id);
}

void publisher::impl::note_strict(const std::string& id, bool strict) {
    if (strict)
        strict_.insert(id);
    else
        strict_.erase(id);
}

bool publisher::impl::compare() {
    if (epoch_ == 0 || !client_->is_up()) return false;
    ++turn_;
    end_diff("everything is being published anew");
    state_ = publishing::comparing;
    why_.clear();
    refused_.clear();
    list_all();
    renew();
    return true;
}

void publisher::impl::diff(std::function<void(differences)> done) {
    if (state_ != publishing::current || diff_done_) {
        differences none;
        none.why_not = diff_done_ ? "another comparison is under way" : fmt::format("the publisher is {}: {}", name(state_), why_);
        return done(std::move(none));
    }
    diff_done_ = std::move(done);
    differences_ = {};
    // Changes go on; the lane comes to this when its job has ended.
    if (!busy_) list_all();
}

void publisher::impl::list_all() {
    busy_ = true;
    listed_ = true;
    // The certificates' names are listed in the pool.
    deps_.run_in_pool([list = deps_.list_certificates, &control = deps_.control,
                       then = mine([](impl& self, std::optional<std::vector<std::string>> names) {
                           self.begin_comparing(std::move(names));
                       })] { asio::post(control, [then, names = list()]() mutable { then(std::move(names)); }); });
}

void publisher::impl::begin_comparing(std::optional<std::vector<std::string>> names) {
    to_compare_.clear();
    // What cannot be listed is not gone: Redis keeps what it has.
    certificates_listed_ = names.has_value();
    if (!names) log::error("redis: the folder of certificates cannot be listed; those published stay as they are");
    if (names) {
        certificates_ = {names->begin(), names->end()};
        for (std::string& name : *names)
            to_compare_.push_back({kind::certificate, std::move(name)});
    }
    deps_.directory.for_each([this](const tenant::record_ptr& r) { to_compare_.push_back({kind::tenant, r->id}); });
    to_compare_.push_back({kind::platform, "platform"});   // first: the others are read with it
    compared_ = 0;
    scanned_ = false;
    busy_ = false;
    step();
}

void publisher::impl::step() {
    if (busy_ || epoch_ == 0) return;
    busy_ = true;
    // Before tenants that may name what is new in it.
    if (!to_compare_.empty() && to_compare_.back().kind == kind::platform) return compare_some();
    if (!dirty_.empty()) {
        auto items = std::make_shared<std::vector<item>>();
        for (std::size_t bytes = 0; !dirty_.empty() && items->size() < items_a_job && bytes < bytes_a_job;) {
            items->push_back(gather(dirty_.extract(dirty_.begin()).value()));
            bytes += items->back().weight_bytes();
        }
        return make(std::move(items));
    }
    if (!to_compare_.empty()) return compare_some();
    if (diff_done_ && !listed_) return list_all();
    if (listed_) return scanned_ ? complete() : scan("0");
    busy_ = false;
}

void publisher::impl::differ(difference::kind what, std::string key) {
    ++differences_.count;
    if (differences_.first.size() < differences_kept) differences_.first.push_back({what, std::move(key)});
}

void publisher::impl::end_diff(std::string why_not) {
    listed_ = false;
    to_compare_.clear();
    if (!diff_done_) return;
    differences_.why_not = std::move(why_not);
    std::exchange(diff_done_, nullptr)(std::exchange(differences_, {}));
}

void publisher::impl::compare_some() {
    auto items = std::make_shared<std::vector<item>>();
    for (std::size_t bytes = 0; !to_compare_.empty() && items->size() < items_a_job && bytes < bytes_a_job;) {
        wanted w = std::move(to_compare_.back());
        to_compare_.pop_back();
        ++compared_;
        if (w.kind == kind::tenant) {
            note_family(w.name);
            const tenant::record_ptr* found = deps_.directory.find_tenant(w.name);
            item home;
            if (found != nullptr) home_of(**found, home);
            note_strict(w.name, home.strict);
        }
        item one = gather(w);
        one.compare = true;
        one.look_only = diff_done_ != nullptr;
        bytes += one.weight_bytes();
        items->push_back(std::move(one));
        if (w.kind == kind::platform) break;  // changes come next
    }
    ask_existing(std::move(items));
}

// Their documents, and after them who has their hosts.
void publisher::impl::ask_existing(std::shared_ptr<std::vector<item>> items) {
    std::vector<std::string> words{"MGET"};
    for (const item& i : *items)
        words.push_back(key_of(i.what));
    for (const item& i : *items)
        if (i.record)
            for (const std::string_view host : i.record->hosts)
                words.push_back(key("host:").append(host));
    const std::vector<std::string_view> command(words.begin(), words.end());
    client_->send(command, deadline, mine([items](impl& self, result<redis::reply> r) {
                      if (!r) return self.failed(r.error().message());
                      if (r->is_error()) return self.failed(r->text);
                      std::size_t at = 0;
                      for (item& i : *items)
                          i.existing = at < r->items.size() ? std::move(r->items[at++].text) : std::string();
                      for (item& i : *items) {
                          if (!i.record) continue;
                          for (std::size_t n = i.record->hosts.size(); n > 0; --n)
                              if (at >= r->items.size() || r->items[at++].text != i.what.name) i.hosts_differ = true;
                      }
                      self.make(items);
                  }));
}

namespace {

// Contents of a file that a document takes along; throws what is wrong with it.
std::string contents_of(const std::string& file) {
    constexpr std::size_t bytes_max = 256 * 1024;
    const auto text = read_secret(file, bytes_max + 1);
    if (!text) throw std::runtime_error(fmt::format("{} cannot be read: {}", file, text.error().message()));
    if (text->empty()) throw std::runtime_error(fmt::format("{} is empty", file));   // a FIFO without a writer too
    if (text->size() > bytes_max) throw std::runtime_error(fmt::format("{} is larger than {}", file, size_text(bytes_max)));
    return std::string(text->view());
}

writing make_tenant(const item& i, const region_keys& keys, position at) {
    writing w{.what = i.what, .document = {}, .hosts = {}, .refused = {}, .skip = false};
    if (!i.record) {
        w.skip = i.compare && i.existing.empty();
        return w;
    }
    for (const std::string_view host : i.record->hosts)
        w.hosts.append(w.hosts.empty() ? "" : " ").append(host);
    try {
        std::map<std::string, std::string> files;
        std::shared_ptr<const tenant::tenant> t;
        if (i.record->tenant) t = std::make_shared<const tenant::tenant>(i.record->tenant->unpack());
        if (t && !t->tls.client_ca_file.empty()) files.emplace(t->tls.client_ca_file, contents_of(t->tls.client_ca_file));
        w.document = write_tenant({.id = i.record->id,
                                   .at = {.epoch = at.epoch, .revision = i.record->revision},
                                   .region = i.region,
                                   .strict = i.strict,
                                   .hosts = {i.record->hosts.begin(), i.record->hosts.end()},
                                   .tenant = std::move(t),
                                   .files = std::move(files),
                                   .made_by_api = i.made_by_api},
                                  keys);
    } catch (const std::exception& e) {
        w.refused = e.what();
        w.hosts.clear();
    }
    w.skip = i.compare && !i.hosts_differ && same_content(i.existing, w.document);
    if (!w.refused.empty()) w.skip = i.compare && i.existing.empty();
    return w;
}

// What the file had when what Redis has was made of it.
std::string known_source(const item& i, const region_keys& keys) {
    if (!i.compare || i.existing.empty()) return {};
    return current_source(i.existing, i.what.name, i.regions, keys);
}

writing make_certificate(const item& i, const certificate_text& text, const region_keys& keys, position at) {
    // Whatever else lies in the folder ends in .pem too.
    writing w{.what = i.what, .document = {}, .hosts = {}, .refused = i.asked_for ? text.error : "", .skip = false};
    // One that is bad takes nothing back: the older one stays in use, here and there.
    if (text.there && (text.same || !text.error.empty())) w.skip = true;
    if (text.same) return w;
    if (text.there && text.error.empty())
        w.document = write_certificate({.name = i.what.name,
                                        .at = at,
                                        .not_after = text.not_after,
                                        .chain = text.chain,
                                        .key = text.key,
                                        .regions = i.regions,
                                        .source = text.digest},
                                       keys);
    if (i.compare && w.document.empty() && i.existing.empty()) w.skip = true;
    if (i.compare && !w.document.empty()) w.skip = same_content(i.existing, w.document);
    return w;
}

writing make_platform(const item& i, const config::settings& s, const region_keys& keys, position at) {
    writing w{.what = i.what, .document = {}, .hosts = {}, .refused = {}, .skip = false};
    try {
        platform_document d{.at = at, .settings = s, .files = {}};
        for (const tenant::pool& p : s.pools) {
            if (!p.tls) continue;
            for (const std::string& file : {p.tls->ca_file, p.tls->client_cert_file})
                if (!file.empty()) d.files.emplace(file, contents_of(file));
        }
        w.document = write_platform(d, keys);
        w.skip = i.compare && same_content(i.existing, w.document);
    } catch (const std::exception& e) {
        w.refused = e.what();  // edges go on with the settings they have
        w.skip = true;
    }
    return w;
}

}  // namespace

void publisher::impl::make(std::shared_ptr<std::vector<item>> items) {
    const position at{.epoch = epoch_, .revision = ++revision_};
    deps_.run_in_pool([items, at, keys = keys_, settings = settings_, read = deps_.read_certificate, damaged = options_.damaged,
                       &control = deps_.control, fail = mine([](impl& self, const std::string& why) { self.failed(why); }),
                       then = mine([](impl& self, std::vector<writing> all) { self.write(std::move(all)); })] {
        std::vector<writing> all;
        try {
            for (const item& i : *items) {
                if (i.what.kind == kind::tenant)
                    all.push_back(make_tenant(i, *keys, at));
                else if (i.what.kind == kind::certificate && damaged && !i.asked_for)
                    all.push_back({.what = i.what, .document = {}, .hosts = {}, .refused = {}, .skip = true});  // whose it is, and so for which regions, is not known
                else if (i.what.kind == kind::certificate)
                    all.push_back(make_certificate(i, read(i.what.name, known_source(i, *keys)), *keys, at));
                else
                    all.push_back(make_platform(i, *settings, *keys, at));
                all.back().look_only = i.look_only;
                all.back().there = !i.existing.empty();
            }
        } catch (const std::exception& e) {
            asio::post(control, [fail, why = std::string(e.what())] { fail(why); });
            return;
        }
        asio::post(control, [then, all = std::move(all)]() mutable { then(std::move(all)); });
    });
}

void publisher::impl::write(std::vector<writing> all) {
    auto left = std::make_shared<std::size_t>(1);
    const auto one_less = [left](impl& self) {
        if (--*left > 0) return;
        self.busy_ = false;
        self.step();
    };
    const std::string epoch = std::to_string(epoch_), revision = std::to_string(revision_);
    for (writing& w : all) {
        if (w.look_only) {
            using enum difference::kind;
            if (!w.skip) differ(!w.there ? missing : w.document.empty() ? extra : other, short_key(w.what));
            continue;
        }
        refuse(w.what, w.refused);
        if (w.skip) continue;
        ++*left;
        const auto done = [one_less](impl& self, const redis::reply&) {
            ++self.written_;
            one_less(self);
        };
        const std::vector<std::string> keys{key("publisher"), key("changes"), key_of(w.what)};
        if (w.what.kind == kind::tenant) {
            run(put_tenant_, keys,
                {token_, options_.prefix, w.what.name, std::move(w.document), epoch, revision, std::move(w.hosts)}, done);
        } else {
            const bool is_platform = w.what.kind == kind::platform;
            run(put_document_, keys,
                {token_, is_platform ? "platform" : "cert", w.what.name, std::move(w.document), epoch, revision}, done);
        }
    }
    one_less(*this);
}

// What Redis has and this registry has not. Documents of tenants and certificates are judged as
// changes; a host key goes when the directory gives the host to another, or to nobody.
void publisher::impl::scan(std::string cursor) {
    if (options_.damaged) return swept("0");
    const std::string pattern = key("*"), count = std::to_string(scan_count);
    client_->send({"SCAN", cursor, "MATCH", pattern, "COUNT", count}, deadline, mine([](impl& self, result<redis::reply> r) {
                      if (!r) return self.failed(r.error().message());
                      if (r->items.size() != 2) return self.failed(r->text);
                      self.sweep(r->items[1], r->items[0].text);
                  }));
}

void publisher::impl::sweep(const redis::reply& found, const std::string& cursor) {
    std::vector<std::string> words{"MGET"};
    for (const redis::reply& r : found.items) {
        std::string_view rest = r.text;
        rest.remove_prefix(std::min(rest.size(), options_.prefix.size() + 1));
        if (rest.starts_with("tenant:")) {
            const std::string id(rest.substr(7));
            if (deps_.directory.find_tenant(id) == nullptr) drop({kind::tenant, id});
        } else if (rest.starts_with("cert:")) {
            const std::string name(rest.substr(5));
            if (certificates_listed_ && !certificates_.contains(name)) drop({kind::certificate, name});
        } else if (rest.starts_with("host:")) {
            words.push_back(r.text);
        }
    }
    if (words.size() == 1) return swept(cursor);
    const std::vector<std::string_view> command(words.begin(), words.end());
    client_->send(command, deadline, mine([words, cursor](impl& self, result<redis::reply> r) {
                      if (!r) return self.failed(r.error().message());
                      for (std::size_t i = 0; i < r->items.size() && i + 1 < words.size(); ++i)
                          self.judge_host(words[i + 1], r->items[i].text);
                      self.swept(cursor);
                  }));
}

void publisher::impl::drop(wanted w) {
    if (diff_done_)
        differ(difference::kind::extra, short_key(w));
    else
        dirty_.insert(std::move(w));
}

void publisher::impl::judge_host(const std::string& host_key, const std::string& id) {
    const std::string host = host_key.substr(options_.prefix.size() + 6);
    const tenant::record_ptr* found = deps_.directory.find_tenant(id);
    if (found != nullptr) {
        const auto& hosts = (*found)->hosts;
        if (std::find(hosts.begin(), hosts.end(), host) != hosts.end()) return;
    }
    if (diff_done_) return differ(difference::kind::extra, "host:" + host);
    run(drop_host_, {key("publisher"), key("changes"), host_key}, {token_, host, id}, [](impl&, const redis::reply&) {});
}

void publisher::impl::swept(const std::string& cursor) {
    scanned_ = cursor == "0";
    if (!scanned_) return scan(cursor);
    busy_ = false;
    step();
}

void publisher::impl::complete() {
    if (diff_done_) {
        end_diff({});
        busy_ = false;
        return step();
    }
    run(complete_, {key("publisher"), key("changes")}, {token_, std::to_string(epoch_), std::to_string(revision_)},
        [](impl& self, const redis::reply&) {
            self.state_ = publishing::current;
            self.listed_ = false;
            log::info("redis: edges have the whole registry (epoch {}; {} documents written since the start)", self.epoch_,
                      self.written_);
            self.busy_ = false;
            self.step();
        });
}

// --- gathering ---

std::string publisher::impl::key_of(const wanted& w) const {
    return key(short_key(w));
}

item publisher::impl::gather(const wanted& w) {
    item out{.what = w, .record = nullptr, .region = {}, .strict = false, .regions = {}, .asked_for = false,
             .existing = {}, .compare = false, .hosts_differ = false};
    if (w.kind == kind::tenant) {
        const tenant::record_ptr* found = deps_.directory.find_tenant(w.name);
        if (found == nullptr) return out;
        out.record = *found;
        out.made_by_api = deps_.made_by_api && deps_.made_by_api(w.name);
        home_of(**found, out);
    } else if (w.kind == kind::certificate) {
        const tenant::record_ptr* owner = deps_.directory.find_host(some_host(w.name));
        out.asked_for = owner != nullptr || deps_.directory.current_platform()->shared_hosts.contains(w.name);
        out.regions = regions_of(owner);
        certificates_.insert(w.name);
    }
    return out;
}

// Region and residency as effective settings have them: each from the nearest that says it.
void publisher::impl::home_of(const tenant::record& r, item& out) const {
    std::optional<std::string> region;
    std::optional<tenant::residency> residency;
    const tenant::packed* version = r.tenant.get();
    for (std::size_t depth = 0; version != nullptr && depth <= ancestors_max; ++depth) {
        const tenant::tenant t = version->unpack();
        if (!region && t.region) region = t.region;
        if (!residency && t.residency) residency = t.residency;
        const tenant::record_ptr* parent = t.parent.empty() ? nullptr : deps_.directory.find_tenant(t.parent);
        version = parent != nullptr ? (*parent)->tenant.get() : nullptr;
    }
    out.region = region.value_or("");
    out.strict = !out.region.empty() && residency == tenant::residency::strict;
}

// A strict tenant's own name: its home. Any other, as a wildcard of the platform: all.
std::vector<std::string> publisher::impl::regions_of(const tenant::record_ptr* owner) const {
    item home;
    if (owner != nullptr && (*owner)->tenant) home_of(**owner, home);
    if (home.strict) return {home.region};
    std::vector<std::string> all;
    for (const auto& [region, ring] : *keys_)
        all.push_back(region);
    return all;
}

void publisher::impl::refuse(const wanted& w, const std::string& why) {
    if (why.empty()) {
        refused_.erase(w);
        return;
    }
    const auto [at, first] = refused_.try_emplace(w);
    if (at->second == why) return;
    at->second = why;
    log::error("redis: {} is not published: {}", key_of(w), why);
}

publisher_status publisher::impl::status() const {
    publisher_status out{.state = state_,
                         .why = why_,
                         .epoch = epoch_,
                         .compared = compared_,
                         .to_compare = compared_ + to_compare_.size(),
                         .written = written_,
                         // Another node tells Redis: nothing waits for this one.
                         .waiting = state_ == publishing::standby ? 0 : dirty_.size(),
                         .refused = {}};
    for (const auto& [what, why] : refused_) {
        if (out.refused.size() == refused_shown) break;
        out.refused.push_back(fmt::format("{}: {}", key_of(what), why));
    }
    return out;
}

// --- the public face ---

publisher::publisher(options o, config::settings settings, dependencies d)
    : impl_(std::make_shared<impl>(std::move(o), std::move(settings), std::move(d))) {}
publisher::~publisher() {
    impl_->stop();
}
void publisher::start() {
    impl_->start();
}
void publisher::tenant_changed(const std::string& id) {
    impl_->tenant_changed(id);
}
void publisher::certificate_changed(const std::string& name) {
    impl_->add({kind::certificate, name});
}
bool publisher::compare() {
    return impl_->compare();
}
void publisher::diff(std::function<void(differences)> done) {
    impl_->diff(std::move(done));
}
publisher_status publisher::status() const {
    return impl_->status();
}

}  // namespace gatehouse::registry
