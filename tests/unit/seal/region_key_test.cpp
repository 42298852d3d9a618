// Keys of regions: what was sealed comes back to its key, its purpose and nobody else.
#include <sys/stat.h>
#include <unistd.h>
#include <catch2/catch.hpp>
#include <gatehouse/base/text.hpp>
#include <gatehouse/seal/region_key.hpp>
#include <filesystem>
#include <fstream>
#include <string>

using gatehouse::seal::key_ring;
using gatehouse::seal::region_key;

namespace {

const std::string first(64, '1'), second(64, '2');

region_key key_of(const std::string& digits) {
    auto key = region_key::parse(digits);
    REQUIRE(key.has_value());
    return *key;
}

}  // namespace

TEST_CASE("what is sealed opens with its key and its purpose alone") {
    const auto key = key_of(first), other = key_of(second);
    for (const std::string& plain : {std::string(), std::string("x"), std::string(100'000, 'p'), std::string("\0\xff", 2)}) {
        const std::string sealed = key.seal(plain, "cert shop.acme.example 7");
        if (plain.size() > 100) CHECK(sealed.find(plain.substr(0, 20)) == std::string::npos);
        CHECK(key.open(sealed, "cert shop.acme.example 7") == plain);
        CHECK_FALSE(key.open(sealed, "cert shop.acme.example 8"));
        CHECK_FALSE(other.open(sealed, "cert shop.acme.example 7"));
        CHECK(key.seal(plain, "cert shop.acme.example 7") != sealed);
    }
}

TEST_CASE("a sealed text that was touched or cut does not open") {
    const auto key = key_of(first);
    const std::string sealed = key.seal("a private key", "name");
    for (std::size_t i = 0; i < sealed.size(); ++i) {
        std::string touched = sealed;
        // Not 'B': the last letter's lowest bits may count for nothing.
        touched[i] = touched[i] == 'A' ? 'Z' : 'A';
        CHECK_FALSE(key.open(touched, "name"));
        CHECK_FALSE(key.open(sealed.substr(0, i), "name"));
    }
    for (const char* junk : {"", "====", "AAAA", "not base64!!", "A===", "\x80\x80\x80\x80"})
        CHECK_FALSE(key.open(junk, "name"));
}

TEST_CASE("a signature is its key's and its text's") {
    const auto key = key_of(first), other = key_of(second);
    const std::string signature = key.sign("text");
    CHECK(signature.size() == 64);
    CHECK(key.is_signed("text", signature));
    CHECK_FALSE(key.is_signed("Text", signature));
    CHECK_FALSE(other.is_signed("text", signature));
    CHECK_FALSE(key.is_signed("text", ""));
    CHECK_FALSE(key.is_signed("text", signature.substr(1)));
    CHECK(key.id().size() == 8);
    CHECK(key.id() != other.id());
}

TEST_CASE("a ring seals with its first key and knows all of them") {
    std::string trouble;
    const auto ring = key_ring::parse("# the new one\n" + first + "\r\n\n  " + second + "\n", trouble);
    REQUIRE(ring.has_value());
    CHECK(ring->current().id() == key_of(first).id());
    REQUIRE(ring->find(key_of(second).id()) != nullptr);
    CHECK(ring->find(key_of(second).id())->open(key_of(second).seal("x", "y"), "y") == "x");
    CHECK(ring->find("00000000") == nullptr);
}

TEST_CASE("a file of keys that is not one says what to do") {
    std::string trouble;
    CHECK_FALSE(key_ring::parse("", trouble));
    CHECK(trouble.find("openssl rand -hex 32") != std::string::npos);
    CHECK_FALSE(key_ring::parse("# nothing\n" + first.substr(1) + "\n", trouble));
    CHECK(trouble.starts_with("line 2 "));
    CHECK_FALSE(key_ring::parse(first.substr(1) + "g", trouble));
    std::string many;
    for (int i = 0; i < 17; ++i)
        many += first + "\n";
    CHECK_FALSE(key_ring::parse(many, trouble));
    CHECK(trouble.find("at most 16") != std::string::npos);
    CHECK_FALSE(key_ring::load("/nonexistent/eu-west.key", trouble));
    CHECK(trouble.find("cannot be read") != std::string::npos);
    const std::string file = std::filesystem::temp_directory_path() / ("gatehouse-key-" + gatehouse::random_hex(6));
    std::ofstream(file) << first;
    ::chmod(file.c_str(), 0600);
    CHECK(key_ring::load(file, trouble)->current().id() == key_of(first).id());
    ::chmod(file.c_str(), 0640);
    CHECK_FALSE(key_ring::load(file, trouble));
    CHECK(trouble.find("chmod 600") != trouble.npos);
    ::unlink(file.c_str());
}
