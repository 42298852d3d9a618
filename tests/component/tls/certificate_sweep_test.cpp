// The look at all certificates of a folder, turn by turn.
#include "certificate_sweep.hpp"

#include <catch2/catch.hpp>
#include <deque>

#include "certificate_file.hpp"
#include "der_time.hpp"
#include "parse_certificate.hpp"
#include "pki.hpp"

using namespace gatehouse::tls;
using namespace gatehouse::tls::test;
using Catch::Matchers::Contains;

namespace {

constexpr int day = 86'400;

struct fixture {
    void write(const std::string& host, int days) {
        folder.write(file_of(host), ca.issue({.dns = {host}, .ends_in_seconds = days * day}).pem());
    }
    void turns(int n = 100) {
        for (int i = 0; i < n; ++i)
            sweep.turn(folder.path(), now);
    }
    temporary_folder folder;
    authority ca;
    std::int64_t now = std::time(nullptr);
    certificate_sweep sweep;
};

}  // namespace

TEST_CASE("a sweep sees all of a folder, and daily what came and went") {
    fixture f;
    f.write("a.example", 5);
    f.write("*.b.example", 20);
    f.write("c.example", 90);
    f.folder.write("d.example.pem", "rubbish");
    f.folder.write("notes.txt", "rubbish");
    f.turns();
    CHECK(f.sweep.counts().within_7d == 1);
    CHECK(f.sweep.counts().within_30d == 2);
    CHECK(f.sweep.counts().bad == 1);

    f.folder.remove("a.example.pem");
    f.write("e.example", 6);
    f.write("g.example", 6);
    f.turns();
    CHECK(f.sweep.counts().within_7d == 1);
    f.now += day;
    f.turns();
    CHECK(f.sweep.counts().within_7d == 2);
}

TEST_CASE("a changed file is looked at before the next round") {
    fixture f;
    f.write("a.example", 5);
    f.write("b.example", 5);
    f.write("c.example", 90);
    f.turns();
    REQUIRE(f.sweep.counts().within_7d == 2);
    f.write("a.example", 90);
    f.folder.remove("b.example.pem");
    f.write("c.example", 3);
    for (const char* file : {"a.example.pem", "b.example.pem", "c.example.pem", "no such", ".pem"})
        f.sweep.changed(file);
    f.now += 60;
    f.turns();
    CHECK(f.sweep.counts().within_7d == 1);
}

TEST_CASE("asked for again, and for a folder that is not there") {
    fixture f;
    f.write("a.example", 5);
    f.turns();
    temporary_folder other;
    f.sweep.again();
    for (int i = 0; i < 3; ++i)
        f.sweep.turn(other.path(), f.now);
    CHECK(f.sweep.counts().within_7d == 0);
    f.sweep.again();
    f.sweep.turn(f.folder.file("gone"), f.now);
    CHECK(f.sweep.counts().within_7d == 0);
    // More changes than are kept one by one: all are looked at.
    for (int i = 0; i < 10'001; ++i)
        f.sweep.changed(std::to_string(i));
    f.turns();
    CHECK(f.sweep.counts().within_7d == 1);
}

TEST_CASE("what a file says of itself without its key") {
    fixture f;
    const issued site = f.ca.issue_for("a.example");
    f.folder.write("a.example.pem", site.key_pem() + site.cert_pem() + f.ca.pem());
    f.folder.write("b.example.pem", site.pem());
    f.folder.write("c.example.pem", site.cert_pem());
    const auto look = GENERATE(leaf_look::end, leaf_look::end_and_name);
    const auto facts = [&](const char* file) {
        return read_leaf_facts(f.folder.path(), file, look);
    };
    CHECK(facts("a.example.pem").error.empty());
    CHECK(facts("a.example.pem").not_after == parsed(site.pem())->not_after);
    CHECK(facts("b.example.pem").not_after == parsed(site.pem())->not_after);
    if (look == leaf_look::end)
        CHECK(facts("b.example.pem").error.empty());
    else
        CHECK_THAT(facts("b.example.pem").error,
                   Contains(f.folder.file("b.example.pem")) && Contains("names a.example"));
    CHECK_THAT(facts("c.example.pem").error, Contains("no private key"));
    CHECK(facts("d.example.pem").missing);
}

TEST_CASE("notAfter from the DER alone: as OpenSSL reads it, and nothing of what is damaged") {
    const authority ca;
    for (const int days : {1, 20'000}) {  // UTCTime until 2049, GeneralizedTime from then on
        const issued site = ca.issue({.dns = {"a.example"}, .ends_in_seconds = days * day});
        unsigned char* made = nullptr;
        const int size = i2d_X509(site.cert.get(), &made);
        REQUIRE(size > 0);
        const std::vector<unsigned char> der(made, made + size);
        OPENSSL_free(made);
        CHECK(not_after_in(der) == not_after_of(site.cert.get()));
        for (std::size_t n = 0; n < der.size(); ++n)
            CHECK(not_after_in({der.data(), n}) == 0);
        for (std::size_t n = 0; n < der.size(); ++n) {
            std::vector<unsigned char> bent = der;
            bent[n] ^= 0xff;
            not_after_in(bent);  // reads nothing outside it: under the sanitizers
        }
    }
}

TEST_CASE("the source looks at its folder, one job at a time") {
    fixture f;
    f.write("a.example", 5);
    std::deque<std::function<void()>> jobs;
    certificate_source source(f.folder.path(), 10,
                              [&](std::function<void()> j) { jobs.push_back(std::move(j)); });
    const auto turn = [&] {
        source.watch_expiry();
        source.watch_expiry();
        REQUIRE(jobs.size() == 1);
        jobs.front()();
        jobs.pop_front();
    };
    for (int i = 0; i < 10; ++i)
        turn();
    CHECK(source.expiring().within_7d == 1);
    CHECK(source.list().empty());
}
