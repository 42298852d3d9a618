// The server over real sockets: connections, deadlines, bounds, Unix sockets.
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <gatehouse/admin/archive_store.hpp>
#include <gatehouse/admin/server.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <catch2/catch.hpp>
#include <fstream>
#include <future>
#include <gatehouse/net/address.hpp>
#include <thread>

#include "access.hpp"
#include "fake_node.hpp"
#include "temporary_folder.hpp"

using namespace gatehouse;
using namespace std::chrono_literals;

namespace {

// Has nothing; whoever asks it for a backup is let go without an answer.
struct empty_store : admin::archive_store {
    void copy(const std::string&, bool, std::function<void(admin::archive_answer)> done) override { copies.push_back(std::move(done)); }
    void make_backup(const std::string&, std::function<void(admin::backup_answer)> done) override { done({}); }
    void backups(const std::string&, std::function<void(admin::backups_answer)> done) override { done({}); }
    void read_backup(const std::string&, const std::string&, bool, std::function<void(admin::archive_answer)>) override {}
    void keep_usage(std::vector<store::usage_row>, std::function<void(std::string)> done) override { done({}); }
    void put_certificate(const std::string&, const secret_text&, std::function<void(tls::certificate_change)> done) override { done({}); }
    void without_certificate(std::vector<std::string>, std::function<void(std::vector<std::string>)> done) override { done({}); }
    void remove_certificate(const std::string&, std::function<void(tls::certificate_change)> done) override { done({}); }
    std::vector<std::function<void(admin::archive_answer)>> copies;   // that are under way
};

struct running {
    temporary_folder dir;
    fake_node node;
    boost::asio::io_context io;
    std::optional<admin::server> server;
    std::thread thread;
    std::string address, token;

    explicit running(std::function<void(admin::server_options&)> change = {}) {
        admin::server_options o{.address = "127.0.0.1:0", .token = "the administrator's token"};
        if (change) change(o);
        if (o.address == "unix") o.address = "unix:" + dir.file("admin.sock");
        server.emplace(io, o, node);
        server->start();
        address = server->address();
        token = std::string(o.token.view());
        thread = std::thread([this] { io.run(); });
    }
    ~running() { stop(); }
    // True when nothing of the server was left: run() came back by itself.
    void stop() {
        if (!thread.joinable()) return;
        boost::asio::post(io, [this] { server->stop(); });
        thread.join();
    }
    template <class F>
    void on_control(F f) {
        std::promise<void> done;
        boost::asio::post(io, [&] {
            f();
            done.set_value();
        });
        done.get_future().wait();
    }
};

struct client {
    int fd;
    explicit client(const std::string& address) {
        const auto a = net::parse_address(address);
        REQUIRE(a.has_value());
        fd = ::socket(a->family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
        const timeval limit{.tv_sec = 5, .tv_usec = 0};
        ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        REQUIRE(::connect(fd, a->get(), a->bytes) == 0);
    }
    ~client() { ::close(fd); }
    client(const client&) = delete;
    client& operator=(const client&) = delete;
    void send(std::string_view s) const {
        [[maybe_unused]] const auto n = ::send(fd, s.data(), s.size(), MSG_NOSIGNAL);
    }
    // One response: head and Content-Length's worth of body; or what came before the end.
    std::string receive() const {
        std::string all;
        for (char c; ::recv(fd, &c, 1, 0) == 1;) {
            all += c;
            const auto end = all.find("\r\n\r\n");
            if (end == std::string::npos) continue;
            const auto at = all.find("Content-Length: ");
            const auto body = at == std::string::npos ? 0 : std::stoul(all.substr(at + 16));
            if (all.size() == end + 4 + body) break;
        }
        return all;
    }
    bool closed() const {
        char c;
        return ::recv(fd, &c, 1, 0) == 0 || errno == ECONNRESET;
    }
};

std::string request(const std::string& method, const std::string& target,
                    const std::string& token = {}) {
    auto r = method + " " + target + " HTTP/1.1\r\nHost: x\r\n";
    if (!token.empty()) r += "Authorization: Bearer " + token + "\r\n";
    if (method == "POST") r += "Content-Length: 0\r\n";
    return r + "\r\n";
}

bool begins(const std::string& s, std::string_view with) {
    return s.substr(0, with.size()) == with;
}

// Until the node has it, and does not answer.
void ask_for_reload(running& r, const client& c) {
    r.node.answers_reload = false;
    c.send(request("POST", "/v1/reload", r.token));
    bool waiting = false;
    for (int i = 0; i < 500 && !waiting; ++i) {
        std::this_thread::sleep_for(2ms);
        r.on_control([&] { waiting = static_cast<bool>(r.node.waiting); });
    }
    REQUIRE(waiting);
}

}  // namespace

TEST_CASE("requests one after another on one connection") {
    running r;
    client c(r.address);
    c.send(request("GET", "/healthz"));
    CHECK(begins(c.receive(), "HTTP/1.1 200"));
    c.send(request("GET", "/v1/node"));
    CHECK(begins(c.receive(), "HTTP/1.1 401"));
    c.send(request("GET", "/v1/node", r.token));
    const auto answer = c.receive();
    CHECK(begins(answer, "HTTP/1.1 200"));
    CHECK(answer.find("\"id\":\"edge-1\"") != std::string::npos);
    c.send("GET /healthz HTTP/1.0\r\n\r\n");
    CHECK(begins(c.receive(), "HTTP/1.0 200"));
    CHECK(c.closed());
}

TEST_CASE("pipelined requests are answered in order") {
    running r;
    client c(r.address);
    c.send(request("GET", "/healthz") + request("GET", "/nothing", r.token) +
           request("GET", "/readyz"));
    CHECK(begins(c.receive(), "HTTP/1.1 200"));
    CHECK(begins(c.receive(), "HTTP/1.1 404"));
    CHECK(begins(c.receive(), "HTTP/1.1 200"));
}

TEST_CASE("a request byte by byte is a request") {
    running r;
    client c(r.address);
    for (const char byte : request("GET", "/readyz"))
        c.send({&byte, 1});
    CHECK(begins(c.receive(), "HTTP/1.1 200"));
}

TEST_CASE("HEAD has the length and not the body") {
    running r;
    client c(r.address);
    c.send(request("HEAD", "/healthz") + request("GET", "/healthz"));
    std::string all;
    for (char b; all.find("\r\n\r\n") == std::string::npos && ::recv(c.fd, &b, 1, 0) == 1;)
        all += b;
    CHECK(all.find("Content-Length: 16") != std::string::npos);
    CHECK(begins(c.receive(), "HTTP/1.1 200"));
}

TEST_CASE("what is too large or no HTTP is refused and closed") {
    running r;
    const auto [bytes, status] = GENERATE(table<std::string, std::string>({
        {"GET /" + std::string(70'000, 'x') + " HTTP/1.1\r\n\r\n", "HTTP/1.1 431"},
        {"GET / HTTP/1.1\r\nX: " + std::string(70'000, 'x') + "\r\n\r\n", "HTTP/1.1 431"},
        {"POST /v1/reload HTTP/1.1\r\nContent-Length: 2000000\r\n\r\n", "HTTP/1.1 413"},
        {"no http at all\r\n\r\n", "HTTP/1.1 400"},
    }));
    client c(r.address);
    c.send(bytes);
    const auto answer = c.receive();
    CAPTURE(answer);
    CHECK((begins(answer, status) || answer.empty()));  // a reset may overtake the answer
    CHECK(c.closed());
    client another(r.address);
    another.send(request("GET", "/healthz"));
    CHECK(begins(another.receive(), "HTTP/1.1 200"));
}

TEST_CASE("a slow head ends at the deadline") {
    running r([](auto& o) { o.deadline = 200ms; });
    client c(r.address);
    c.send("GET /healthz HT");
    const auto begun = std::chrono::steady_clock::now();
    CHECK(c.closed());
    CHECK(std::chrono::steady_clock::now() - begun < 3s);
}

TEST_CASE("connections beyond the bound are told so, and room is given back") {
    running r([](auto& o) { o.connections = 2; });
    auto a = std::make_unique<client>(r.address), b = std::make_unique<client>(r.address);
    for (auto* c : {a.get(), b.get()}) {
        c->send(request("GET", "/healthz"));
        REQUIRE(begins(c->receive(), "HTTP/1.1 200"));
    }
    CHECK(begins(client(r.address).receive(), "HTTP/1.1 503"));
    a.reset();
    bool served = false;
    for (int i = 0; i < 100 && !served; ++i) {
        client c(r.address);
        c.send(request("GET", "/healthz"));
        served = begins(c.receive(), "HTTP/1.1 200");
        if (!served) std::this_thread::sleep_for(10ms);
    }
    CHECK(served);
}

TEST_CASE("a reload answers with its report") {
    running r;
    r.node.report.revision = 43;
    r.node.report.applied = 2;
    client c(r.address);
    c.send(request("POST", "/v1/reload?force=1", r.token));
    const auto answer = c.receive();
    CHECK(begins(answer, "HTTP/1.1 200"));
    CHECK(answer.find("\"applied\":2") != std::string::npos);
    r.on_control([&] { CHECK(r.node.forced == true); });
}

TEST_CASE("a reload that answers later is waited for, others are served meanwhile") {
    running r([](auto& o) { o.deadline = 1s; });
    client c(r.address);
    ask_for_reload(r, c);
    client other(r.address);
    other.send(request("GET", "/healthz"));
    CHECK(begins(other.receive(), "HTTP/1.1 200"));
    std::this_thread::sleep_for(1300ms);  // beyond the deadline of ordinary requests
    r.on_control([&] { r.node.waiting({}); });
    CHECK(begins(c.receive(), "HTTP/1.1 200"));
}

TEST_CASE("a reload that never answers ends at its own deadline") {
    running r([](auto& o) { o.action_deadline = 50ms; });
    r.node.answers_reload = false;
    client c(r.address);
    c.send(request("POST", "/v1/reload", r.token));
    CHECK(begins(c.receive(), "HTTP/1.1 504"));
}

TEST_CASE("what fails while it is answered later is a 500, and the next request is answered") {
    running r;
    client c(r.address);
    ask_for_reload(r, c);
    r.on_control([&] { r.node.waiting = nullptr; });   // as an exception on the way lets it go
    const auto failed = c.receive();
    CHECK(begins(failed, "HTTP/1.1 500"));
    CHECK(failed.find("internal-error") != std::string::npos);
    CHECK(failed.find("X-Request-Id: ") != std::string::npos);
    r.node.throws = true;   // at once
    c.send(request("POST", "/v1/reload", r.token));
    CHECK(begins(c.receive(), "HTTP/1.1 500"));
    c.send(request("GET", "/healthz"));
    CHECK(begins(c.receive(), "HTTP/1.1 200"));
}

TEST_CASE("an import or a restore that fails in the pool is a 500 at once") {
    running r([](auto& o) { o.action_deadline = 4s; });
    empty_store store;
    r.node.store = &store;
    r.node.jobs_fail = true;
    r.node.add("acme");
    client c(r.address);
    c.send("POST /v1/tenants/import HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + r.token + "\r\nContent-Length: 7\r\n\r\narchive");
    CHECK(begins(c.receive(), "HTTP/1.1 500"));
    c.send(request("POST", "/v1/tenants/acme/restore", r.token));
    CHECK(begins(c.receive(), "HTTP/1.1 500"));
}

TEST_CASE("an archive in pieces has the time of one whose length is told") {
    running r([](auto& o) { o.deadline = 500ms; });
    client c(r.address);
    c.send("POST /v1/tenants/import HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + r.token + "\r\nTransfer-Encoding: chunked\r\n\r\n3\r\narc\r\n");
    std::this_thread::sleep_for(800ms);
    c.send("4\r\nhive\r\n0\r\n\r\n");
    CHECK(begins(c.receive(), "HTTP/1.1 409"));   // this node has no tenants of its own
}

TEST_CASE("one token's copies wait for each other, not for another's") {
    running r;
    empty_store store;
    r.node.store = &store;
    r.node.add("acme");
    const auto t = admin::make_token();
    r.node.access_rows.tokens[t.id] = {.id = t.id, .hash = t.hash, .role = registry::role::platform_admin, .tenant = {}, .label = {}, .made_by = {}, .made_at = {}, .expires = {}};
    const auto under_way = [&] {
        std::size_t n = 0;
        r.on_control([&] { n = store.copies.size(); });
        return n;
    };
    const auto wait_for = [&](std::size_t n) {
        for (int i = 0; i < 500 && under_way() != n; ++i)
            std::this_thread::sleep_for(2ms);
        REQUIRE(under_way() == n);
    };
    const auto finish = [&](std::size_t i) {
        r.on_control([&] { std::exchange(store.copies.at(i), nullptr)({.known = false, .why = {}, .name = {}, .bytes = {}}); });
    };
    client first(r.address), second(r.address), other(r.address);
    first.send(request("GET", "/v1/tenants/acme/export", r.token));
    wait_for(1);
    second.send(request("GET", "/v1/tenants/acme/export", r.token));
    other.send(request("GET", "/v1/tenants/acme/export", std::string(t.text.view())));
    wait_for(2);
    finish(1);
    CHECK(begins(other.receive(), "HTTP/1.1 404"));
    CHECK(under_way() == 2);   // the second of the same token waits
    finish(0);
    CHECK(begins(first.receive(), "HTTP/1.1 404"));
    wait_for(3);
    finish(2);
    CHECK(begins(second.receive(), "HTTP/1.1 404"));
}

TEST_CASE("a stop ends idle connections, half requests and waiting reloads") {
    running r;
    r.node.answers_reload = false;
    client idle(r.address), half(r.address), reload(r.address);
    half.send("GET /he");
    reload.send(request("POST", "/v1/reload", r.token));
    bool waiting = false;
    while (!waiting)
        r.on_control([&] { waiting = static_cast<bool>(r.node.waiting); });
    const auto begun = std::chrono::steady_clock::now();
    r.stop();  // returns only when no work of the server is left
    CHECK(std::chrono::steady_clock::now() - begun < 2s);
    CHECK(idle.closed());
    CHECK(half.closed());
    CHECK(reload.closed());
}

TEST_CASE("a Unix socket is the owner's alone and goes with the server") {
    std::string file;
    {
        running r([](auto& o) { o.address = "unix"; });
        file = r.dir.file("admin.sock");
        struct stat s {};
        REQUIRE(::stat(file.c_str(), &s) == 0);
        CHECK(S_ISSOCK(s.st_mode));
        CHECK((s.st_mode & 0777) == 0600);
        client c(r.address);
        c.send(request("GET", "/metrics"));
        CHECK(begins(c.receive(), "HTTP/1.1 200"));
        r.stop();
        CHECK(::stat(file.c_str(), &s) != 0);
    }
}

TEST_CASE("a stale socket file is replaced, a live one is not") {
    temporary_folder dir;
    fake_node node;
    boost::asio::io_context io;
    const auto path = dir.file("admin.sock");
    const admin::server_options o{.address = "unix:" + path, .token = "secret"};
    const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un a{};
    a.sun_family = AF_UNIX;
    path.copy(a.sun_path, sizeof a.sun_path - 1);
    REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&a), sizeof a) == 0);
    REQUIRE(::listen(fd, 1) == 0);
    CHECK_THROWS_WITH(admin::server(io, o, node), Catch::Contains("another node"));
    ::close(fd);  // as a killed node leaves it
    CHECK_NOTHROW(admin::server(io, o, node));
}

TEST_CASE("an ordinary file in the socket's place is not deleted") {
    temporary_folder dir;
    fake_node node;
    boost::asio::io_context io;
    std::ofstream(dir.file("admin.sock")) << "precious";
    const admin::server_options o{.address = "unix:" + dir.file("admin.sock"), .token = "secret"};
    CHECK_THROWS(admin::server(io, o, node));
    CHECK(std::filesystem::file_size(dir.file("admin.sock")) == 8);
}

TEST_CASE("an address in use or not understood is said with its key") {
    running r;
    fake_node node;
    boost::asio::io_context io;
    for (const auto& address : {r.address, std::string("localhost"), std::string("nonsense:x")}) {
        const admin::server_options o{.address = address, .token = "secret"};
        CHECK_THROWS_WITH(admin::server(io, o, node), Catch::Contains("[admin] address"));
    }
}

TEST_CASE("a retired server frees its address at once and answers what it was asked") {
    running r;
    r.node.answers_reload = false;
    client c(r.address);
    c.send(request("POST", "/v1/reload", r.token));
    for (bool asked = false; !asked;)
        r.on_control([&] { asked = static_cast<bool>(r.node.waiting); });
    std::unique_ptr<admin::server> next;
    r.on_control([&] {
        r.server->retire();
        CHECK_FALSE(r.server->is_idle());
        next = std::make_unique<admin::server>(r.io, admin::server_options{.address = r.address, .token = "new"}, r.node);
        next->start();
        r.node.waiting(r.node.report);
    });
    const auto answer = c.receive();
    CHECK(begins(answer, "HTTP/1.1 200"));
    CHECK(answer.find("Connection: close") != std::string::npos);
    CHECK(c.closed());
    client to_new(r.address);
    to_new.send(request("GET", "/v1/node", "new"));
    CHECK(begins(to_new.receive(), "HTTP/1.1 200"));
    r.on_control([&] {
        CHECK(r.server->is_idle());
        next.reset();
    });
}

TEST_CASE("the token changes, connections go on") {
    running r;
    client c(r.address);
    const auto ask = [&c](const std::string& token) {
        c.send(request("GET", "/v1/node", token));
        return c.receive();
    };
    CHECK(begins(ask(r.token), "HTTP/1.1 200"));
    r.on_control([&] { r.server->set_token("another token"); });
    CHECK(begins(ask(r.token), "HTTP/1.1 401"));
    CHECK(begins(ask("another token"), "HTTP/1.1 200"));
}
