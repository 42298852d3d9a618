// The node's certificates: first use, replacement, and every bound, on real files.
#include <atomic>
#include <catch2/catch.hpp>
#include <deque>
#include <optional>
#include <thread>

#include "certificate_file.hpp"
#include "pki.hpp"

using namespace gatehouse::tls;
using namespace gatehouse::tls::test;
using Catch::Matchers::Contains;

namespace {

// A source whose pool is a queue that the test runs by hand.
struct fixture {
    explicit fixture(std::uint64_t cache_count = 100)
        : source(folder.path(), cache_count,
                 [this](std::function<void()> job) { jobs.push_back(std::move(job)); }) {
        source.on_replaced([this](const std::string& p) { replaced.push_back(p); });
    }

    int run() {
        int count = 0;
        for (; !jobs.empty(); ++count) {
            const auto job = std::move(jobs.front());
            jobs.pop_front();
            job();
        }
        return count;
    }

    certificate_ptr get(const std::string& host) {
        std::optional<certificate_ptr> got;
        source.request(host, "acme", [&](certificate_ptr c) {
            REQUIRE_FALSE(got.has_value());
            got = std::move(c);
        });
        run();
        REQUIRE(got.has_value());
        return *got;
    }

    void change(const std::string& file) {
        source.file_changed(file);
        run();
    }

    std::string error_of(const std::string& file) {
        for (const auto& row : source.list())
            if (row.file == file) return row.error;
        return "not listed";
    }

    temporary_folder folder;
    authority ca;
    std::deque<std::function<void()>> jobs;
    std::vector<std::string> replaced;
    certificate_source source;
};

bool same(const certificate_ptr& a, const issued& b) {
    return a != nullptr && X509_cmp(a->leaf, b.cert.get()) == 0;
}

}  // namespace

TEST_CASE("the exact file comes before the wildcard, one label deep") {
    fixture f;
    const issued exact = f.ca.issue_for("shop.acme.example"),
                 star = f.ca.issue_for("*.acme.example");
    f.folder.write("shop.acme.example.pem", exact.pem());
    f.folder.write("_.acme.example.pem", star.pem());
    CHECK(same(f.get("shop.acme.example"), exact));
    CHECK(same(f.get("other.acme.example"), star));
    CHECK(f.get("other.acme.example")->pattern == "*.acme.example");
    CHECK(f.get("deep.other.acme.example") == nullptr);
    CHECK(f.get("acme.example") == nullptr);
    CHECK(f.get("localhost") == nullptr);
    CHECK(f.get("../shop.acme.example") == nullptr);
    CHECK(f.get("_.acme.example") == nullptr);
}

TEST_CASE("many who wait for one name cost one job") {
    fixture f;
    f.folder.write("a.x.example.pem", f.ca.issue_for("a.x.example").pem());
    f.folder.write("_.y.example.pem", f.ca.issue_for("*.y.example").pem());
    int answers = 0;
    certificate_ptr first;
    for (int i = 0; i < 100; ++i)
        f.source.request("a.x.example", "acme", [&](certificate_ptr c) {
            REQUIRE(c != nullptr);
            if (first == nullptr) first = c;
            answers += c == first ? 1 : 0;
        });
    CHECK(answers == 0);
    CHECK(f.run() == 1);
    CHECK(answers == 100);
    f.source.request("a.x.example", "acme", [&](certificate_ptr) { ++answers; });
    CHECK(answers == 101);
    CHECK(f.jobs.empty());

    // Two hosts under one wildcard: each looks for its own file, the wildcard is parsed once.
    const certificate_ptr one = f.get("one.y.example"), two = f.get("two.y.example");
    CHECK(one == two);
}

TEST_CASE("a missing name is answered from memory for a while") {
    fixture f;
    CHECK(f.get("none.x.example") == nullptr);
    bool answered = false;
    f.source.request("none.x.example", "acme", [&](certificate_ptr c) { answered = c == nullptr; });
    CHECK(answered);
    CHECK(f.jobs.empty());
    // Known to be missing, and then it comes.
    f.folder.write("none.x.example.pem", f.ca.issue_for("none.x.example").pem());
    f.change("none.x.example.pem");
    CHECK(f.replaced == std::vector<std::string>{"none.x.example"});
    CHECK(f.get("none.x.example") != nullptr);
}

TEST_CASE("a good new file replaces the old one") {
    fixture f;
    f.folder.write("a.x.example.pem", f.ca.issue_for("a.x.example").pem());
    const certificate_ptr old = f.get("a.x.example");
    const issued next = f.ca.issue_for("a.x.example");
    f.folder.write("a.x.example.pem", next.pem());
    f.source.file_changed("a.x.example.pem");
    f.source.file_changed("a.x.example.pem");
    CHECK(f.run() == 1);
    CHECK(f.replaced == std::vector<std::string>{"a.x.example"});
    CHECK(old->replaced);
    CHECK(same(f.get("a.x.example"), next));
}

TEST_CASE("a bad new file leaves the old one in service and is listed") {
    fixture f;
    f.folder.write("a.x.example.pem", f.ca.issue_for("a.x.example").pem());
    const certificate_ptr old = f.get("a.x.example");
    f.folder.write("a.x.example.pem", f.ca.issue_for("b.x.example").pem());
    f.change("a.x.example.pem");
    CHECK(f.replaced.empty());
    CHECK_FALSE(old->replaced);
    CHECK(f.get("a.x.example") == old);
    CHECK_THAT(f.error_of("a.x.example.pem"),
               Contains(f.folder.file("a.x.example.pem")) && Contains("names b.x.example"));
    const issued mended = f.ca.issue_for("a.x.example");
    f.folder.write("a.x.example.pem", mended.pem());
    f.change("a.x.example.pem");
    CHECK(f.error_of("a.x.example.pem").empty());
    CHECK(same(f.get("a.x.example"), mended));
}

TEST_CASE("a vanished file leaves, and its wildcard takes over") {
    fixture f;
    const issued star = f.ca.issue_for("*.x.example");
    f.folder.write("a.x.example.pem", f.ca.issue_for("a.x.example").pem());
    f.folder.write("_.x.example.pem", star.pem());
    const certificate_ptr old = f.get("a.x.example");
    f.folder.remove("a.x.example.pem");
    f.change("a.x.example.pem");
    CHECK(old->replaced);
    CHECK(f.replaced == std::vector<std::string>{"a.x.example"});
    CHECK(same(f.get("a.x.example"), star));
    f.folder.remove("_.x.example.pem");
    f.change("_.x.example.pem");
    CHECK(f.replaced.back() == "*.x.example");
    CHECK(f.get("a.x.example") == nullptr);
}

TEST_CASE("an exact file that appears later wins over the wildcard") {
    fixture f;
    f.folder.write("_.x.example.pem", f.ca.issue_for("*.x.example").pem());
    REQUIRE(f.get("a.x.example")->pattern == "*.x.example");
    const issued exact = f.ca.issue_for("a.x.example");
    f.folder.write("a.x.example.pem", exact.pem());
    SECTION("told by name") {
        f.change("a.x.example.pem");
    }
    SECTION("told when its absence was forgotten") {
        f.folder.remove("a.x.example.pem");
        f.source.rescan();
        f.run();
        REQUIRE(f.replaced.empty());
        f.folder.write("a.x.example.pem", exact.pem());
        f.change("a.x.example.pem");
    }
    SECTION("found by a rescan") {
        f.source.rescan();
        f.run();
    }
    CHECK(f.replaced == std::vector<std::string>{"a.x.example"});
    CHECK(same(f.get("a.x.example"), exact));
}

TEST_CASE("a bad exact file that never was good leaves the wildcard in service") {
    fixture f;
    const issued star = f.ca.issue_for("*.x.example");
    f.folder.write("_.x.example.pem", star.pem());
    f.folder.write("a.x.example.pem", "rubbish");
    CHECK(same(f.get("a.x.example"), star));
    CHECK_THAT(f.error_of("a.x.example.pem"), Contains("no certificate"));
    const issued exact = f.ca.issue_for("a.x.example");
    f.folder.write("a.x.example.pem", exact.pem());
    f.change("a.x.example.pem");
    CHECK(f.replaced == std::vector<std::string>{"a.x.example"});
    CHECK(same(f.get("a.x.example"), exact));
}

TEST_CASE("files nobody asked for are not read when they change") {
    fixture f;
    f.folder.write("a.x.example.pem", f.ca.issue_for("a.x.example").pem());
    for (const char* name : {"a.x.example.pem", "ca.key", "../a.pem", "", ".a.pem.swp", "x/y.pem"})
        f.source.file_changed(name);
    CHECK(f.jobs.empty());
    CHECK(f.replaced.empty());
}

TEST_CASE("a rescan reads again only what changed") {
    fixture f;
    for (const char* host : {"a.x.example", "b.x.example", "c.x.example"})
        f.folder.write(exact_file(host), f.ca.issue_for(host).pem());
    const certificate_ptr a = f.get("a.x.example"), b = f.get("b.x.example");
    REQUIRE(f.get("c.x.example") != nullptr);
    f.source.rescan();
    f.run();
    CHECK(f.replaced.empty());
    f.folder.write("b.x.example.pem", f.ca.issue_for("b.x.example").pem());
    f.folder.remove("c.x.example.pem");
    f.source.rescan();
    f.run();
    CHECK(f.replaced == std::vector<std::string>{"b.x.example", "c.x.example"});
    CHECK(f.get("a.x.example") == a);
    CHECK(f.get("b.x.example") != b);
    CHECK(f.get("c.x.example") == nullptr);
}

TEST_CASE("memory is bounded, and what a worker holds goes last") {
    fixture f(3);
    const auto host = [](int i) { return "h" + std::to_string(i) + ".x.example"; };
    for (int i = 0; i < 6; ++i)
        f.folder.write(exact_file(host(i)), f.ca.issue_for(host(i)).pem());
    const certificate_ptr held = f.get(host(0));
    for (int i = 1; i < 6; ++i)
        f.get(host(i));
    CHECK(f.source.list().size() == 3);
    CHECK(f.get(host(0)) == held);

    // All in use: the bound holds all the same, and a change is still told to the workers.
    std::vector<certificate_ptr> all;
    for (int i = 0; i < 6; ++i)
        all.push_back(f.get(host(i)));
    CHECK(f.source.list().size() == 3);
    const auto listed = f.source.list();
    for (int i = 0; i < 6; ++i) {
        if (std::any_of(listed.begin(), listed.end(),
                        [&](const auto& row) { return row.pattern == host(i); }))
            continue;
        f.replaced.clear();
        f.change(exact_file(host(i)));
        CHECK(f.replaced == std::vector<std::string>{host(i)});
    }
}

TEST_CASE("those who wait are bounded") {
    fixture f;
    int refused = 0;
    for (int i = 0; i < 20000; ++i)
        f.source.request("h" + std::to_string(i) + ".x.example", "t" + std::to_string(i % 100),
                         [&](certificate_ptr c) { refused += c == nullptr ? 1 : 0; });
    CHECK(refused == 20000 - 16 * 1024);
    f.jobs.clear();
}

TEST_CASE("one tenant's first uses do not stand before another's") {
    fixture f;
    std::vector<std::string> order;
    int refused = 0;
    const auto ask = [&](const std::string& host, const std::string& tenant) {
        f.source.request(host, tenant, [&, host](certificate_ptr c) {
            if (c != nullptr)
                order.push_back(host);
            else
                ++refused;
        });
    };
    f.folder.write("_.many.example.pem", f.ca.issue_for("*.many.example").pem());
    f.folder.write("one.example.pem", f.ca.issue_for("one.example").pem());
    for (int i = 0; i < 3000; ++i)
        ask("h" + std::to_string(i) + ".many.example", "many");
    CHECK(refused == 3000 - 2 * 1024);
    CHECK(f.jobs.size() == 2);
    ask("one.example", "one");
    REQUIRE(f.jobs.size() == 3);
    for (int i = 0; i < 3; ++i) {
        f.jobs.front()();
        f.jobs.pop_front();
    }
    CHECK(std::count(order.begin(), order.end(), "one.example") == 1);
    CHECK(f.jobs.size() <= 2);
    f.run();
    CHECK(order.size() == 2 * 1024 + 1);
    CHECK(refused == 3000 - 2 * 1024);
    // Nothing is left of it: as many again may wait.
    refused = 0;
    for (int i = 5000; i < 8000; ++i)
        ask("h" + std::to_string(i) + ".many.example", "many");
    CHECK(refused == 3000 - 2 * 1024);
    f.run();
}

TEST_CASE("an expired certificate is served all the same") {
    fixture f;
    f.folder.write(
        "a.x.example.pem",
        f.ca.issue({.dns = {"a.x.example"}, .begins_in_seconds = -7200, .ends_in_seconds = -3600})
            .pem());
    const certificate_ptr c = f.get("a.x.example");
    REQUIRE(c != nullptr);
    CHECK(c->not_after > 0);
}

TEST_CASE("a change during the read is read again") {
    temporary_folder folder;
    const authority ca;
    folder.write("a.x.example.pem", ca.issue_for("a.x.example").pem());
    std::deque<std::function<void()>> jobs;
    certificate_source source(folder.path(), 10,
                              [&](std::function<void()> j) { jobs.push_back(std::move(j)); });
    std::vector<certificate_ptr> got;
    source.request("a.x.example", "acme", [&](certificate_ptr c) { got.push_back(std::move(c)); });
    source.file_changed("a.x.example.pem");  // while the load is under way
    jobs.front()();
    source.request("a.x.example", "acme", [&](certificate_ptr c) { got.push_back(std::move(c)); });
    REQUIRE(got.size() == 2);
    CHECK(got[0]->replaced);
    CHECK_FALSE(got[1]->replaced);
}

TEST_CASE("many threads ask while files change") {
    temporary_folder folder;
    const authority ca;
    std::vector<std::string> hosts;
    for (int i = 0; i < 8; ++i)
        hosts.push_back("h" + std::to_string(i) + ".x.example");
    for (const auto& h : hosts)
        folder.write(exact_file(h), ca.issue_for(h).pem());
    certificate_source source(folder.path(), 4, [](std::function<void()> j) { j(); });
    source.on_replaced([](const std::string&) {});
    std::atomic<int> good{0}, answers{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&, t] {
            for (int i = 0; i < 50; ++i) {
                source.request(hosts[static_cast<std::size_t>(i + t) % hosts.size()], "acme",
                               [&](certificate_ptr c) {
                                   ++answers;
                                   good += c != nullptr ? 1 : 0;
                               });
                if (i % 10 == t)
                    source.file_changed(exact_file(hosts[static_cast<std::size_t>(t)]));
                if (i % 25 == t) source.rescan();
            }
        });
    for (auto& t : threads)
        t.join();
    CHECK(answers == 200);
    CHECK(good == 200);
    CHECK(source.list().size() <= 4);
}

TEST_CASE("another folder: what is in memory is looked up again there") {
    fixture f;
    const issued old_a = f.ca.issue_for("a.example"), new_a = f.ca.issue_for("a.example");
    const issued old_b = f.ca.issue_for("b.example"), old_c = f.ca.issue_for("c.example");
    const issued new_d = f.ca.issue_for("d.example");
    f.folder.write("a.example.pem", old_a.pem());
    f.folder.write("b.example.pem", old_b.pem());
    f.folder.write("c.example.pem", old_c.pem());
    temporary_folder other;
    other.write("a.example.pem", new_a.pem());
    other.write("c.example.pem", "not a certificate");
    other.write("d.example.pem", new_d.pem());
    const certificate_ptr held = f.get("a.example");
    CHECK(same(held, old_a));
    CHECK(same(f.get("b.example"), old_b));
    CHECK(same(f.get("c.example"), old_c));
    CHECK(f.get("d.example") == nullptr);
    f.source.use(other.path(), 100);
    f.run();
    CHECK(held->replaced);
    CHECK(same(f.get("a.example"), new_a));
    CHECK(f.get("b.example") == nullptr);
    CHECK(same(f.get("c.example"), old_c));
    CHECK_THAT(f.error_of("c.example.pem"), Contains("c.example.pem"));
    CHECK(same(f.get("d.example"), new_d));
}

TEST_CASE("another folder while a file is being read: the new one's answer is what stays") {
    fixture f;
    const issued before = f.ca.issue_for("a.example"), after = f.ca.issue_for("a.example");
    f.folder.write("a.example.pem", before.pem());
    temporary_folder other;
    other.write("a.example.pem", after.pem());
    certificate_ptr got;
    f.source.request("a.example", "acme", [&](certificate_ptr c) { got = std::move(c); });
    f.source.use(other.path(), 100);
    f.run();
    CHECK(got != nullptr);
    CHECK(same(f.get("a.example"), after));
}

TEST_CASE("a smaller bound holds at once") {
    fixture f(100);
    for (int i = 0; i < 8; ++i) {
        const std::string host = "h" + std::to_string(i) + ".example";
        f.folder.write(host + ".pem", f.ca.issue_for(host).pem());
        CHECK(f.get(host) != nullptr);
    }
    CHECK(f.source.list().size() == 8);
    f.source.use(f.folder.path(), 3);
    CHECK(f.source.list().size() == 3);
    CHECK(f.get("h0.example") != nullptr);
    CHECK(f.source.list().size() == 3);
}
