// Pages of certificates, of a folder and of what a loader brought.
#include <catch2/catch.hpp>
#include <deque>
#include <optional>

#include "certificate_file.hpp"
#include "pki.hpp"

using namespace gatehouse::tls;
using namespace gatehouse::tls::test;
using Catch::Matchers::Contains;

namespace {

struct fixture {
    void run() {
        for (; !jobs.empty(); ++turns) {
            const auto job = std::move(jobs.front());
            jobs.pop_front();
            job();
        }
    }
    certificate_page page(const std::string& after, std::size_t limit) {
        std::optional<certificate_page> got;
        source.page(after, limit, [&](certificate_page p) { got = std::move(p); });
        CHECK_FALSE(got.has_value());  // in the pool alone
        run();
        REQUIRE(got.has_value());
        return *got;
    }
    // All patterns, a page of `limit` at a time.
    std::vector<std::string> all(std::size_t limit) {
        std::vector<std::string> out;
        std::string after;
        do {
            const certificate_page p = page(after, limit);
            CHECK(p.rows.size() <= limit);
            for (const auto& r : p.rows)
                out.push_back(r.pattern);
            after = p.next;
        } while (!after.empty());
        return out;
    }
    void use(const std::string& host) {
        source.request(host, "", [](const certificate_ptr& c) { CHECK(c != nullptr); });
        run();
    }

    temporary_folder folder;
    authority ca;
    std::deque<std::function<void()>> jobs;
    int turns = 0;
    certificate_source source{folder.path(), 3,
                              [this](std::function<void()> j) { jobs.push_back(std::move(j)); }};
};

}  // namespace

TEST_CASE("pages of a folder, by name, whatever is in memory") {
    fixture f;
    const std::vector<std::string> names = {"*.x.example", "a.example", "b.example", "c.example",
                                            "d.example"};
    for (const auto& n : names)
        f.folder.write(file_of(n), f.ca.issue_for(n).pem());
    f.folder.write("notes.txt", "");
    f.use("b.example");
    f.use("any.x.example");
    for (const std::size_t limit : {1U, 2U, 3U, 4U, 5U, 100U}) {
        CAPTURE(limit);
        CHECK(f.all(limit) == names);
    }
    const certificate_page p = f.page("*.x.example", 2);
    REQUIRE(p.rows.size() == 2);
    CHECK(p.rows[0].pattern == "a.example");
    CHECK(p.rows[0].file == "a.example.pem");
    CHECK_FALSE(p.rows[0].in_memory);
    CHECK(p.rows[0].not_after > std::time(nullptr));
    CHECK(p.rows[1].in_memory);
    CHECK(p.next == "b.example");
    CHECK(f.page("d.example", 2).rows.empty());
    CHECK(f.page("d.example", 2).next.empty());
}

TEST_CASE("a page says what is bad, and an older one that serves") {
    fixture f;
    f.folder.write("a.example.pem", f.ca.issue_for("a.example").pem());
    f.use("a.example");
    f.folder.write("a.example.pem", "rubbish");
    f.source.file_changed("a.example.pem");
    f.folder.write("b.example.pem", "rubbish");
    f.folder.write("c.example.pem", f.ca.issue_for("a.example").pem());
    f.run();
    const certificate_page p = f.page("", 10);
    REQUIRE(p.rows.size() == 3);
    CHECK(p.rows[0].in_memory);
    CHECK_THAT(p.rows[0].error, Contains("no certificate"));
    CHECK_FALSE(p.rows[1].in_memory);
    CHECK_THAT(p.rows[1].error, Contains("no certificate"));
    CHECK_THAT(p.rows[2].error, Contains("names a.example"));
    std::filesystem::remove_all(f.folder.path());
    CHECK_THAT(f.page("", 10).error, Contains(f.folder.path()) && Contains("cannot be read"));
}

TEST_CASE("a page that takes long is put together in turns") {
    fixture f;
    const std::string pem = f.ca.issue_for("a.example").pem() + std::string(250'000, '\n');
    for (int i = 0; i < 200; ++i)
        f.folder.write("h" + std::to_string(i) + ".example.pem", pem);
    f.turns = 0;
    CHECK(f.page("", 1000).rows.size() == 200);
    CHECK(f.turns > 3);
}

TEST_CASE("with a loader a page shows what is in memory") {
    fixture f;
    f.source.load_with([&](const std::string& name, const std::function<void(fetched_pem)>& done) {
        done(fetched_pem{.pem = f.ca.issue_for(name).pem()});
    });
    for (const char* host : {"c.example", "a.example", "b.example"})
        f.use(host);
    CHECK(f.all(2) == std::vector<std::string>{"a.example", "b.example", "c.example"});
    CHECK(f.page("a.example", 1).rows.front().in_memory);
    for (int i = 0; i < 2; ++i) {
        f.source.watch_expiry();
        f.run();
    }
    CHECK(f.source.expiring().within_1d == 3);
}
