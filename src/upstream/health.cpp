#include <errno.h>
#include <fmt/format.h>
#include <openssl/x509_vfy.h>
#include <pthread.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <deque>
#include <gatehouse/base/log.hpp>
#include <gatehouse/http/head.hpp>
#include <gatehouse/net/buffer.hpp>
#include <gatehouse/net/stream.hpp>
#include <gatehouse/upstream/health.hpp>
#include <gatehouse/upstream/standing.hpp>
#include <random>
#include <thread>
#include <unordered_map>
#include <utility>

namespace gatehouse::upstream {

namespace asio = boost::asio;

static constexpr auto relaxed = std::memory_order_relaxed;

// --- the count ---

health_count::verdict health_count::note(bool good, std::uint32_t rise, std::uint32_t fall) noexcept {
    in_a_row_ = judged_ && good == last_good_ ? in_a_row_ + 1 : 1;
    last_good_ = good;
    const bool first = !std::exchange(judged_, true);
    if (good != down_) return verdict::same;
    if (!first && in_a_row_ < (good ? rise : fall)) return verdict::same;
    down_ = !good;
    return down_ ? verdict::went_down : verdict::came_up;
}

std::string to_text(const health_change& c) {
    const std::string who = fmt::format("pool {}: endpoint {}", c.pool, c.endpoint);
    if (!c.down) return fmt::format("{} is up again after {} s", who, (c.down_ns + 500'000'000) / 1'000'000'000);
    return c.in_a_row == 1 ? fmt::format("{} is down: {}", who, c.why)
                           : fmt::format("{} is down: {} ({} checks in a row)", who, c.why, c.in_a_row);
}

namespace {

// How one check ended.
struct check_outcome {
    check_result result = check_result::good;
    std::uint16_t status = 0;
    std::string detail;    // for the log
    bool no_judgement = false;   // it failed for want of something of ours
};

check_outcome failed(check_result r, const error_code& ec) {
    check_outcome out;
    out.result = ec == errc::timeout ? check_result::timeout : r;
    out.detail = ec.message();
    out.no_judgement = ec == errc::cancelled || is_own_want(ec);
    return out;
}

check_outcome failed_handshake(const error_code& ec, const SSL* ssl) {
    check_outcome out = failed(check_result::tls, ec);
    const long verified = SSL_get_verify_result(ssl);
    if (verified != X509_V_OK) out.detail = X509_verify_cert_error_string(verified);
    return out;
}

check_outcome of_status(std::uint16_t status) {
    check_outcome out;
    out.status = status;
    if (status < 200 || status > 399) out.result = check_result::status;
    return out;
}

std::string why(const check_outcome& o) {
    if (o.result == check_result::status) return fmt::format("status {}", o.status);
    return o.detail.empty() || o.result == check_result::timeout ? std::string(name(o.result))
                                                                : fmt::format("{}: {}", name(o.result), o.detail);
}

std::string request_text(const pool& p, const endpoint& e) {
    const std::string& host = p.spec.host == "client" || p.spec.host == "endpoint" ? e.authority : p.spec.host;
    return fmt::format(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: gatehouse-health/{}\r\nAccept: */*\r\nConnection: close\r\n\r\n",
        p.spec.health->path, host, GATEHOUSE_VERSION);
}

}  // namespace

struct health::impl {
    explicit impl(dependencies d) : deps(std::move(d)) {
        loop.on_sweep([this](std::int64_t now_ns) { sweep(now_ns); });
    }

    // One endpoint that is checked, from the first set_pools() that has it to the one that has it no more.
    struct target {
        pool_ptr pool;
        const endpoint* at = nullptr;   // of pool
        std::shared_ptr<endpoint_state> state;
        health_count count;
        std::int64_t due_ns = 0, down_since_ns = 0;
        net::stream* stream = nullptr;   // of the check under way
        bool waits = false, running = false, gone = false;
    };
    using target_ptr = std::shared_ptr<target>;
    using target_map = std::unordered_map<const endpoint_state*, target_ptr>;

    dependencies deps;
    net::loop loop;
    net::task_group tasks;
    std::thread thread;
    target_map targets;
    std::deque<target_ptr> waiting;   // due, for want of a place; each once
    std::size_t running = 0;
    bool starting = false;   // in start_waiting()
    bool stopping = false;
    std::minstd_rand random{std::random_device()()};

    // --- which endpoints ---

    void take(const pool_map& pools) {
        target_map before = std::exchange(targets, {});
        for (const auto& [pool_name, p] : pools) {
            if (!p->spec.health) continue;
            for (const endpoint& e : p->endpoints) {
                const auto known = before.find(e.state.get());
                target_ptr t = known == before.end() ? make_target(e, *p) : known->second;
                if (known != before.end()) before.erase(known);
                t->due_ns = std::min(t->due_ns, loop.now_ns() + interval_ns(*p));
                t->pool = p;
                t->at = &e;
                targets.emplace(e.state.get(), std::move(t));
            }
        }
        for (const auto& [state, t] : before) {
            t->gone = true;
            break_off(*t);
            t->state->down_reason.store(check_result::good, relaxed);
            set_down(*t->state, false, loop.now_ns());
        }
    }

    target_ptr make_target(const endpoint& e, const pool& p) {
        auto t = std::make_shared<target>();
        t->state = e.state;
        t->count = health_count(e.state->down.load(relaxed));
        t->down_since_ns = loop.now_ns();
        // Spread over the interval: a start must not ask everybody at once.
        std::uniform_int_distribution<std::int64_t> anywhen(0, interval_ns(p));
        t->due_ns = loop.now_ns() + anywhen(random);
        return t;
    }

    static std::int64_t interval_ns(const pool& p) {
        return std::chrono::nanoseconds(p.spec.health->interval).count();
    }

    // A tenth more or less each time, so that checks that fell together part again.
    std::int64_t next_due_ns(const pool& p, std::int64_t began_ns) {
        std::uniform_int_distribution<std::int64_t> jitter(-interval_ns(p) / 10, interval_ns(p) / 10);
        return began_ns + interval_ns(p) + jitter(random);
    }

    // --- when ---

    void sweep(std::int64_t now_ns) {
        if (stopping) return;
        for (const auto& [state, t] : targets) {
            if (t->running || t->waits || now_ns < t->due_ns) continue;
            t->waits = true;
            waiting.push_back(t);
        }
        start_waiting();
    }

    // A check that ends at once ends within spawn(): the loop goes on, not one loop within the other.
    void start_waiting() {
        if (std::exchange(starting, true)) return;
        while (!waiting.empty() && running < checks_at_once && !stopping) {
            const target_ptr t = std::move(waiting.front());
            waiting.pop_front();
            t->waits = false;
            if (t->gone) continue;
            t->running = true;
            ++running;
            tasks.spawn(run(*this, t));
        }
        starting = false;
    }

    static net::task<void> run(impl& self, target_ptr t) {
        const std::int64_t began_ns = self.loop.now_ns();
        const pool_ptr pool = t->pool;   // a replacement must not take it away under the check
        const check_outcome outcome = co_await ask(self, *t, *pool, *t->at);
        t->running = false;
        --self.running;
        if (!t->gone && !self.stopping) {
            t->due_ns = self.next_due_ns(*t->pool, began_ns);
            self.note(*t, outcome);
        }
        self.ended();
    }

    void ended() {
        if (!stopping) return start_waiting();
        if (running == 0) loop.stop();
    }

    // --- one check ---

    // Where stop() finds the connection of a check under way.
    struct stream_in_use {
        stream_in_use(target& t, net::stream& s) : target_(t) { target_.stream = &s; }
        ~stream_in_use() { target_.stream = nullptr; }
        stream_in_use(const stream_in_use&) = delete;
        stream_in_use& operator=(const stream_in_use&) = delete;
        target& target_;
    };

    static net::task<check_outcome> ask(impl& self, target& t, const pool& p, const endpoint& e) {
        const std::int64_t deadline_ns =
            self.loop.now_ns() + std::chrono::nanoseconds(p.spec.health->timeout).count();
        const result<int> fd = net::begin_connect(e.address);
        if (!fd) co_return failed(check_result::refused, fd.error());
        net::stream s(self.loop, *fd, net::stream::phase::connecting);
        const stream_in_use in_use(t, s);
        const net::io_result connected = co_await s.connected(deadline_ns);
        if (connected.ec) co_return failed(check_result::refused, connected.ec);
        if (p.tls) {
            SSL* ssl = p.tls->make(p.spec.tls->server_name.empty() ? e.name : p.spec.tls->server_name);
            if (!ssl) co_return failed(check_result::tls, errc::tls_failed);
            s.start_tls(ssl);
            const error_code ec = co_await s.handshake(deadline_ns, nullptr, 0);
            if (ec) co_return failed_handshake(ec, ssl);
        }
        const std::string request = request_text(p, e);
        const net::io_result sent = co_await s.write(request, deadline_ns);
        if (sent.ec) co_return failed(check_result::bad_answer, sent.ec);
        co_return co_await answer(self, s, deadline_ns);
    }

    // The final head; what follows it is not read.
    static net::task<check_outcome> answer(impl& self, net::stream& s, std::int64_t deadline_ns) {
        constexpr http::head_limits limits{.head_bytes = 64 * 1024, .fields = 200};
        constexpr int interim_limit = 16;
        net::buffer in(self.loop.buffers());
        in.reserve(net::buffer_pool::small_bytes);
        http::head_scan scan;
        http::response_head head;
        for (int interim = 0; interim <= interim_limit;) {
            if (!in.empty()) {
                const http::parse_outcome parsed = http::parse_response(in.view(), scan, limits, false, false, head);
                if (parsed.what == http::parse_outcome::kind::refused) {
                    check_outcome out;
                    out.result = check_result::bad_answer;
                    out.detail = "not valid HTTP";
                    co_return out;
                }
                if (parsed.what == http::parse_outcome::kind::complete) {
                    if (head.status >= 200 || head.status == 101) co_return of_status(head.status);
                    ++interim;
                    in.consume(parsed.consumed);
                    in.compact();
                    scan.reset();
                    head.clear();
                    continue;
                }
            }
            if (in.free_bytes() == 0) in.reserve(in.capacity() * 4);
            const net::io_result got = co_await s.read_some(in.free_space(), in.free_bytes(), deadline_ns);
            if (got.ec) co_return failed(check_result::bad_answer, got.ec);
            in.commit(got.bytes);
        }
        co_return failed(check_result::bad_answer, errc::too_large);
    }

    // --- what it means ---

    void note(target& t, const check_outcome& o) {
        endpoint_state& s = *t.state;
        if (o.no_judgement) {
            static log::limiter often(1);
            std::uint64_t suppressed = 0;
            if (often.allow(&suppressed)) log::warn("health checks cannot be made: {}", o.detail);
            return;
        }
        const tenant::health_spec& spec = *t.pool->spec.health;
        const bool good = o.result == check_result::good;
        s.checks.fetch_add(1, relaxed);
        s.last_check_unix_s.store(loop.unix_seconds(), relaxed);
        if (!good) {
            s.checks_failed.fetch_add(1, relaxed);
            s.down_status.store(o.status, relaxed);
            s.down_reason.store(o.result, relaxed);
        }
        switch (t.count.note(good, spec.rise, spec.fall)) {
            case health_count::verdict::same: return;
            case health_count::verdict::went_down: t.down_since_ns = loop.now_ns(); break;
            case health_count::verdict::came_up: break;
        }
        set_down(s, !good, loop.now_ns());
        tell({.pool = t.pool->spec.name,
              .endpoint = t.at->text,
              .down = !good,
              .why = good ? std::string() : why(o),
              .in_a_row = t.count.in_a_row(),
              .down_ns = loop.now_ns() - t.down_since_ns});
    }

    void tell(health_change c) {
        asio::post(deps.control, [f = deps.on_change, c = std::move(c)] { f(c); });
    }

    // --- the end ---

    void end() {
        stopping = true;
        waiting.clear();
        if (running == 0) return loop.stop();
        for (const auto& [state, t] : targets) break_off(*t);
    }

    static void break_off(target& t) {
        if (t.stream) t.stream->break_off();
    }
};

health::health(dependencies d) : impl_(std::make_unique<impl>(std::move(d))) {}
health::~health() { stop(); }

void health::start() {
    impl_->thread = std::thread([self = impl_.get()] {
        ::pthread_setname_np(::pthread_self(), "health");
        self->loop.run();
    });
}

void health::stop() {
    if (!impl_->thread.joinable()) return;
    impl_->loop.post([self = impl_.get()] { self->end(); });
    impl_->thread.join();
}

void health::set_pools(std::shared_ptr<const pool_map> p) {
    impl_->loop.post([self = impl_.get(), p = std::move(p)] { self->take(*p); });
}

}  // namespace gatehouse::upstream
