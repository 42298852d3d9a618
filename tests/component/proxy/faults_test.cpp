// The Nth socket operation of the gate fails, for N = 0, 1, ... until none is left to fail: two
// exchanges on a connection, plain and TLS on either side. Whatever fails, both end soon, are
// settled once, held against the right side, and leave nothing behind; what only comes late or in
// pieces changes no byte.
#include <sys/socket.h>

#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <gatehouse/proxy/h1_session.hpp>
#include <gatehouse/tls/context.hpp>

#include "faults.hpp"
#include "handshake.hpp"
#include "sockets.hpp"
#include "world.hpp"

using namespace gatehouse;
using namespace gatehouse::proxy;
using namespace gatehouse::proxy::test;
using net::test::ms;

namespace {

enum class transport { plain, tls };

constexpr const char* site = "acme.example";
constexpr std::size_t upload_bytes = 150'000, download_bytes = 200'000;

// Made once: certificates cost time.
struct certificates {
    tls::test::temporary_folder folder;
    tls::test::authority ca;
    certificates() {
        folder.write("ca.pem", ca.pem());
        folder.write(std::string(site) + ".pem", ca.issue_for(site).pem());
    }
    std::unique_ptr<tls::upstream_context> client() const {
        return std::make_unique<tls::upstream_context>(tenant::upstream_tls{
            .ca_file = folder.file("ca.pem"), .server_name = site, .client_cert_file = {}});
    }
};

// One world with a session of its own client, and an application that may speak TLS.
struct stage_set {
    stage_set(const certificates& c, transport client, transport upstream)
        : client_transport(client),
          source(c.folder.path(), 10, [](std::function<void()> job) { job(); }),
          hello(
              w.g, source, [](std::function<void()> job) { job(); }, 10),
          server(tls::server_context::options{}, hello, keys),
          client_context(c.client()) {
        w.settings.timeouts.request_head = w.settings.timeouts.tls_handshake =
            w.settings.timeouts.keep_alive = std::chrono::milliseconds(300);
        w.set_settings(w.settings);
        app_policy.sites[site] = {.certificate = tls::test::parsed(c.ca.issue_for(site).pem()),
                                  .tenant = {},
                                  .tls_policy = {},
                                  .client_ca = {}};
        if (upstream == transport::tls) {
            auto p = std::make_shared<upstream::pool>(*w.pool);
            p->spec.tls = tenant::upstream_tls{
                .ca_file = c.folder.file("ca.pem"), .server_name = site, .client_cert_file = {}};
            p->tls = c.client();
            w.pool = p;
            w.g.bindings.set_pools(
                std::make_shared<upstream::pool_map>(upstream::pool_map{{p->spec.name, p}}));
        }
        w.app.scripts = {[this, upstream](upstream_side& side) -> net::task<void> {
            stage_set& self = *this;
            if (upstream == transport::tls) {
                SSL* ssl = self.app_context.make(nullptr);
                if (!ssl) co_return;
                side.stream.start_tls(ssl);
                const error_code ec = co_await side.stream.handshake(
                    side.stream.owner_loop().now_ns() + 3000 * ms, nullptr, 0);
                if (ec) co_return;
            }
            co_await self.serve(side);
        }};
    }

    net::task<void> serve(upstream_side& side) {
        const std::string sent = net::test::pattern(upload_bytes, 1);
        const std::string long_answer =
            "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(download_bytes) + "\r\n\r\n" +
            net::test::pattern(download_bytes, 2);
        for (;;) {
            const std::string request = co_await side.request();
            if (request.empty()) co_return;
            const std::string body = request.substr(request.find("\r\n\r\n") + 4);
            const bool post = request.starts_with("POST");
            CHECK((post ? sent : std::string()).starts_with(body));  // a part when it was cut off
            if (post && body.size() != sent.size()) co_return;
            co_await side.send(post ? std::string_view(long_answer) : std::string_view(ok_text));
        }
    }

    const transport client_transport;
    tls::test::names_policy app_policy;
    tls::ticket_keys keys;
    tls::server_context app_context{{}, app_policy, keys};
    world w;
    tls::certificate_source source;
    proxy::hello hello;
    tls::server_context server;
    std::unique_ptr<tls::upstream_context> client_context;
    handshake_slots slots{w.g};
    int whole_answers = 0;
};

net::task<void> session(stage_set& at, int fd) {
    const bool secure = at.client_transport == transport::tls;
    client_facts facts;
    facts.tls = secure;
    h1_session s(at.w.g, fd, std::move(facts), secure ? &at.server : nullptr, at.slots);
    co_await s.run();
}

struct answer {
    int status = 0;  // 0: the connection ended within the head
    bool whole = false;
    std::string body;
};

// `in` keeps what is left over.
net::task<answer> read_answer(net::stream& s, std::string& in) {
    const std::int64_t until = s.owner_loop().now_ns() + 3000 * ms;
    answer out;
    std::size_t head_bytes = 0, wanted = std::string::npos;
    char piece[16 * 1024];
    for (;;) {
        if (out.status == 0 && in.find("\r\n\r\n") != std::string::npos) {
            head_bytes = in.find("\r\n\r\n") + 4;
            out.status = std::atoi(in.c_str() + 9);
            const std::size_t length = in.find("Content-Length: ");
            CHECK(length < head_bytes);
            wanted = head_bytes + std::strtoul(in.c_str() + length + 16, nullptr, 10);
        }
        out.whole = in.size() >= wanted;
        if (out.whole) break;
        const net::io_result got = co_await s.read_some(piece, sizeof piece, until);
        CHECK(got.ec != errc::timeout);
        if (got.ec) break;
        in.append(piece, got.bytes);
    }
    if (out.status != 0) out.body = in.substr(head_bytes, wanted - head_bytes);
    in.erase(0, out.whole ? wanted : in.size());
    co_return out;
}

net::task<void> ask(stage_set& at, net::stream& s) {
    const std::int64_t until = at.w.loop.now_ns() + 3000 * ms;
    if (at.client_transport == transport::tls) {
        SSL* ssl = at.client_context->make(site);
        if (!ssl) co_return;
        s.start_tls(ssl);
        const error_code ec = co_await s.handshake(until, nullptr, 0);
        CHECK(ec != errc::timeout);
        if (ec) co_return;
    }
    std::string in;
    const std::string upload = net::test::pattern(upload_bytes, 1);
    const std::string download = net::test::pattern(download_bytes, 2);
    const std::string first = post("Content-Length: " + std::to_string(upload_bytes)) + "\r\n";
    // Refused early, the rest of it may find nobody; what was answered is still there to be read.
    static_cast<void>(co_await s.write(first, upload, {}, until));
    const answer to_first = co_await read_answer(s, in);
    if (to_first.status == 200) CHECK(download.starts_with(to_first.body));
    if (to_first.status != 200 || !to_first.whole) co_return;
    ++at.whole_answers;
    const std::string second = get() + "\r\n";
    const net::io_result sent = co_await s.write(second, until);
    if (sent.ec) co_return;
    const answer to_second = co_await read_answer(s, in);
    if (to_second.status != 200 || !to_second.whole) co_return;
    CHECK(to_second.body == "ok");
    ++at.whole_answers;
}

net::task<void> client(stage_set& at, int fd) {
    net::stream s(at.w.loop, fd, net::stream::phase::connected);
    co_await ask(at, s);
    s.shutdown_write();
}

struct outcome {
    std::size_t operations = 0;
    int whole_answers = 0;
};

std::ptrdiff_t open_descriptors() {
    const std::filesystem::directory_iterator all("/proc/self/fd");
    return std::distance(begin(all), end(all));
}

// What the access log says of one exchange when a single operation failed, and on which side.
void check_line(std::string_view line, side struck, faults::how what) {
    CAPTURE(line, name(struck));
    const boost::json::object r = boost::json::parse(line).as_object();
    const std::int64_t status = r.at("status").as_int64();
    const bool refused = !r.at("problem").as_string().empty();
    if (r.at("stage") == "settle") {
        CHECK_FALSE(refused);
        CHECK(status == 200);
        return;
    }
    const bool forwarding = r.at("stage") == "forward";
    CHECK((forwarding || r.at("stage") == "answer"));
    CHECK(r.at("tenant") == "acme");
    if (struck == side::client) CHECK_FALSE(refused);  // gone: nothing was refused
    if (struck != side::upstream) return;
    CHECK(r.at("attempts").as_int64() > 0);
    // A connection that could not be made for our own want is not the application's. Of an upload that
    // nobody takes the answer may still come; only a connection that lives is waited for.
    const bool own = what == faults::how::no_buffers && r.at("problem") == "overloaded";
    const bool late = what == faults::how::no_buffers && r.at("problem") == "upstream-timeout";
    if (!own && !late) CHECK(r.at("problem") == "upstream-failed");
    CHECK(status == (!forwarding ? 200 : own ? 503 : late ? 504 : 502));
}

// How many there were.
std::uint64_t check_log(access_ring& ring, side struck, faults::how what) {
    std::string all;
    const access_ring::pieces pieces = ring.readable();
    for (const iovec& piece : pieces)
        all.append(static_cast<const char*>(piece.iov_base), piece.iov_len);
    ring.consume(all.size());
    std::uint64_t lines = 0;
    for (std::size_t at = 0; at < all.size(); ++lines) {
        const std::size_t end = all.find('\n', at);
        REQUIRE(end != std::string::npos);
        check_line(std::string_view(all).substr(at, end - at), struck, what);
        at = end + 1;
    }
    return lines;
}

outcome run_once(const certificates& c, transport client_side, transport upstream_side,
                 const faults::plan& p) {
    stage_set at(c, client_side, upstream_side);
    world& w = at.w;
    net::test::fd_pair ends = net::test::make_pair(net::test::kind::tcp);
    const std::int64_t began = w.loop.now_ns();
    faults::arm(p);
    faults::watch(ends.b.get(), side::client);
    net::test::run_coro(w.loop, session(at, ends.b.release()), client(at, ends.a.release()));
    const outcome out{faults::operations(), at.whole_answers};
    const side struck = p.and_all_after ? side::gateway : faults::struck_side();
    faults::disarm();
    CHECK(w.loop.now_ns() - began < 2000 * ms);
    CHECK(w.counters.handshakes_active.value() == 0);
    CHECK(w.counters.requests_active.value() == 0);
    // Settled once each: as many records and answers counted as requests.
    const std::uint64_t records = check_log(w.ring, struck, p.what);
    std::uint64_t answers = 0;
    for (const counter& n : w.counters.responses)
        answers += n.value();
    CHECK(records == w.counters.requests.value());
    CHECK(answers == w.counters.requests.value());
    CHECK(w.counters.requests.value() <= 2);
    // What a client suffers is never held against the application.
    if (struck == side::client) CHECK(w.pool->endpoints.front().state->failures == 0);
    return out;
}

// And leaves nothing: no coroutine, no descriptor.
outcome run(const certificates& c, transport client_side, transport upstream_side,
            const faults::plan& p) {
    const std::size_t frames = net::lent_frames();
    const std::ptrdiff_t descriptors = open_descriptors();
    const outcome out = run_once(c, client_side, upstream_side, p);
    CHECK(net::lent_frames() == frames);
    CHECK(open_descriptors() == descriptors);
    return out;
}

constexpr faults::plan plans[] = {
    {.what = faults::how::reset},       {.what = faults::how::reset, .and_all_after = true},
    {.what = faults::how::broken_pipe}, {.what = faults::how::no_buffers},
    {.what = faults::how::again},       {.what = faults::how::one_byte},
};

void fail_each(const certificates& c, transport client_side, transport upstream_side) {
    for (faults::plan p : plans) {
        const bool final = p.what != faults::how::again && p.what != faults::how::one_byte;
        int spoilt = 0;
        for (p.at = 0;; ++p.at) {
            CAPTURE(static_cast<int>(p.what), p.at, p.and_all_after);
            REQUIRE(p.at < 1000);
            const outcome o = run(c, client_side, upstream_side, p);
            if (!final) CHECK(o.whole_answers == 2);
            if (o.whole_answers < 2) ++spoilt;
            if (p.at < o.operations) continue;
            CHECK(o.whole_answers == 2);  // nothing failed any more
            CHECK(p.at > 15);             // else this showed nothing
            break;
        }
        if (final) CHECK(spoilt > 8);
    }
}

const certificates& made() {
    static const certificates c;
    return c;
}

}  // namespace

TEST_CASE("the Nth socket operation fails: plain client, plain application") {
    fail_each(made(), transport::plain, transport::plain);
}

TEST_CASE("the Nth socket operation fails: TLS client, plain application") {
    fail_each(made(), transport::tls, transport::plain);
}

TEST_CASE("the Nth socket operation fails: plain client, TLS application") {
    fail_each(made(), transport::plain, transport::tls);
}

TEST_CASE("the Nth socket operation fails: TLS client, TLS application") {
    fail_each(made(), transport::tls, transport::tls);
}
