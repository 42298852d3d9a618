// The node's certificates in memory, the loads under way, and what was last seen missing. One mutex
// over the tables; files are read and callbacks run outside it.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <gatehouse/base/log.hpp>
#include <map>
#include <mutex>
#include <set>
#include <utility>

#include "certificate_file.hpp"
#include "certificate_listing.hpp"
#include "certificate_sweep.hpp"
#include "load_shares.hpp"
#include "lru.hpp"

namespace gatehouse::tls {
namespace {

using clock = std::chrono::steady_clock;
// A file that was missing or bad is tried again after this, should the watcher have been silent.
constexpr auto doubt_after = std::chrono::seconds(5);
constexpr std::size_t most_missing = 16 * 1024;
constexpr std::size_t changes_at_a_time = 4;
constexpr int sweep_turns = 4;
constexpr std::int64_t rescan_margin_ns = 2'000'000'000;

struct waiting {
    std::string host, tenant;
    certificate_source::answer done;
};

struct entry {
    certificate_ptr good;  // null: bad, and never was good
    std::string error;     // of the newest version, when that is bad
    file_stamp stamp;      // of the newest version
    clock::time_point checked;
};

struct load {
    std::vector<waiting> waiters;
    bool again = false;    // the file changed while it was being read
    bool changed = false;  // the watcher asked for it
    bool in_background = false;  // among `changes_under_way`; else in the share of:
    std::string tenant;
};

// What is left to do outside the lock once a file was read.
struct outcome {
    certificate_ptr good;
    std::vector<waiting> waiters;
    std::string warning;
    bool report = false;
    bool again = false;
    bool last_word = false;  // a null is not an absence that sends those who wait to the wildcard
    bool next_change = false;
    std::string next_file;  // of the same tenant
};

bool is_free(const entry& e) {
    return e.good == nullptr || e.good.use_count() == 1;
}

// May it go when room is needed? Counts those that are in use.
auto counting(int& refused) {
    return [&refused](const entry& oldest) {
        const bool goes = is_free(oldest);
        refused += goes ? 0 : 1;
        return goes;
    };
}

std::int64_t wall_ns() {
    return std::chrono::nanoseconds(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace

struct certificate_source::state : std::enable_shared_from_this<certificate_source::state> {
    state(std::string dir, std::uint64_t cache_count, executor run)
        : run_in_pool(std::move(run)), certs_dir(std::move(dir)), entries(cache_count) {}

    enum class thread : std::uint8_t { any, pool };
    enum class known : std::uint8_t { good, absent, unknown };

    void ask(const std::string& file, waiting w, thread on);
    void go_on(const std::string& file, waiting w, thread on);
    known look_up(const std::string& file, certificate_ptr& found);

    void load_file(const std::string& file);
    void load_in_pool(const std::string& file);
    bool finish(const std::string& file, const loaded_certificate& got);
    using load_map = std::map<std::string, load, std::less<>>;
    void end_load(load_map::iterator at, outcome& o);
    outcome settle(const std::string& file, const loaded_certificate& got);
    void keep_older(const std::string& file, outcome& o);
    void remember_good(const std::string& file, const loaded_certificate& got, outcome& o);
    void remember_bad(const std::string& file, const loaded_certificate& got, outcome& o);
    void remember_missing(const std::string& file, outcome& o);
    void put(const std::string& file, entry e);
    void note_refusals(int refused);
    void use(std::string dir, std::uint64_t cache_count);
    std::string folder() const;

    void change(const std::string& file);
    void load_change();
    bool may_be_held(const std::string& file);
    void report(const std::string& pattern) const;
    certificate_row row_of(const std::string& file, const entry& e) const;
    std::vector<certificate_row> list() const;
    void sweep_on(int turns);

    void refetch();
    void rescan_memory();
    void rescan_folder();

    const executor run_in_pool;
    loader fetch;  // null: files of certs_dir
    std::function<void(const std::string&)> replaced;

    mutable std::mutex mutex;
    std::string certs_dir;
    lru<entry> entries;                              // by file
    lru<clock::time_point> missing{most_missing};    // by file: when it was found missing
    load_map loads;                                  // by file
    load_shares shares;
    std::set<std::string> changes;  // files in memory to be read again
    std::size_t changes_under_way = 0;
    certificate_summary read;       // its counts of what was read alone
    bool evicted_in_use = false;  // some worker may hold a certificate that is not in `entries`
    bool scanning = false, scan_again = false;
    std::int64_t last_scan_ns = wall_ns();  // of the scanning thread
    certificate_sweep sweep;
    std::atomic<bool> sweeping{false};
};

// --- asking: the exact file, then the wildcard ---

void certificate_source::state::ask(const std::string& file, waiting w, thread on) {
    std::unique_lock lock(mutex);
    certificate_ptr found;
    const known what = look_up(file, found);
    if (what == known::absent) {
        lock.unlock();
        return go_on(file, std::move(w), on);
    }
    if (what == known::good || !shares.wait(w.tenant)) {
        lock.unlock();
        return w.done(std::move(found));
    }
    const auto [at, first] = loads.try_emplace(file);
    if (first) at->second.tenant = w.tenant;
    at->second.waiters.push_back(std::move(w));
    const bool now = first && shares.begin(at->second.tenant, file);
    lock.unlock();
    if (!now) return;
    if (on == thread::pool) return load_file(file);
    load_in_pool(file);
}

// This file has nothing for the host: the next one, or the end.
void certificate_source::state::go_on(const std::string& file, waiting w, thread on) {
    const std::string next = wildcard_file(w.host);
    if (next.empty() || next == file) return w.done(nullptr);
    ask(next, std::move(w), on);
}

// Under the lock.
auto certificate_source::state::look_up(const std::string& file, certificate_ptr& found) -> known {
    const auto fresh = [](clock::time_point t) { return clock::now() - t < doubt_after; };
    if (const entry* e = entries.find(file)) {
        found = e->good;
        if (found != nullptr) return known::good;
        return fresh(e->checked) ? known::absent : known::unknown;
    }
    const clock::time_point* seen = missing.find(file);
    return seen != nullptr && fresh(*seen) ? known::absent : known::unknown;
}

// --- loading ---

void certificate_source::state::load_in_pool(const std::string& file) {
    run_in_pool([self = shared_from_this(), file] { self->load_file(file); });
}

// On a pool thread, with an entry in `loads`.
void certificate_source::state::load_file(const std::string& file) {
    if (!fetch) {
        while (finish(file, load_certificate(folder(), file))) {
        }
        return;
    }
    fetch(pattern_of(file), [self = shared_from_this(), file](fetched_pem text) {
        const auto kept = std::make_shared<fetched_pem>(std::move(text));
        self->run_in_pool([self, file, kept] {
            if (self->finish(file, take_certificate(*kept, file))) self->load_file(file);
        });
    });
}

// On a pool thread. True: it is to be read again.
bool certificate_source::state::finish(const std::string& file, const loaded_certificate& got) {
    outcome o = settle(file, got);
    if (!o.warning.empty()) log::warn("{}", o.warning);
    if (o.report) report(pattern_of(file));
    for (waiting& w : o.waiters) {
        if (o.good != nullptr || o.last_word)
            w.done(o.good);
        else
            go_on(file, std::move(w), thread::pool);
    }
    // Workers remember a null for a while; of this one they are not to.
    if (o.last_word && o.good == nullptr && !o.waiters.empty()) report(pattern_of(file));
    if (!o.next_file.empty()) load_in_pool(o.next_file);
    if (o.next_change) run_in_pool([self = shared_from_this()] { self->load_change(); });
    return o.again;
}

outcome certificate_source::state::settle(const std::string& file, const loaded_certificate& got) {
    const std::lock_guard lock(mutex);
    const auto at = loads.find(file);
    load& l = at->second;
    outcome o{.good = nullptr,
              .waiters = std::exchange(l.waiters, {}),
              .warning = {},
              .report = l.changed,
              .again = l.again,
              .last_word = got.unavailable,
              .next_change = false,
              .next_file = {}};
    if (got.unavailable)
        keep_older(file, o);
    else if (got.good != nullptr)
        remember_good(file, got, o);
    else if (got.missing)
        remember_missing(file, o);
    else
        remember_bad(file, got, o);
    for (const waiting& w : o.waiters)
        shares.waited(w.tenant);
    l.again = false;
    if (!o.again) end_load(at, o);
    return o;
}

void certificate_source::state::end_load(load_map::iterator at, outcome& o) {
    if (!at->second.in_background)
        o.next_file = shares.end(at->second.tenant);
    else if (o.next_change = !changes.empty(); !o.next_change)
        --changes_under_way;
    loads.erase(at);
}

void certificate_source::state::keep_older(const std::string& file, outcome& o) {
    if (const entry* old = entries.find(file)) o.good = old->good;
    o.report = false;
}

void certificate_source::state::remember_good(const std::string& file,
                                              const loaded_certificate& got, outcome& o) {
    ++read.read_good;
    if (entry* old = entries.find(file)) {
        if (old->good != nullptr) old->good->replaced = true;
        o.report = true;
    }
    missing.erase(file);
    put(file, {.good = got.good, .error = {}, .stamp = got.stamp, .checked = clock::now()});
    o.good = got.good;
}

void certificate_source::state::remember_missing(const std::string& file, outcome& o) {
    ++read.read_missing;
    if (entry* old = entries.find(file)) {
        if (old->good != nullptr) old->good->replaced = true;
        entries.erase(file);
        o.report = true;
    }
    missing.put(file, clock::now());
}

void certificate_source::state::remember_bad(const std::string& file, const loaded_certificate& got,
                                             outcome& o) {
    ++read.read_bad;
    entry next{.good = nullptr, .error = got.error, .stamp = got.stamp, .checked = clock::now()};
    std::string before;
    if (entry* old = entries.find(file)) {
        next.good = old->good;
        before = old->error;
    }
    if (before != got.error)
        o.warning = next.good == nullptr ? got.error : got.error + " (the older one stays in use)";
    o.good = next.good;
    o.report = false;
    missing.erase(file);
    put(file, std::move(next));
}

void certificate_source::state::put(const std::string& file, entry e) {
    int refused = 0;
    entries.put(file, std::move(e), counting(refused));
    note_refusals(refused);
}

// A certificate that somebody uses went all the same, as the bound holds.
void certificate_source::state::note_refusals(int refused) {
    evicted_in_use = evicted_in_use || refused >= lru<entry>::refusals;
}

// --- changes ---

void certificate_source::state::change(const std::string& file) {
    const std::string pattern = pattern_of(file);
    if (pattern.empty()) return;
    if (!fetch) sweep.changed(file);
    std::unique_lock lock(mutex);
    if (const auto at = loads.find(file); at != loads.end()) {
        at->second.again = at->second.changed = true;
        return;
    }
    if (!entries.contains(file)) {
        const bool held = may_be_held(file);
        missing.erase(file);
        lock.unlock();
        if (held) report(pattern);
        return;
    }
    if (!changes.insert(file).second || changes_under_way == changes_at_a_time) return;
    ++changes_under_way;
    lock.unlock();
    run_in_pool([self = shared_from_this()] { self->load_change(); });
}

// On a pool thread. A few at a time, so that a renewal of all certificates does not stand before
// first uses.
void certificate_source::state::load_change() {
    std::unique_lock lock(mutex);
    while (!changes.empty()) {
        const std::string file = std::move(changes.extract(changes.begin()).value());
        const auto [at, first] = loads.try_emplace(file);
        at->second.changed = true;
        at->second.again = !first;
        if (!first) continue;
        at->second.in_background = true;
        lock.unlock();
        return load_file(file);
    }
    --changes_under_way;
}

// Under the lock: can a worker have an answer that this file, which is not in memory, changes?
bool certificate_source::state::may_be_held(const std::string& file) {
    if (evicted_in_use || missing.contains(file)) return true;
    const std::string wildcard = wildcard_file(file.substr(0, file.size() - exact_file("").size()));
    return wildcard != file && entries.contains(wildcard);
}

void certificate_source::state::report(const std::string& pattern) const {
    if (replaced) replaced(pattern);
}

// --- looking at them ---

certificate_row certificate_source::state::row_of(const std::string& file, const entry& e) const {
    return {.pattern = pattern_of(file),
            .file = fetch ? std::string() : file,
            .error = e.error,
            .not_after = e.good != nullptr ? e.good->not_after : 0,
            .in_memory = e.good != nullptr};
}

std::vector<certificate_row> certificate_source::state::list() const {
    std::vector<certificate_row> rows;
    {
        const std::lock_guard lock(mutex);
        rows.reserve(entries.size());
        for (const auto& [file, e] : entries.nodes())
            rows.push_back(row_of(file, e));
    }
    std::sort(rows.begin(), rows.end(),
              [](const auto& a, const auto& b) { return a.pattern < b.pattern; });
    return rows;
}

// On a pool thread, `turns` jobs at most, so that what others want stands between them.
void certificate_source::state::sweep_on(int turns) {
    const std::int64_t now = wall_ns() / 1'000'000'000;
    bool more = false;
    if (fetch)
        sweep.turn([this] { return list(); }, now);
    else
        more = sweep.turn(folder(), now);
    if (more && turns > 1)
        run_in_pool([self = shared_from_this(), turns] { self->sweep_on(turns - 1); });
    else
        sweeping = false;
}

// --- everything may have changed ---

void certificate_source::state::rescan_memory() {
    std::vector<std::pair<std::string, file_stamp>> held;
    std::string dir;
    {
        const std::lock_guard lock(mutex);
        dir = certs_dir;
        for (const auto& n : entries.nodes())
            held.emplace_back(n.name, n.value.stamp);
    }
    for (const auto& [file, stamp] : held) {
        file_stamp now;
        if (!stat_file(dir + '/' + file, now) || now != stamp) change(file);
    }
}

// A loader has no stamps and no list of names: all in memory is loaded again, and workers look all
// names up again, as an exact one may be there by now that takes over from a wildcard.
void certificate_source::state::refetch() {
    std::vector<std::string> held;
    {
        const std::lock_guard lock(mutex);
        for (const auto& n : entries.nodes())
            held.push_back(n.name);
        for (const auto& [file, l] : loads)
            held.push_back(file);
        missing.clear();
    }
    for (const std::string& file : held)
        change(file);
    report({});
}

// Files that are not in memory matter when they are new: an exact one may take over from a
// wildcard.
void certificate_source::state::rescan_folder() {
    const std::int64_t since_ns = std::exchange(last_scan_ns, wall_ns()) - rescan_margin_ns;
    const std::string dir = folder();
    std::error_code ec;
    for (std::filesystem::directory_iterator i(dir, ec), end; !ec && i != end; i.increment(ec)) {
        const std::string file = i->path().filename().string();
        const std::string pattern = pattern_of(file);
        if (pattern.empty()) continue;
        {
            const std::lock_guard lock(mutex);
            if (entries.contains(file) || !may_be_held(file)) continue;
        }
        file_stamp stamp;
        if (stat_file(i->path().string(), stamp) && stamp.changed_ns >= since_ns) change(file);
    }
    if (ec)
        log::error("certificates: the folder {} cannot be read ({}): check its path and rights",
                   dir, ec.message());
    const std::lock_guard lock(mutex);
    missing.clear();
}

// --- another folder ---

std::string certificate_source::state::folder() const {
    const std::lock_guard lock(mutex);
    return certs_dir;
}

void certificate_source::state::use(std::string dir, std::uint64_t cache_count) {
    std::vector<std::string> files;
    {
        const std::lock_guard lock(mutex);
        int refused = 0;
        entries.set_capacity(cache_count, counting(refused));
        note_refusals(refused);
        if (fetch || dir == certs_dir) return;
        certs_dir = std::move(dir);
        missing.clear();
        for (const auto& n : entries.nodes())
            files.push_back(n.name);
        for (auto& [file, l] : loads)
            l.again = l.changed = true;
    }
    sweep.again();
    for (const std::string& file : files)
        change(file);
}

// --- the public face ---

certificate_source::certificate_source(std::string certs_dir, std::uint64_t cache_count,
                                       executor run_in_pool)
    : state_(std::make_shared<state>(std::move(certs_dir), cache_count, std::move(run_in_pool))) {}

void certificate_source::request(const std::string& host, std::string_view tenant, answer done) {
    if (!is_file_host(host)) return done(nullptr);
    state_->ask(exact_file(host), {host, std::string(tenant), std::move(done)},
                state::thread::any);
}

void certificate_source::file_changed(const std::string& file_name) {
    state_->change(file_name);
}

void certificate_source::rescan() {
    {
        const std::lock_guard lock(state_->mutex);
        state_->scan_again = true;
        if (std::exchange(state_->scanning, true)) return;
    }
    state_->run_in_pool([s = state_] {
        for (;;) {
            {
                const std::lock_guard lock(s->mutex);
                s->scanning = s->scan_again;
                if (!std::exchange(s->scan_again, false)) return;
            }
            if (s->fetch) {
                s->refetch();
                continue;
            }
            s->sweep.again();
            s->rescan_memory();
            s->rescan_folder();
        }
    });
}

void certificate_source::use(std::string certs_dir, std::uint64_t cache_count) {
    state_->use(std::move(certs_dir), cache_count);
}

void certificate_source::load_with(loader l) {
    state_->fetch = std::move(l);
}

void certificate_source::changed(const std::string& name) {
    state_->change(file_of(name));
}

void certificate_source::on_replaced(std::function<void(const std::string& pattern)> f) {
    state_->replaced = std::move(f);
}

// Short, as hellos may wait for the lock.
certificate_summary certificate_source::summary() const {
    const std::lock_guard lock(state_->mutex);
    certificate_summary out = state_->read;
    for (const auto& [file, e] : state_->entries.nodes()) {
        if (!e.error.empty()) ++out.bad; else ++out.good;
        const std::int64_t end = e.good != nullptr ? e.good->not_after : 0;
        if (end != 0 && (out.first_not_after == 0 || end < out.first_not_after)) out.first_not_after = end;
    }
    return out;
}

std::vector<certificate_row> certificate_source::list() const {
    return state_->list();
}

void certificate_source::page(std::string after, std::size_t limit,
                              std::function<void(certificate_page)> done) {
    if (state_->fetch) {
        state_->run_in_pool([s = state_, after = std::move(after), limit, done = std::move(done)] {
            done(page_of(s->list(), after, limit));
        });
        return;
    }
    list_folder({.certs_dir = state_->folder(),
                 .after = std::move(after),
                 .limit = std::max<std::size_t>(limit, 1),
                 .in_memory = [s = state_](const std::string& file)
                     -> std::optional<certificate_row> {
                     const std::lock_guard lock(s->mutex);
                     const entry* e = s->entries.peek(file);
                     if (e == nullptr) return std::nullopt;
                     return s->row_of(file, *e);
                 },
                 .run_in_pool = state_->run_in_pool,
                 .done = std::move(done)});
}

void certificate_source::watch_expiry() {
    if (state_->sweeping.exchange(true)) return;
    state_->run_in_pool([s = state_] { s->sweep_on(sweep_turns); });
}

expiry_counts certificate_source::expiring() const {
    return state_->sweep.counts();
}

}  // namespace gatehouse::tls
