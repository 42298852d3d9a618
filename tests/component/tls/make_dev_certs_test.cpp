// The script's output is what the gate reads, and a second run keeps it.
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "certificate_file.hpp"
#include "pki.hpp"

using namespace gatehouse::tls;
using namespace gatehouse::tls::test;

namespace {

int make(const std::string& out, const std::string& hosts) {
    const std::string command =
        std::string(GATEHOUSE_MAKE_DEV_CERTS) + " '" + out + "' " + hosts + " >/dev/null 2>&1";
    return WEXITSTATUS(std::system(command.c_str()));
}

std::string text_of(const std::string& path) {
    std::ifstream in(path);
    return {std::istreambuf_iterator<char>(in), {}};
}

unsigned mode_of(const std::string& path) {
    struct stat s {};
    REQUIRE(::stat(path.c_str(), &s) == 0);
    return s.st_mode & 0777;
}

}  // namespace

TEST_CASE("development certificates load, verify and stay") {
    const temporary_folder folder;
    const std::string out = folder.file("certs");
    REQUIRE(make(out, "shop.acme.localhost '*.acme.example'") == 0);
    for (const char* file : {"shop.acme.localhost.pem", "_.acme.example.pem"}) {
        const loaded_certificate c = load_certificate(out, file);
        INFO(c.error);
        CHECK(c.good != nullptr);
        CHECK(mode_of(out + '/' + file) == 0600);
    }
    CHECK(mode_of(out + "/ca.key") == 0600);
    const std::string before = text_of(out + "/shop.acme.localhost.pem");
    REQUIRE(make(out, "shop.acme.localhost b.localhost") == 0);
    CHECK(text_of(out + "/shop.acme.localhost.pem") == before);
    CHECK(load_certificate(out, "b.localhost.pem").good != nullptr);

    // About to expire: made anew.
    const authority ca;
    const temporary_folder other;
    REQUIRE(make(other.path(), "a.localhost") == 0);
    other.write("a.localhost.pem", ca.issue_for("a.localhost").pem());
    REQUIRE(make(other.path(), "a.localhost") == 0);
    CHECK(text_of(other.file("a.localhost.pem")) != ca.issue_for("a.localhost").pem());
    CHECK(load_certificate(other.path(), "a.localhost.pem").good->not_after >
          std::time(nullptr) + 80 * 24 * 3600);
}

TEST_CASE("development certificates are refused for what is no host name") {
    const temporary_folder folder;
    CHECK(make(folder.path(), "../x") == 1);
    CHECK(make(folder.path(), "'*.localhost'") == 1);
    CHECK(make(folder.path(), "") == 2);
    CHECK(std::filesystem::is_empty(folder.path()));
}
