#include <algorithm>
#include <gatehouse/net/buffer.hpp>
#include <gatehouse/proxy/shadow.hpp>
#include <gatehouse/tenant/decide.hpp>
#include <utility>

#include "choose_endpoint.hpp"
#include "upstream_body.hpp"

namespace gatehouse::proxy {

static constexpr std::uint64_t body_bytes_max = 1024 * 1024;   // longer ones are broken off
static constexpr std::int64_t body_ns_max = 30'000'000'000;    // and slower ones, which may have no end
static constexpr int interim_max = 16;

// A copy under way. Its frame owns it; the list knows it until it has ended.
struct shadow_list::job {
    explicit job(shadow_list::copy&& what, net::loop& l) : c(std::move(what)), in(l.buffers()), began_ns(l.now_ns()) {}
    copy c;
    upstream::lease lease;
    upstream::connections::opening opening;
    net::buffer in;
    http::head_scan scan;
    http::response_head response;
    std::size_t head_bytes = 0;
    std::int64_t began_ns;
    bool ended = false;
};

const shadow_list::shadow_ptr* shadow_list::chosen(const tenant::effective& e, const std::string& from, std::uint64_t random) {
    for (const shadow_ptr& s : shadows_) {
        const shadow_terms& t = s->terms;
        if (t.from != from || loop_.now_ns() >= t.until_ns || !tenant::has_pool_of(e, t.tenant)) continue;
        if ((random >> 32) % 100 >= t.percent) return nullptr;
        if (group_.size() < under_way_max) return &s;
        ++s->report.dropped;
        return nullptr;
    }
    return nullptr;
}

void shadow_list::send(copy c) {
    group_.spawn(run(std::make_shared<job>(std::move(c), loop_)));
}

net::task<void> shadow_list::run(std::shared_ptr<job> j) {
    in_flight_guard in_flight(*j->c.endpoint->state);
    const auto place = jobs_.insert(jobs_.end(), j.get());
    const bool answered = co_await converse(*j);
    jobs_.erase(place);
    if (!answered && !j->ended) ++j->c.of->report.failed;
}

// Compares as soon as the head is there; the body is read so that the connection can be used again.
net::task<bool> shadow_list::converse(job& j) {
    co_await loop_.yield();   // behind the answer that it copies
    j.began_ns = loop_.now_ns();
    co_await loop_.after_events();   // as of an exchange: the end of a kept connection may be among them
    j.lease = connections_.take_idle(*j.c.pool, *j.c.endpoint);
    if (!j.lease) {
        upstream::connections::opened opened =
            co_await connections_.open(*j.c.pool, *j.c.endpoint, j.c.party, j.began_ns + j.c.timeouts.connect, j.opening);
        if (j.ended || opened.ec) co_return false;
        j.lease = std::move(opened.lease);
    }
    const net::io_result sent = co_await j.lease.stream().write(j.c.head, loop_.now_ns() + j.c.timeouts.upstream_body_idle);
    if (sent.ec || j.ended) co_return false;
    const bool answered = co_await receive(j);
    if (!answered || j.ended) co_return false;
    j.c.of->report.compare(j.c.status, j.response.status, j.c.first_byte_ns, loop_.now_ns() - j.began_ns);
    j.in.skip(j.head_bytes);
    upstream_body body(j.lease.stream(), j.in, j.response, j.c.timeouts.upstream_body_idle);
    std::uint64_t read = 0;
    bool last = false;
    const std::int64_t until_ns = loop_.now_ns() + std::min(body_ns_max, j.c.timeouts.upstream_body_idle);
    while (!last && read < body_bytes_max && !j.ended && loop_.now_ns() < until_ns) {
        const upstream_body::piece p = co_await body.next(upstream_body::wait::yes);
        if (p.f) break;
        last = p.last;
        read += p.data.size();
    }
    const bool kept = last && !j.ended && j.response.keep_alive && j.in.empty() && j.response.body != http::body_kind::until_close;
    if (kept) j.lease.keep();
    j.lease.discard();
    co_return true;
}

net::task<bool> shadow_list::receive(job& j) {
    net::buffer& in = j.in;
    in.reserve(net::buffer_pool::small_bytes);
    const std::int64_t deadline = loop_.now_ns() + j.c.timeouts.upstream_head;
    for (int interim = 0; interim <= interim_max;) {
        if (!in.empty()) {
            const http::parse_outcome parsed = http::parse_response(in.view(), j.scan, j.c.limits, j.c.is_head, false, j.response);
            if (parsed.what == http::parse_outcome::kind::refused) co_return false;
            if (parsed.what == http::parse_outcome::kind::complete) {
                j.head_bytes = parsed.consumed;
                http::apply_connection(j.response);
                if (j.response.status >= 200) co_return true;
                in.consume(parsed.consumed);
                in.compact();
                j.scan.reset();
                j.response.clear();
                ++interim;
                continue;
            }
        }
        if (in.free_bytes() == 0) in.reserve(in.capacity() * 4);
        const net::io_result got = co_await j.lease.stream().read_some(in.free_space(), in.free_bytes(), deadline);
        if (got.ec || j.ended) co_return false;
        in.commit(got.bytes);
    }
    co_return false;
}

void shadow_list::begin(shadow_terms t) { shadows_.push_back(std::make_shared<shadow>(shadow{std::move(t), {}})); }

shadow_report shadow_list::end(const std::string& token) {
    const auto is_it = [&token](const shadow_ptr& s) { return s->terms.token == token; };
    const auto found = std::find_if(shadows_.begin(), shadows_.end(), is_it);
    if (found == shadows_.end()) return {};
    const shadow_ptr s = *found;
    shadows_.erase(found);
    return s->report;
}

// Whoever began it takes it away; should that fail, a look at its time is all it costs.
void shadow_list::sweep(std::int64_t now_ns) {
    constexpr std::int64_t forgotten_after_ns = 60'000'000'000;
    std::erase_if(shadows_, [now_ns](const shadow_ptr& s) { return now_ns >= s->terms.until_ns + forgotten_after_ns; });
}

void shadow_list::cancel() {
    for (job* j : jobs_) {
        j->ended = true;
        j->opening.cancel(errc::cancelled);
        if (j->lease) j->lease.stream().cancel(errc::cancelled);
    }
}

}  // namespace gatehouse::proxy
