// Certificates that a loader brings, from a thread of its own, instead of files.
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <future>
#include <map>
#include <mutex>
#include <thread>

#include "pki.hpp"

using namespace gatehouse::tls;
using namespace gatehouse::tls::test;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

namespace {

// Runs what it is given, in order, on one thread.
class runner {
 public:
    ~runner() {
        {
            const std::lock_guard lock(mutex_);
            ended_ = true;
        }
        wake_.notify_all();
        thread_.join();
    }
    void post(std::function<void()> job) {
        const std::lock_guard lock(mutex_);
        jobs_.push_back(std::move(job));
        wake_.notify_all();
    }
    std::thread::id id() const { return thread_.get_id(); }
    // All that was there has run, and what came of it.
    void settle() {
        std::unique_lock lock(mutex_);
        idle_.wait(lock, [this] { return jobs_.empty() && !busy_; });
    }
    std::size_t ran() {
        const std::lock_guard lock(mutex_);
        return ran_;
    }

 private:
    void run() {
        std::unique_lock lock(mutex_);
        for (;;) {
            wake_.wait(lock, [this] { return ended_ || !jobs_.empty(); });
            if (jobs_.empty()) return;
            const auto job = std::move(jobs_.front());
            jobs_.pop_front();
            busy_ = true;
            lock.unlock();
            job();
            lock.lock();
            busy_ = false;
            ++ran_;
            if (jobs_.empty()) idle_.notify_all();
        }
    }
    std::mutex mutex_;
    std::condition_variable wake_, idle_;
    std::deque<std::function<void()>> jobs_;
    bool ended_ = false, busy_ = false;
    std::size_t ran_ = 0;
    std::thread thread_{[this] { run(); }};
};

// PEM texts by name, handed out on a thread of the store's own.
class store {
 public:
    void put(const std::string& name, fetched_pem text) {
        const std::lock_guard lock(mutex_);
        texts_[name] = std::move(text);
    }
    void put(const std::string& name, const issued& i) { put(name, fetched_pem{.pem = i.pem()}); }
    void remove(const std::string& name) {
        const std::lock_guard lock(mutex_);
        texts_.erase(name);
    }
    void away(bool is) { away_ = is; }
    void load(const std::string& name, const std::function<void(fetched_pem)>& done) {
        {
            const std::lock_guard lock(mutex_);
            asked_.push_back(name);
            most_at_once_ = std::max(most_at_once_, ++at_once_);
        }
        thread_.post([this, name, done] {
            fetched_pem got;
            {
                const std::lock_guard lock(mutex_);
                --at_once_;
                const auto at = texts_.find(name);
                if (away_)
                    got.unavailable = true;
                else if (at == texts_.end())
                    got.missing = true;
                else
                    got = at->second;
            }
            done(std::move(got));
        });
    }
    std::vector<std::string> take_asked() {
        const std::lock_guard lock(mutex_);
        return std::exchange(asked_, {});
    }
    int most_at_once() {
        const std::lock_guard lock(mutex_);
        return most_at_once_;
    }
    runner& thread() { return thread_; }

 private:
    std::mutex mutex_;
    std::map<std::string, fetched_pem> texts_;
    std::vector<std::string> asked_;
    int at_once_ = 0, most_at_once_ = 0;
    std::atomic<bool> away_{false};
    runner thread_;
};

struct fixture {
    explicit fixture(std::uint64_t cache_count = 100)
        : source("/nowhere", cache_count,
                 [this](std::function<void()> job) { pool.post(std::move(job)); }) {
        source.load_with([this](const std::string& name, std::function<void(fetched_pem)> done) {
            kept.load(name, std::move(done));
        });
        source.on_replaced([this](const std::string& p) {
            const std::lock_guard lock(mutex);
            replaced.push_back(p);
        });
    }

    certificate_ptr get(const std::string& host) {
        std::promise<certificate_ptr> promise;
        source.request(host, "acme", [&](certificate_ptr c) { promise.set_value(std::move(c)); });
        auto answer = promise.get_future();
        REQUIRE(answer.wait_for(10s) == std::future_status::ready);
        return answer.get();
    }
    // Until neither thread has anything left: each hands the other at most one job for one of its
    // own.
    void settle() {
        for (std::size_t before = 0, now = 1; before != now;) {
            before = pool.ran() + kept.thread().ran();
            pool.settle();
            kept.thread().settle();
            pool.settle();
            now = pool.ran() + kept.thread().ran();
        }
    }
    std::vector<std::string> take_replaced() {
        settle();
        const std::lock_guard lock(mutex);
        return std::exchange(replaced, {});
    }
    certificate_row row(const std::string& pattern) {
        for (const auto& r : source.list())
            if (r.pattern == pattern) return r;
        return {};
    }

    authority ca;
    std::mutex mutex;
    std::vector<std::string> replaced;
    store kept;
    runner pool;
    certificate_source source;
};

using names = std::vector<std::string>;

bool same(const certificate_ptr& a, const issued& b) {
    return a != nullptr && X509_cmp(a->leaf, b.cert.get()) == 0;
}

}  // namespace

TEST_CASE("a loader: the exact name before the wildcard, once for many") {
    fixture f;
    const issued exact = f.ca.issue_for("shop.acme.example"),
                 star = f.ca.issue_for("*.acme.example");
    f.kept.put("shop.acme.example", exact);
    f.kept.put("*.acme.example", star);
    CHECK(same(f.get("shop.acme.example"), exact));
    CHECK(f.kept.take_asked() == names{"shop.acme.example"});
    CHECK(same(f.get("other.acme.example"), star));
    CHECK(f.kept.take_asked() == names{"other.acme.example", "*.acme.example"});
    CHECK(same(f.get("third.acme.example"), star));
    CHECK(f.kept.take_asked() == names{"third.acme.example"});
    CHECK(f.get("shop.acme.example")->file.empty());
    CHECK(f.kept.take_asked().empty());
    CHECK(f.get("acme.example") == nullptr);
    CHECK(f.kept.take_asked() == names{"acme.example", "*.example"});

    // While the loader's thread is busy, many ask for one name.
    f.kept.put("many.acme.example", f.ca.issue_for("many.acme.example"));
    std::promise<void> gate;
    f.kept.thread().post([&] { gate.get_future().wait(); });
    std::atomic<int> answers{0};
    for (int i = 0; i < 100; ++i)
        f.source.request("many.acme.example", "acme",
                         [&](certificate_ptr c) { answers += c != nullptr ? 1 : 0; });
    gate.set_value();
    f.settle();
    CHECK(answers == 100);
    CHECK(f.kept.take_asked() == names{"many.acme.example"});
}

TEST_CASE("a loader's answer is parsed and handed out in the pool") {
    fixture f;
    f.kept.put("a.example", f.ca.issue_for("a.example"));
    std::promise<std::thread::id> answered_on;
    f.source.request("a.example", "acme", [&](certificate_ptr c) {
        CHECK(c != nullptr);
        answered_on.set_value(std::this_thread::get_id());
    });
    CHECK(answered_on.get_future().get() == f.pool.id());
}

TEST_CASE("a loader that answers at once") {
    const authority ca;
    const issued a = ca.issue_for("a.example");
    runner pool;
    certificate_source source("", 10, [&](std::function<void()> j) { pool.post(std::move(j)); });
    source.load_with([&](const std::string& name, const std::function<void(fetched_pem)>& done) {
        done(name == "a.example" ? fetched_pem{.pem = a.pem()} : fetched_pem{.missing = true});
    });
    std::promise<certificate_ptr> there, missing;
    source.request("a.example", "acme", [&](certificate_ptr c) { there.set_value(std::move(c)); });
    source.request("b.example", "acme", [&](certificate_ptr c) { missing.set_value(std::move(c)); });
    CHECK(same(there.get_future().get(), a));
    CHECK(missing.get_future().get() == nullptr);
}

TEST_CASE("a loader: changed by name, a bad one leaves the older, a removed one goes") {
    fixture f;
    const issued first = f.ca.issue_for("a.x.example"), second = f.ca.issue_for("a.x.example");
    f.kept.put("a.x.example", first);
    const certificate_ptr old = f.get("a.x.example");
    REQUIRE(same(old, first));

    f.kept.put("a.x.example", second);
    f.source.changed("a.x.example");
    CHECK(f.take_replaced() == names{"a.x.example"});
    CHECK(old->replaced);
    CHECK(same(f.get("a.x.example"), second));

    SECTION("for another host") {
        f.kept.put("a.x.example", f.ca.issue_for("b.x.example"));
        f.source.changed("a.x.example");
        CHECK(f.take_replaced().empty());
        CHECK_THAT(f.row("a.x.example").error,
                   Contains("certificate a.x.example: ") && Contains("names b.x.example"));
    }
    SECTION("too large") {
        f.kept.put("a.x.example", fetched_pem{.pem = std::string(256 * 1024 + 1, ' ')});
        f.source.changed("a.x.example");
        f.settle();
        CHECK_THAT(f.row("a.x.example").error, Contains("262145 bytes"));
    }
    SECTION("that cannot be had") {
        f.kept.put("a.x.example", fetched_pem{.error = "cannot be opened: give the key"});
        f.source.changed("a.x.example");
        f.settle();
        CHECK(f.row("a.x.example").error == "certificate a.x.example: cannot be opened: give the key");
    }
    CHECK(same(f.get("a.x.example"), second));

    f.kept.remove("a.x.example");
    f.source.changed("a.x.example");
    CHECK(f.take_replaced() == names{"a.x.example"});
    CHECK(f.get("a.x.example") == nullptr);
}

TEST_CASE("a loader that cannot say: null, nothing remembered, the older one serves") {
    fixture f;
    const issued held = f.ca.issue_for("held.x.example"), star = f.ca.issue_for("*.x.example");
    f.kept.put("held.x.example", held);
    f.kept.put("*.x.example", star);
    REQUIRE(f.get("held.x.example") != nullptr);
    REQUIRE(f.get("other.x.example") != nullptr);
    f.take_replaced();
    f.kept.take_asked();

    f.kept.away(true);
    // The wildcard is in memory, but nobody knows whether an exact one comes before it.
    CHECK(f.get("a.x.example") == nullptr);
    CHECK(f.take_replaced() == names{"a.x.example"});  // so that workers forget the null
    f.source.changed("held.x.example");
    CHECK(f.take_replaced().empty());
    CHECK(same(f.get("held.x.example"), held));
    CHECK(f.row("held.x.example").error.empty());
    CHECK(f.row("a.x.example").pattern.empty());

    f.kept.away(false);
    CHECK(same(f.get("a.x.example"), star));
    const issued exact = f.ca.issue_for("b.x.example");
    f.kept.put("b.x.example", exact);
    CHECK(same(f.get("b.x.example"), exact));
}

TEST_CASE("a loader: all may have changed, and a few at a time are loaded again") {
    fixture f;
    const auto host = [](int i) { return "h" + std::to_string(i) + ".x.example"; };
    std::vector<certificate_ptr> before;
    for (int i = 0; i < 50; ++i) {
        f.kept.put(host(i), f.ca.issue_for(host(i)));
        before.push_back(f.get(host(i)));
    }
    f.kept.put("*.x.example", f.ca.issue_for("*.x.example"));
    REQUIRE(f.get("late.x.example")->pattern == "*.x.example");
    f.settle();
    f.kept.take_asked();

    const issued late = f.ca.issue_for("late.x.example"), next = f.ca.issue_for(host(7));
    f.kept.put("late.x.example", late);
    f.kept.put(host(7), next);
    f.kept.remove(host(8));
    f.source.rescan();
    const names told = f.take_replaced();
    CHECK(std::count(told.begin(), told.end(), "") == 1);
    CHECK(f.kept.take_asked().size() == 51);
    CHECK(f.kept.most_at_once() <= 4);
    for (const certificate_ptr& c : before)
        CHECK(c->replaced);
    CHECK(same(f.get(host(7)), next));
    CHECK(f.get(host(8))->pattern == "*.x.example");
    CHECK(same(f.get("late.x.example"), late));
}

TEST_CASE("a loader: a change while it is under way is loaded again") {
    fixture f;
    const issued first = f.ca.issue_for("a.example"), second = f.ca.issue_for("a.example");
    f.kept.put("a.example", first);
    std::promise<certificate_ptr> got;
    // The store has read the first one, and has not said so yet.
    std::function<void(fetched_pem)> late;
    std::promise<void> asked;
    certificate_source source("", 10, [&](std::function<void()> j) { f.pool.post(std::move(j)); });
    source.load_with([&](const std::string& name, std::function<void(fetched_pem)> done) {
        if (late) return f.kept.load(name, std::move(done));
        late = std::move(done);
        asked.set_value();
    });
    source.request("a.example", "acme", [&](certificate_ptr c) { got.set_value(std::move(c)); });
    asked.get_future().wait();
    f.kept.put("a.example", second);
    source.changed("a.example");
    late(fetched_pem{.pem = first.pem()});
    const certificate_ptr one = got.get_future().get();
    CHECK(same(one, first));
    f.settle();
    CHECK(one->replaced);
    std::promise<certificate_ptr> then;
    source.request("a.example", "acme", [&](certificate_ptr c) { then.set_value(std::move(c)); });
    CHECK(same(then.get_future().get(), second));
}

TEST_CASE("a loader's bound is set without its folder") {
    fixture f;
    for (const char* host : {"a.example", "b.example", "c.example"}) {
        f.kept.put(host, f.ca.issue_for(host));
        REQUIRE(f.get(host) != nullptr);
    }
    f.kept.take_asked();
    f.source.use("/elsewhere", 2);
    f.settle();
    CHECK(f.source.list().size() == 2);
    CHECK(f.kept.take_asked().empty());
    CHECK(f.get("a.example") != nullptr);
}
