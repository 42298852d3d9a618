// The access log against real files, pipes and /dev/full: what is written, what is lost, and that
// nobody waits.
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <catch2/catch.hpp>
#include <gatehouse/proxy/access_log.hpp>

#include <boost/json.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <thread>

using namespace gatehouse;
using namespace gatehouse::proxy;
using namespace std::chrono_literals;
namespace json = boost::json;

namespace {

struct temporary_folder {
    std::filesystem::path path;
    temporary_folder() {
        std::string pattern =
            (std::filesystem::temp_directory_path() / "gatehouse-log-XXXXXX").string();
        path = ::mkdtemp(pattern.data());
    }
    ~temporary_folder() { std::filesystem::remove_all(path); }
    std::string file(const char* name) const { return (path / name).string(); }
};

std::string content(const std::string& file) {
    std::ifstream in(file, std::ios::binary);
    std::ostringstream out;
    out << in.rdbuf();
    return out.str();
}

std::vector<json::object> lines(const std::string& file) {
    std::vector<json::object> result;
    std::istringstream in(content(file));
    for (std::string line; std::getline(in, line);)
        result.push_back(json::parse(line).as_object());
    return result;
}

bool within(std::chrono::milliseconds limit, const std::function<bool()>& condition) {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > end) return false;
        std::this_thread::sleep_for(2ms);
    }
    return true;
}

access_record sample(std::string_view path = "/a?token=secret") {
    access_record r;
    r.clear();
    r.time_us = 1'700'000'000'000'042;
    r.request_id.set("0123456789abcdef");
    r.trace_id.set("4bf92f3577b34da6a3ce929d0e0e4736");
    r.tenant.set("acme");
    r.parent.set("pixel");
    r.route.set("/a");
    r.region.set("eu-west");
    r.method.set("GET");
    r.host.set("shop.acme.example");
    r.set_path(path);
    r.status = 429;
    r.problem = problem::rate_limited;
    r.stage = stage::admit;
    r.decision.set("rate tenant acme");
    r.upstream.set("127.0.0.1:9001");
    r.attempts = 2;
    r.bytes_in = 10;
    r.bytes_out = ~0ull;
    r.handshake_us = 1;
    r.queue_us = 2;
    r.connect_us = 3;
    r.first_byte_us = 4;
    r.total_us = 5;
    r.tls_minor = 3;
    r.resumed = true;
    r.client.set("192.0.2.7");
    return r;
}

json::object formatted(const access_record& r) {
    std::array<char, access_line_bytes_max> out;
    const std::string text(out.data(), format_record(out.data(), r));
    REQUIRE(text.back() == '\n');
    REQUIRE(text.find('\n') == text.size() - 1);
    return json::parse(std::string_view(text).substr(0, text.size() - 1)).as_object();
}

std::string path_of(const json::object& o) {
    return std::string(o.at("path").as_string());
}

bool push(access_ring& ring, const access_record& r) {
    access_record* slot = ring.begin();
    if (slot == nullptr) return false;
    *slot = r;
    ring.commit();
    return true;
}

std::string take_all(access_ring& ring) {
    std::string out;
    for (const iovec& piece : ring.readable())
        out.append(static_cast<const char*>(piece.iov_base), piece.iov_len);
    ring.consume(out.size());
    return out;
}

std::unique_ptr<access_sink> open_sink(const std::string& path) {
    error_code ec;
    auto sink = access_sink::open(path, ec);
    REQUIRE(sink);
    return sink;
}

// Standard output replaced for the length of a test.
struct redirected_stdout {
    int saved;
    explicit redirected_stdout(int fd) : saved(::dup(STDOUT_FILENO)) {
        std::fflush(stdout);
        ::dup2(fd, STDOUT_FILENO);
    }
    ~redirected_stdout() {
        ::dup2(saved, STDOUT_FILENO);
        ::close(saved);
    }
};

}  // namespace

TEST_CASE("a record has every field, typed") {
    const auto o = formatted(sample());
    CHECK(o.at("time") == "2023-11-14T22:13:20.000042Z");
    CHECK(o.at("request_id") == "0123456789abcdef");
    CHECK(o.at("trace_id") == "4bf92f3577b34da6a3ce929d0e0e4736");
    CHECK(o.at("tenant") == "acme");
    CHECK(o.at("parent") == "pixel");
    CHECK(o.at("route") == "/a");
    CHECK(o.at("region") == "eu-west");
    CHECK(o.at("method") == "GET");
    CHECK(o.at("host") == "shop.acme.example");
    CHECK(o.at("path") == "/a");
    CHECK(o.at("status") == 429);
    CHECK(o.at("problem") == "rate-limited");
    CHECK(o.at("stage") == "admit");
    CHECK(o.at("decision") == "rate tenant acme");
    CHECK(o.at("upstream") == "127.0.0.1:9001");
    CHECK(o.at("attempts") == 2);
    CHECK(o.at("bytes_in") == 10);
    CHECK(o.at("bytes_out").to_number<std::uint64_t>() == ~0ull);
    CHECK(o.at("handshake_us") == 1);
    CHECK(o.at("queue_us") == 2);
    CHECK(o.at("connect_us") == 3);
    CHECK(o.at("first_byte_us") == 4);
    CHECK(o.at("total_us") == 5);
    CHECK(o.at("tls") == "1.3");
    CHECK(o.at("resumed") == true);
    CHECK(o.at("client") == "192.0.2.7");
    CHECK(o.size() == 26);
}

TEST_CASE("an empty record is still a whole line") {
    access_record r;
    r.clear();
    const auto o = formatted(r);
    CHECK(o.size() == 26);
    CHECK(o.at("tls") == "");
    CHECK(o.at("problem") == "");
}

TEST_CASE("any bytes make valid JSON on one line") {
    const auto [bytes, expected] = GENERATE(table<std::string, std::string>({
        {"/\"quoted\\", "/\"quoted\\"},
        {"/a\nb\r\tc", "/a\nb\r\tc"},
        {std::string("/nul\0x", 6), std::string("/nul\0x", 6)},
        {"/caf\xc3\xa9", "/caf\xc3\xa9"},
        {"/bad\xff"
         "end",
         "/bad\xef\xbf\xbd"
         "end"},
    }));
    CHECK(std::string_view(formatted(sample(bytes)).at("path").as_string()) == expected);
}

TEST_CASE("long text is cut, in the middle of a character too") {
    const auto o = formatted(sample("/" + std::string(510, 'x') + "\xc3\xa9"));
    const std::string_view path = o.at("path").as_string();
    CHECK(path.substr(0, 511) == "/" + std::string(510, 'x'));
    CHECK(path.size() <= 511 + 3);
}

TEST_CASE("every byte value survives the formatter") {
    for (int c = 0; c < 256; ++c) {
        auto r = sample();
        r.host.set(std::string(3, static_cast<char>(c)));
        CHECK_NOTHROW(formatted(r));
    }
}

TEST_CASE("the longest line there can be fits") {
    access_record r;
    r.clear();
    const std::string control(1000, '\x01');
    r.request_id.set(control);
    r.trace_id.set(control);
    for (auto* text : {&r.tenant, &r.parent, &r.route, &r.upstream, &r.decision})
        text->set(control);
    r.region.set(control);
    r.method.set(control);
    r.client.set(control);
    r.host.set(control);
    r.set_path(control);
    r.bytes_in = r.bytes_out = r.total_us = ~0ull;
    r.handshake_us = r.queue_us = r.connect_us = r.first_byte_us = ~0u;
    r.problem = problem::tenant_maintenance;
    std::string out(2 * access_line_bytes_max, '#');
    CHECK(format_record(out.data(), r) <= out.data() + access_line_bytes_max);
}

TEST_CASE("a full ring drops and counts, and goes on when it is read") {
    access_ring ring(true, -1);
    const auto r = sample();
    std::size_t pushed = 0;
    while (push(ring, r))
        ++pushed;
    CHECK(pushed > 1000);
    CHECK(ring.begin() == nullptr);
    CHECK(ring.dropped() == 2);
    std::istringstream in(take_all(ring));
    std::size_t n = 0;
    for (std::string line; std::getline(in, line); ++n)
        REQUIRE(json::parse(line).as_object().at("path") == "/a");
    CHECK(n == pushed);
    CHECK(push(ring, r));
}

TEST_CASE("lines go over the ring's end whole") {
    access_ring ring(true, -1);
    std::size_t bytes = 0;
    for (int i = 0; bytes < 3 * access_ring::capacity_bytes; ++i) {
        REQUIRE(push(ring, sample("/" + std::to_string(i))));
        const std::string line = take_all(ring);
        bytes += line.size();
        REQUIRE(path_of(json::parse(line).as_object()) == "/" + std::to_string(i));
    }
}

TEST_CASE("a ring that is off takes nothing and counts nothing") {
    access_log log("off");
    auto* ring = log.make_ring();
    CHECK_FALSE(ring->enabled());
    CHECK(ring->begin() == nullptr);
    CHECK(ring->dropped() == 0);
    log.reopen();
    log.stop();
}

TEST_CASE("a record is cleared before it is filled again") {
    access_ring ring(true, -1);
    push(ring, sample());
    auto* slot = ring.begin();
    REQUIRE(slot != nullptr);
    CHECK(slot->tenant.view().empty());
    CHECK(slot->status == 0);
    CHECK_FALSE(slot->resumed);
}

TEST_CASE("lines of several workers arrive whole, each worker's in order") {
    temporary_folder dir;
    const auto file = dir.file("access.log");
    constexpr int workers = 3, each = 2000;
    {
        access_log log(file);
        std::vector<std::thread> threads;
        for (int w = 0; w < workers; ++w)
            threads.emplace_back([ring = log.make_ring(), w] {
                for (int i = 0; i < each; ++i) {
                    auto* r = ring->begin();
                    if (r == nullptr) return;
                    r->total_us = static_cast<std::uint64_t>(i);
                    r->attempts = static_cast<std::uint8_t>(w);
                    ring->commit();
                }
            });
        for (auto& t : threads)
            t.join();
        log.stop();
        CHECK(log.lines_written() == workers * each);
        CHECK(log.lines_lost() == 0);
    }
    std::array<int, workers> next{};
    for (const auto& o : lines(file)) {
        auto& expected = next[o.at("attempts").to_number<std::size_t>()];
        REQUIRE(o.at("total_us") == expected);
        ++expected;
    }
    CHECK(next == std::array<int, workers>{each, each, each});
}

TEST_CASE("lines appear without a stop") {
    temporary_folder dir;
    access_log log(dir.file("access.log"));
    push(*log.make_ring(), sample());
    CHECK(within(2s, [&] { return lines(dir.file("access.log")).size() == 1; }));
}

TEST_CASE("after a rename and reopen new lines go to a new file") {
    temporary_folder dir;
    const auto file = dir.file("access.log"), old = dir.file("access.log.1");
    access_log log(file);
    auto* ring = log.make_ring();
    push(*ring, sample("/before"));
    REQUIRE(within(2s, [&] { return log.lines_written() == 1; }));
    std::filesystem::rename(file, old);
    log.reopen();
    REQUIRE(within(2s, [&] { return std::filesystem::exists(file); }));
    push(*ring, sample("/after"));
    log.stop();
    REQUIRE(lines(old).size() == 1);
    CHECK(lines(old)[0].at("path") == "/before");
    REQUIRE(lines(file).size() == 1);
    CHECK(lines(file)[0].at("path") == "/after");
}

TEST_CASE("when the file cannot be opened again, the old one is kept") {
    temporary_folder dir;
    std::filesystem::create_directory(dir.path / "logs");
    access_log log(dir.file("logs/access.log"));
    auto* ring = log.make_ring();
    std::filesystem::rename(dir.path / "logs", dir.path / "moved");
    log.reopen();
    push(*ring, sample());
    log.stop();
    CHECK(log.lines_written() == 1);
    CHECK(lines(dir.file("moved/access.log")).size() == 1);
}

TEST_CASE("a file that cannot be opened is an error at the start") {
    CHECK_THROWS_AS(access_log("/nonexistent/folder/access.log"), std::system_error);
}

TEST_CASE("a full disk costs lines, counted, and no time") {
    access_log log("/dev/full");
    auto* ring = log.make_ring();
    for (int i = 0; i < 100; ++i)
        REQUIRE(push(*ring, sample()));
    CHECK(within(2s, [&] { return log.lines_lost() == 100; }));
    push(*ring, sample());
    const auto begun = std::chrono::steady_clock::now();
    log.stop();
    CHECK(std::chrono::steady_clock::now() - begun < 500ms);
    CHECK(log.lines_lost() == 101);
    CHECK(log.lines_written() == 0);
}

TEST_CASE("where a file is full, it ends with a whole line, and goes on when there is room") {
    temporary_folder dir;
    const auto file = dir.file("access.log");
    ::signal(SIGXFSZ, SIG_IGN);
    rlimit before{};
    ::getrlimit(RLIMIT_FSIZE, &before);
    const rlimit tight{10'000, before.rlim_max};
    access_log log(file);
    auto* ring = log.make_ring();
    ::setrlimit(RLIMIT_FSIZE, &tight);
    for (int i = 0; i < 50; ++i)
        push(*ring, sample());
    const bool counted = within(2s, [&] { return log.lines_written() + log.lines_lost() == 50; });
    ::setrlimit(RLIMIT_FSIZE, &before);
    CHECK(counted);
    CHECK(log.lines_lost() > 0);
    CHECK(content(file).back() == '\n');
    CHECK(lines(file).size() == log.lines_written());
    push(*ring, sample("/again"));
    log.stop();
    CHECK(log.lines_written() + log.lines_lost() == 51);
    CHECK(lines(file).size() == log.lines_written());
    CHECK(lines(file).back().at("path") == "/again");
}

TEST_CASE("another sink takes over: no line is lost, none is in both") {
    temporary_folder dir;
    constexpr int turns = 20, each = 100;
    access_log log(dir.file("0"));
    auto* ring = log.make_ring();
    std::atomic<int> pushed{0};
    std::atomic<bool> end{false};
    std::thread worker([&] {
        for (int i = 0; !end; ++i) {
            while (!push(*ring, sample("/" + std::to_string(i))))
                std::this_thread::yield();
            pushed = i + 1;
            if (i % each == 0) std::this_thread::sleep_for(1ms);
        }
    });
    for (int turn = 1; turn < turns; ++turn) {
        const int then = pushed;
        REQUIRE(within(2s, [&] { return pushed > then + each; }));
        log.take(open_sink(dir.file(std::to_string(turn).c_str())));
    }
    end = true;
    worker.join();
    log.stop();
    CHECK(log.lines_lost() == 0);
    int next = 0;
    for (int turn = 0; turn < turns; ++turn) {
        for (const auto& o : lines(dir.file(std::to_string(turn).c_str())))
            REQUIRE(path_of(o) == "/" + std::to_string(next++));
    }
    CHECK(next == pushed);
}

TEST_CASE("what was committed before the change is in the old file") {
    temporary_folder dir;
    access_log log(dir.file("old"));
    auto* ring = log.make_ring();
    push(*ring, sample("/before"));
    log.take(open_sink(dir.file("new")));
    // The writer's own tick may have come between: the old file may get some of these too.
    REQUIRE(within(2s, [&] {
        push(*ring, sample("/after"));
        return !content(dir.file("new")).empty();
    }));
    log.stop();
    REQUIRE(!lines(dir.file("old")).empty());
    CHECK(lines(dir.file("old"))[0].at("path") == "/before");
    for (const auto& o : lines(dir.file("new")))
        CHECK(o.at("path") == "/after");
}

TEST_CASE("off and on again") {
    temporary_folder dir;
    access_log log("off");
    auto* ring = log.make_ring();
    CHECK_FALSE(push(*ring, sample()));
    log.take(open_sink(dir.file("one")));
    CHECK(push(*ring, sample("/one")));
    REQUIRE(within(2s, [&] { return log.lines_written() == 1; }));
    log.take(nullptr);
    CHECK_FALSE(ring->enabled());
    CHECK_FALSE(push(*ring, sample("/nowhere")));
    CHECK(log.make_ring()->begin() == nullptr);
    log.take(open_sink(dir.file("two")));
    CHECK(push(*ring, sample("/two")));
    log.stop();
    CHECK(log.lines_written() == 2);
    CHECK((content(dir.file("one")) + content(dir.file("two"))).find("/nowhere") ==
          std::string::npos);
    CHECK(log.lines_lost() == 0);
}

TEST_CASE("a reader that stopped does not hold up another sink") {
    temporary_folder dir;
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    const auto redirected = std::make_unique<redirected_stdout>(ends[1]);
    access_log log("stdout");
    auto* ring = log.make_ring();
    std::size_t pushed = 0;
    for (; pushed < 1500; ++pushed)
        REQUIRE(push(*ring, sample()));
    REQUIRE(within(2s, [&] { return log.lines_written() > 0; }));
    std::this_thread::sleep_for(50ms);
    const auto in_pipe = log.lines_written();
    log.take(open_sink(dir.file("new")));
    CHECK(within(2s, [&] { return log.lines_written() + log.lines_lost() == pushed; }));
    log.stop();
    CHECK(log.lines_lost() <= 1);  // the one the pipe has in part
    CHECK(lines(dir.file("new")).size() == log.lines_written() - in_pipe);
    ::close(ends[0]);
    ::close(ends[1]);
}

TEST_CASE("a reader that stopped costs lines; neither the worker nor the stop waits for it") {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    const auto redirected = std::make_unique<redirected_stdout>(ends[1]);
    access_log log("stdout");
    auto* ring = log.make_ring();
    constexpr int pushed = 20'000;
    std::chrono::steady_clock::duration slowest{};
    for (int i = 0; i < pushed; ++i) {
        const auto begun = std::chrono::steady_clock::now();
        push(*ring, sample());
        slowest = std::max(slowest, std::chrono::steady_clock::now() - begun);
    }
    const auto begun = std::chrono::steady_clock::now();
    log.stop();
    const auto took = std::chrono::steady_clock::now() - begun;
    CHECK(took < 1900ms);
    CHECK(slowest < 1s);
    CHECK(ring->dropped() > 0);
    CHECK(log.lines_written() + log.lines_lost() + ring->dropped() == pushed);
    // The flags of the shared standard output are as they were.
    CHECK((::fcntl(ends[1], F_GETFL) & O_NONBLOCK) == 0);
    ::close(ends[0]);
    ::close(ends[1]);
}

TEST_CASE("a reader that went away is an error code, not a signal") {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    const auto redirected = std::make_unique<redirected_stdout>(ends[1]);
    access_log log("stdout");
    auto* ring = log.make_ring();
    ::close(ends[0]);
    push(*ring, sample());
    log.stop();
    CHECK(log.lines_lost() == 1);
    ::close(ends[1]);
}

TEST_CASE("a slow reader gets every line whole") {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    std::string received;
    {
        const auto redirected = std::make_unique<redirected_stdout>(ends[1]);
        auto log = std::make_unique<access_log>("stdout");
        ::close(ends[1]);
        auto* ring = log->make_ring();
        for (int i = 0; i < 1000; ++i)
            REQUIRE(push(*ring, sample()));
        std::this_thread::sleep_for(100ms);  // the pipe fills: the writer must keep what is left
        std::thread reader([&] {
            char piece[1000];
            for (ssize_t n = 0; (n = ::read(ends[0], piece, sizeof piece)) > 0;)
                received.append(piece, static_cast<std::size_t>(n));
        });
        CHECK(within(5s, [&] { return log->lines_written() == 1000; }));
        log->stop();
        ::dup2(redirected->saved, STDOUT_FILENO);  // with the log's own, the last writing end
        log.reset();
        reader.join();
    }
    ::close(ends[0]);
    std::istringstream in(received);
    int n = 0;
    for (std::string line; std::getline(in, line); ++n)
        CHECK_NOTHROW(json::parse(line));
    CHECK(n == 1000);
}
