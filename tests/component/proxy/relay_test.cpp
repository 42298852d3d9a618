// A strict tenant's connection relayed to its home region over real sockets, TLS end to end with
// the home; then again with the Nth socket operation failing: each ends soon, is logged once, and
// leaves nothing behind.
#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <filesystem>
#include <gatehouse/http/proxy_header.hpp>
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

constexpr const char* site = "acme.example";
constexpr std::size_t upload_bytes = 150'000, download_bytes = 200'000;

struct certificates {
    tls::test::temporary_folder folder;
    tls::test::authority ca;
    certificates() { folder.write("ca.pem", ca.pem()); }
};

const certificates& made() {
    static const certificates c;
    return c;
}

// A gateway of eu-west that relays, with no certificate at all, and the home region of acme.
struct stage_set {
    stage_set()
        : source(made().folder.path(), 10, [](std::function<void()> job) { job(); }),
          hello(
              w.g, source, [](std::function<void()> job) { job(); }, 10),
          server(tls::server_context::options{}, hello, keys),
          client_context(tenant::upstream_tls{.ca_file = made().folder.file("ca.pem"),
                                              .server_name = site,
                                              .client_cert_file = {}}) {
        w.settings.timeouts.tunnel_idle = w.settings.timeouts.tls_handshake =
            std::chrono::milliseconds(300);
        w.set_settings(w.settings);
        w.acme.region = "us-east";
        w.acme.residency = tenant::residency::strict;
        w.put_acme();
        auto p = std::make_shared<upstream::pool>(*w.pool);
        p->spec.name = upstream::region_pool_name("us-east");
        p->endpoints.front().region = p->spec.endpoints.front().region = "us-east";
        w.pool = p;
        w.g.bindings.set_pools(
            std::make_shared<upstream::pool_map>(upstream::pool_map{{p->spec.name, p}}));
        auto platform = std::make_shared<tenant::platform>(*w.directory.current_platform());
        platform->relays = true;
        w.directory.set_platform(platform);
        home_policy.sites[site] = {
            .certificate = tls::test::parsed(made().ca.issue_for(site).pem()),
            .tenant = {},
            .tls_policy = {},
            .client_ca = {}};
        w.app.scripts = {[this](upstream_side& side) -> net::task<void> { co_await serve(side); }};
    }

    // Reads the header, not a byte more; then TLS, an upload, a download.
    net::task<void> serve(upstream_side& side) {
        net::stream& s = side.stream;
        std::array<char, http::proxy_header_bytes_max> bytes;
        std::size_t have = 0;
        http::proxy_header header;
        for (;;) {
            const auto o = http::parse_proxy_header({bytes.data(), have}, header);
            CHECK(o.what != http::proxy_header_outcome::kind::refused);
            if (o.what != http::proxy_header_outcome::kind::incomplete) break;
            const net::io_result got =
                co_await s.read_some(bytes.data() + have, o.bytes - have, soon());
            if (got.ec) co_return;
            have += got.bytes;
        }
        CHECK(header.relayed_by == "eu-west");
        CHECK(header.source.to_string() == "192.0.2.7");
        CHECK(header.source_port == 40123);
        SSL* ssl = home_context.make(nullptr);
        if (!ssl) co_return;
        s.start_tls(ssl);
        const error_code ec = co_await s.handshake(soon(), nullptr, 0);
        if (ec) co_return;
        std::string upload;
        const bool all = co_await receive(s, upload, upload_bytes);
        CHECK(net::test::pattern(upload_bytes, 1).starts_with(upload));
        if (!all) co_return;
        const std::string down = net::test::pattern(download_bytes, 2);
        static_cast<void>(co_await s.write(down, soon()));
        s.shutdown_write();
    }

    net::task<bool> receive(net::stream& s, std::string& out, std::size_t bytes) {
        char piece[16 * 1024];
        while (out.size() < bytes) {
            const net::io_result got = co_await s.read_some(piece, sizeof piece, soon());
            if (got.ec) break;
            out.append(piece, got.bytes);
        }
        co_return out.size() == bytes;
    }

    net::task<void> visit(int fd) {
        net::stream s(w.loop, fd, net::stream::phase::connected);
        co_await talk(s);
        s.shutdown_write();
    }

    net::task<void> talk(net::stream& s) {
        SSL* ssl = client_context.make(site);
        if (!ssl) co_return;
        s.start_tls(ssl);
        const error_code ec = co_await s.handshake(soon(), nullptr, 0);
        if (ec) co_return;
        const std::string up = net::test::pattern(upload_bytes, 1);
        const net::io_result sent = co_await s.write(up, soon());
        if (sent.ec) co_return;
        std::string down;
        whole = co_await receive(s, down, download_bytes);
        CHECK(net::test::pattern(download_bytes, 2).starts_with(down));
    }

    net::task<void> session(int fd) {
        client_facts facts;
        facts.tls = true;
        facts.ip = *parse_ip("192.0.2.7");
        facts.ip_known = true;
        facts.ip_text = "192.0.2.7";
        facts.port = 40123;
        h1_session s(w.g, fd, std::move(facts), &server, slots);
        running = &s;
        co_await s.run();
        running = nullptr;
    }

    std::int64_t soon() const { return w.loop.now_ns() + 3000 * ms; }

    // The line of the log; empty: there is none.
    std::string line() {
        std::string all;
        const access_ring::pieces pieces = w.ring.readable();
        for (const iovec& piece : pieces)
            all.append(static_cast<const char*>(piece.iov_base), piece.iov_len);
        w.ring.consume(all.size());
        CHECK(std::count(all.begin(), all.end(), '\n') <= 1);
        return all;
    }

    tls::test::names_policy home_policy;
    tls::ticket_keys keys;
    tls::server_context home_context{{}, home_policy, keys};
    world w;
    tls::certificate_source source;
    proxy::hello hello;
    tls::server_context server;
    tls::upstream_context client_context;
    handshake_slots slots{w.g};
    h1_session* running = nullptr;
    bool whole = false;
};

std::ptrdiff_t open_descriptors() {
    const std::filesystem::directory_iterator all("/proc/self/fd");
    return std::distance(begin(all), end(all));
}

struct outcome {
    std::size_t operations = 0;
    bool whole = false;
};

outcome run_once(const faults::plan& p) {
    stage_set at;
    net::test::fd_pair ends = net::test::make_pair(net::test::kind::tcp);
    const std::int64_t began = at.w.loop.now_ns();
    faults::arm(p);
    faults::watch(ends.b.get(), side::client);
    net::test::run_coro(at.w.loop, at.session(ends.b.release()), at.visit(ends.a.release()));
    const outcome out{faults::operations(), at.whole};
    faults::disarm();
    const worker_counters& c = at.w.counters;
    CHECK(at.w.loop.now_ns() - began < 2500 * ms);
    CHECK(c.handshakes_active.value() == 0);
    CHECK(c.relays_active.value() == 0);
    CHECK(c.relays_opened.value() <= 1);
    CHECK(c.handshakes_full.value() == 0);
    // A relay or a handshake that failed, one of the two; who relays has one line.
    const std::string line = at.line();
    std::uint64_t failed = 0, broken = 0;
    for (const counter& n : c.relays_failed)
        failed += n.value();
    for (const counter& n : c.handshakes_failed)
        broken += n.value();
    CHECK(c.relays_opened.value() + failed + broken <= 1);
    if (c.relays_opened.value() + failed == 1) CHECK_FALSE(line.empty());
    if (broken == 1) CHECK(line.empty());
    if (out.whole) CHECK(line.find(R"("decision":"relay")") != std::string::npos);
    return out;
}

outcome run(const faults::plan& p) {
    const std::size_t frames = net::lent_frames();
    const std::ptrdiff_t descriptors = open_descriptors();
    const outcome out = run_once(p);
    CHECK(net::lent_frames() == frames);
    CHECK(open_descriptors() == descriptors);
    return out;
}

}  // namespace

TEST_CASE("a relayed connection, and the Nth socket operation of one that fails") {
    for (faults::plan p : {faults::plan{.what = faults::how::reset},
                           {.what = faults::how::reset, .and_all_after = true},
                           {.what = faults::how::no_buffers},
                           {.what = faults::how::again},
                           {.what = faults::how::one_byte}}) {
        const bool final = p.what != faults::how::again && p.what != faults::how::one_byte;
        int spoilt = 0;
        for (p.at = 0;; ++p.at) {
            CAPTURE(static_cast<int>(p.what), p.at, p.and_all_after);
            REQUIRE(p.at < 1000);
            const outcome o = run(p);
            if (!final) CHECK(o.whole);
            if (!o.whole) ++spoilt;
            if (p.at < o.operations) continue;
            CHECK(o.whole);    // nothing failed any more
            CHECK(p.at > 10);  // else this showed nothing
            break;
        }
        if (final) CHECK(spoilt > 5);
    }
}

TEST_CASE("a relayed connection ends when it is abandoned, and while it connects") {
    for (const bool connecting : {false, true}) {
        INFO(connecting);
        stage_set at;
        net::test::owned_fd full = net::test::owned_fd();
        std::vector<net::test::owned_fd> fillers;
        if (connecting) {
            unsigned short port = 0;
            full = net::test::listen_tcp(0, port);
            for (int i = 0; i < 3; ++i)
                fillers.push_back(net::test::connect_tcp(port));
            auto p = std::make_shared<upstream::pool>(*at.w.pool);
            p->endpoints.front().address = *net::parse_address("127.0.0.1:" + std::to_string(port));
            at.w.pool = p;
            at.w.g.bindings.set_pools(
                std::make_shared<upstream::pool_map>(upstream::pool_map{{p->spec.name, p}}));
        } else {
            at.w.app.scripts = {[](upstream_side& side) -> net::task<void> {
                static_cast<void>(co_await side.ended());
            }};
        }
        net::test::fd_pair ends = net::test::make_pair(net::test::kind::tcp);
        const auto end_it = [](stage_set& s, bool while_connecting) -> net::task<void> {
            const auto begun = [&] {
                return while_connecting ? s.w.g.upstreams.counts().open == 1
                                        : s.w.counters.relays_active.value() == 1;
            };
            const bool there = co_await net::test::until(s.w.loop, begun);
            CHECK(there);
            CHECK(s.running != nullptr);
            if (!s.running) co_return;
            s.w.g.live.close_all();
            s.running->abandon();
            const bool gone =
                co_await net::test::until(s.w.loop, [&] { return s.running == nullptr; });
            CHECK(gone);
        };
        const std::int64_t began = at.w.loop.now_ns();
        net::test::run_coro(at.w.loop, at.session(ends.b.release()), at.visit(ends.a.release()),
                            end_it(at, connecting));
        CHECK(at.w.loop.now_ns() - began < 250 * ms);  // sooner than any deadline
        CHECK(at.w.counters.relays_active.value() == 0);
        CHECK_FALSE(at.line().empty());
    }
}
