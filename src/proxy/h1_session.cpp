#include <algorithm>
#include <array>
#include <cstring>
#include <gatehouse/proxy/h1_session.hpp>

#include "client_address.hpp"

namespace gatehouse::proxy {

// After a close of ours the client may still be sending: it gets this long to read what we said.
static constexpr std::int64_t linger_ns = 1'000'000'000;
static constexpr std::int64_t stalled_handshake_ns = 1'000'000'000;
static constexpr std::uint64_t linger_bytes = 256 * 1024;
// An idle connection gives OpenSSL's buffers back after this.
static constexpr std::int64_t shrink_after_ns = 1'000'000'000;
// Where the node is short of something: who was just served may ask again at once.
static constexpr std::int64_t shed_after_ns = 1'000'000'000;

h1_session::h1_session(gate& g, int fd, client_facts facts, tls::server_context* tls, handshake_slots& slots)
    : gate_(g),
      facts_(std::move(facts)),
      stream_(g.loop, fd, net::stream::phase::connected),
      tls_(tls),
      slots_(slots),
      in_(g.loop.buffers()),
      body_in_(g.loop.buffers()),
      quantum_(g.loop) {}

h1_session::~h1_session() {
    if (hello_) hello_->connected = false;
    if (scratch_) gate_.give_back(std::move(scratch_));
}

net::task<void> h1_session::run() {
    if (tls_) {
        const bool shaken = co_await handshake();
        if (!shaken) {
            bool relayed = false;
            if (hello_ && hello_->elsewhere) relayed = co_await relay();
            if (!relayed) co_await linger();
            co_return;
        }
    }
    std::int64_t patience = gate_.settings().timeouts.request_head;
    for (;;) {
        if (in_.empty()) {
            in_.release();
            idle_since_ns_ = gate_.loop.now_ns();
            const net::io_result ready = co_await stream_.readable(idle_since_ns_ + patience);
            idle_since_ns_ = 0;
            shrunk_ = false;
            if (ready.ec) {
                stream_.shutdown_write();
                co_return;
            }
        }
        // Requests sent one behind the other and answered at once are a body of their own.
        if (quantum_.over()) co_await quantum_.next();
        const ending e = co_await serve_one();
        quantum_.moved(static_cast<std::size_t>(bytes_in_ + bytes_out_));
        served_any_ = true;
        if (scratch_) gate_.give_back(std::move(scratch_));
        if (e == ending::close_after_draining) co_await linger();
        if (e == ending::reset) stream_.reset_on_close();
        if (e != ending::keep_alive || ending_asked_) {
            stream_.shutdown_write();
            co_return;
        }
        patience = gate_.settings().timeouts.keep_alive;
    }
}

// --- TLS ---

net::task<bool> h1_session::handshake() {
    const std::int64_t began = gate_.loop.now_ns();
    const std::int64_t deadline = began + gate_.settings().timeouts.tls_handshake;
    // Who has not sent a byte holds no slot.
    const net::io_result begun = co_await stream_.readable(deadline);
    bool slot = false;
    if (!begun.ec) slot = co_await take_slot(deadline);
    if (!slot) {
        gate_.counters.handshake_failed(begun.ec == errc::end_of_stream ? handshake_failure::other : handshake_failure::timeout);
        co_return false;
    }
    handshake_since_ns_ = gate_.loop.now_ns();
    hello_ = std::make_shared<hello_state>(gate_.loop);
    hello_->party = party_of_client();
    if (gate_.directory.current_platform()->relays) {
        hello_->relayed_by = facts_.relayed_by;
        stream_.keep_hello(&hello_->kept.emplace());
    }
    SSL* ssl = tls_->make(&hello_);
    error_code ec = errc::tls_failed;
    if (ssl) {
        stream_.start_tls(ssl);
        ec = co_await stream_.handshake(deadline, &hello_->ready, hello::patience_ns, &hello_->party);
    }
    stream_.keep_hello(nullptr);
    handshake_since_ns_ = 0;
    slots_.give_back();
    if (hello_->elsewhere) co_return false;   // not failed: run() relays it
    if (ec) {
        const auto why = hello_->unknown_name     ? handshake_failure::unknown_name
                         : ec == errc::timeout ? handshake_failure::timeout
                                               : handshake_failure::other;
        gate_.counters.handshake_failed(why);
        co_return false;
    }
    learn_from_handshake(began);
    co_return true;
}

net::task<bool> h1_session::take_slot(std::int64_t deadline_ns) {
    if (slots_.try_take()) co_return true;
    slot_ = std::make_unique<slot_waiter>(gate_.loop);
    slots_.queue(*slot_, party_of_client());
    const error_code late = co_await slot_->given.wait(deadline_ns);
    const bool given = slot_->given.is_set();
    slots_.forget(*slot_);
    slot_.reset();
    if (given && late) slots_.give_back();   // too late for us: the next one's
    co_return given && !late;
}

void h1_session::learn_from_handshake(std::int64_t began_ns) {
    SSL* ssl = stream_.ssl();
    facts_.tls_minor = SSL_version(ssl) == TLS1_3_VERSION ? 3 : 2;
    facts_.resumed = SSL_session_reused(ssl) == 1;
    facts_.sni_tenant = std::move(hello_->tenant);
    facts_.sni_tls_policy = std::move(hello_->tls_policy);
    // What the session has, not what was asked of it at least: the floor may be raised while it lasts.
    if (!facts_.sni_tls_policy.empty()) facts_.sni_tls_policy.replace(0, 3, facts_.tls_minor == 3 ? "1.3" : "1.2");
    facts_.sni_was_shared_host = hello_->shared_host;
    facts_.handshake_us = static_cast<std::uint32_t>((gate_.loop.now_ns() - began_ns) / 1000);
    worker_counters& c = gate_.counters;
    (facts_.resumed ? c.handshakes_resumed : c.handshakes_full).add();
    (facts_.resumed ? c.handshake_time_resumed : c.handshake_time_full).observe_us(facts_.handshake_us);
    hello_->connected = false;
    hello_.reset();
}

// --- one request ---

net::task<ending> h1_session::serve_one() {
    scratch_ = gate_.borrow();
    const head_end head = co_await read_head();
    if (head == head_end::closed) co_return ending::close;
    if (head == head_end::refused) co_return ending::close_after_draining;
    body_.start(scratch_->request.body, scratch_->request.content_length);
    bytes_out_ = 0;
    const ending e = co_await run_exchange(gate_, *this, tenant_, *scratch_);
    gate_.counters.client_bytes_in.add(bytes_in_);
    gate_.counters.client_bytes_out.add(bytes_out_);
    if (e != ending::keep_alive) co_return e;
    const bool drained = co_await drain_body();
    if (!drained) co_return ending::close_after_draining;
    keep_leftover();
    co_return ending::keep_alive;
}

net::task<h1_session::head_end> h1_session::read_head() {
    scratch& s = *scratch_;
    s.scan.reset();
    in_.reserve(net::buffer_pool::small_bytes);
    in_.compact();
    const std::int64_t deadline = gate_.loop.now_ns() + gate_.settings().timeouts.request_head;
    for (;;) {
        if (!in_.empty()) {
            const http::parse_outcome parsed = 
                http::parse_request(in_.view(), s.scan, gate_.settings().request_limits, s.request);
            if (parsed.what == http::parse_outcome::kind::complete) {
                bytes_in_ = parsed.consumed;
                in_.skip(parsed.consumed);   // the head's views stay where they are
                co_return head_end::complete;
            }
            if (parsed.what == http::parse_outcome::kind::refused) {
                co_await refuse(parsed.refused, parsed.detail);
                co_return head_end::refused;
            }
        }
        if (in_.free_bytes() == 0) in_.reserve(in_.capacity() * 2);
        const net::io_result got = co_await stream_.read_some(in_.free_space(), in_.free_bytes(), deadline);
        if (!got.ec) {
            in_.commit(got.bytes);
            continue;
        }
        if (got.ec == errc::timeout && !in_.empty()) {
            co_await refuse(problem::request_timeout, "The request's head did not arrive in time.");
            co_return head_end::refused;
        }
        co_return head_end::closed;
    }
}

// A head that never became a request: answered, counted and logged here, seen by nobody else.
net::task<void> h1_session::refuse(problem p, std::string_view detail) {
    char id[gate::request_id_bytes];
    gate_.write_request_id(id);
    const std::string_view request_id(id, sizeof id);
    bytes_in_ = in_.size();
    bytes_out_ = 0;
    const http::own_answer a{.problem = p, .detail = detail, .request_id = request_id, .date = gate_.loop.http_date(), .keep_alive = false};
    static_cast<void>(co_await answer(a));
    worker_counters& c = gate_.counters;
    c.requests.add();
    c.answered(row(p).status);
    c.refused(p);
    const stage ended = p == problem::request_timeout ? stage::head : stage::framing;
    c.end_in(ended);
    c.client_bytes_in.add(bytes_in_);
    c.client_bytes_out.add(bytes_out_);
    access_record* r = gate_.log->enabled() ? gate_.log->begin() : nullptr;
    if (!r) co_return;
    r->time_us = gate_.loop.unix_microseconds();
    r->bytes_in = bytes_in_;
    r->bytes_out = bytes_out_;
    r->status = row(p).status;
    r->problem = p;
    r->stage = ended;
    r->tls_minor = facts_.tls_minor;
    r->resumed = facts_.resumed;
    r->request_id.set(request_id);
    std::array<char, 48> text;
    r->client.set(logged(gate_.settings().logged_client, facts_.ip_known ? &facts_.ip : nullptr, facts_.ip_text, text));
    r->decision.set("refuse");
    gate_.log->commit();
}

// What is left of a short body nobody wanted, so that the connection can go on. All of it has the time of one piece:
// it counts as no request any more.
net::task<bool> h1_session::drain_body() {
    const std::int64_t deadline = gate_.loop.now_ns() + gate_.settings().timeouts.request_body_idle;
    while (!body_.done()) {
        if (quantum_.over()) co_await quantum_.next();
        const body_piece piece = co_await read_body(deadline - gate_.loop.now_ns());
        if (piece.ec) co_return false;
        quantum_.moved(piece.data.size());
    }
    co_return true;
}

// Bytes of the next request that came with this one's body.
void h1_session::keep_leftover() {
    if (in_.empty() && !body_in_.empty()) {
        in_.clear();
        in_.reserve(body_in_.size());
        std::memcpy(in_.free_space(), body_in_.view().data(), body_in_.size());
        in_.commit(body_in_.size());
    }
    body_in_.release();
    if (in_.empty()) in_.clear();
}

// Says that no more will come and waits for the client to have read it; closing with bytes unread
// would reset the connection under our last words.
net::task<void> h1_session::linger() {
    stream_.shutdown_write();
    if (!body_in_.capacity()) body_in_.reserve(net::buffer_pool::small_bytes);
    body_in_.clear();
    const std::int64_t deadline = gate_.loop.now_ns() + linger_ns;
    for (std::uint64_t read = 0; read < linger_bytes;) {
        const net::io_result got = co_await stream_.read_some(body_in_.free_space(), body_in_.free_bytes(), deadline);
        if (got.ec) break;
        read += got.bytes;
        quantum_.moved(got.bytes);
        if (quantum_.over()) co_await quantum_.next();
    }
}

// --- from outside ---

void h1_session::drain() noexcept {
    ending_asked_ = true;
    // One that has not asked for anything yet may be about to.
    if (idle_since_ns_ != 0 && served_any_) stream_.cancel(errc::cancelled);
}

void h1_session::abandon() noexcept {
    const bool ends_in_order = idle_since_ns_ != 0 && served_any_;
    drain();
    if (ends_in_order) return;
    if (hello_) hello_->ready.fail(errc::cancelled);
    if (slot_) slot_->given.fail(errc::cancelled);
    stream_.break_off();
}

void h1_session::sweep(std::int64_t now_ns) {
    if (hello_) hello_->ready.expire(now_ns);
    if (slot_) slot_->given.expire(now_ns);
    // While others wait for a slot, who stalls in the middle of a handshake gives it up.
    if (handshake_since_ns_ != 0 && slots_.contended() && now_ns - handshake_since_ns_ > stalled_handshake_ns) {
        stream_.cancel(errc::timeout);
    }
    if (ending_asked_ && idle_since_ns_ != 0 && now_ns - idle_since_ns_ > linger_ns) stream_.cancel(errc::cancelled);
    if (idle_since_ns_ != 0 && !shrunk_ && now_ns - idle_since_ns_ > shrink_after_ns) {
        stream_.shrink();
        shrunk_ = true;
    }
}

bool handshake_slots::try_take() noexcept {
    counter& active = gate_.counters.handshakes_active;
    if (contended() || active.value() >= gate_.settings().handshakes) return false;
    active.add();
    return true;
}

void handshake_slots::give_back() noexcept {
    if (waiting_.empty()) {
        gate_.counters.handshakes_active.sub();
        return;
    }
    static_cast<slot_waiter*>(waiting_.pop())->given.set();
}

void session_list::add(h1_session& s) noexcept {
    s.next_ = first_;
    if (first_) first_->previous_ = &s;
    first_ = &s;
    ++size_;
}

void session_list::remove(h1_session& s) noexcept {
    if (s.previous_) s.previous_->next_ = s.next_;
    if (s.next_) s.next_->previous_ = s.previous_;
    if (first_ == &s) first_ = s.next_;
    --size_;
}

void session_list::drain() noexcept {
    for (h1_session* s = first_; s; s = s->next_) s->drain();
}

void session_list::abandon() noexcept {
    for (h1_session* s = first_; s; s = s->next_) s->abandon();
}

// A part of them at a time, so that no more go than have to: what that gives is looked at in between.
std::size_t session_list::shed_idle(std::int64_t now_ns) noexcept {
    constexpr std::size_t batch_most = 64, parts = 16;
    const std::size_t most = std::clamp<std::size_t>(size_ / parts, 1, batch_most);
    const auto newer = [](const h1_session* a, const h1_session* b) { return a->idle_since_ns_ < b->idle_since_ns_; };
    std::array<h1_session*, batch_most> oldest;   // a heap, the newest of them on top
    std::size_t n = 0;
    for (h1_session* s = first_; s; s = s->next_) {
        if (s->idle_since_ns_ == 0 || now_ns - s->idle_since_ns_ < shed_after_ns) continue;
        if (n == most) {
            if (!newer(s, oldest[0])) continue;
            std::pop_heap(oldest.begin(), oldest.begin() + n, newer);
            --n;
        }
        oldest[n++] = s;
        std::push_heap(oldest.begin(), oldest.begin() + n, newer);
    }
    for (std::size_t i = 0; i < n; ++i) oldest[i]->stream_.cancel(errc::cancelled);
    return n;
}

void session_list::sweep(std::int64_t now_ns) {
    for (h1_session* s = first_; s; s = s->next_) s->sweep(now_ns);
}

}  // namespace gatehouse::proxy
