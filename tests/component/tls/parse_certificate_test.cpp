// What is accepted as chain and key, and what the refusals say.
#include <openssl/pem.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <thread>
#include <vector>

#include "certificate_file.hpp"
#include "pki.hpp"

using namespace gatehouse::tls;
using namespace gatehouse::tls::test;
using Catch::Matchers::Contains;

namespace {

using pkcs8_ptr = std::unique_ptr<PKCS8_PRIV_KEY_INFO, openssl_free<PKCS8_PRIV_KEY_INFO_free>>;

std::string pem_of(PKCS8_PRIV_KEY_INFO* info) {
    const bio_ptr bio(BIO_new(BIO_s_mem()));
    REQUIRE(PEM_write_bio_PKCS8_PRIV_KEY_INFO(bio.get(), info) == 1);
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio.get(), &data);
    return {data, static_cast<std::size_t>(size)};
}

std::string refusal(const std::string& pem) {
    std::string error;
    CHECK(parse_certificate(pem, error) == nullptr);
    return error;
}

}  // namespace

TEST_CASE("chains with the usual keys are accepted in the order given") {
    const authority ca;
    const auto kind =
        GENERATE(key_kind::p256, key_kind::p384, key_kind::rsa2048, key_kind::ed25519);
    const issued site = ca.issue({.dns = {"shop.acme.example"}, .kind = kind});
    const certificate_ptr c = parsed(site.key_pem() + site.cert_pem() + ca.pem());
    CHECK(X509_cmp(c->leaf, site.cert.get()) == 0);
    CHECK(sk_X509_num(c->chain) == 1);
    CHECK(c->not_after > 0);
    CHECK(name_error(*c, "shop.acme.example").empty());
}

TEST_CASE("what a handshake could not use is refused with what to do") {
    const authority ca;
    const issued site = ca.issue_for("a.x"), other = ca.issue_for("b.x");
    CHECK_THAT(refusal(""), Contains("no certificate"));
    CHECK_THAT(refusal("rubbish"), Contains("no certificate"));
    CHECK_THAT(refusal(site.key_pem()), Contains("no certificate"));
    CHECK_THAT(refusal(site.cert_pem()), Contains("no private key"));
    CHECK_THAT(refusal(site.cert_pem() + other.key_pem()), Contains("does not belong"));
    CHECK_THAT(refusal(ca.pem() + site.pem()), Contains("wrong order"));
    CHECK_THAT(refusal(site.pem() + other.key_pem()), Contains("two private keys"));
    CHECK_THAT(refusal(site.cert_pem() + encrypted_key_pem(site.key.get())),
               Contains("encrypted") && Contains("openssl pkey"));
    CHECK_THAT(refusal(ca.issue({.dns = {"a.x"}, .kind = key_kind::rsa1024}).pem()),
               Contains("1024 bits") && Contains("2048"));
    CHECK_THAT(refusal(ca.issue({.dns = {"a.x"}, .kind = key_kind::rsa5120}).pem()), Contains("5120 bits") && Contains("4096"));
    CHECK_THAT(refusal(ca.issue({.dns = {"a.x"}, .kind = key_kind::p521}).pem()),
               Contains("P-256 or P-384"));
    std::string cut = site.pem();
    cut.resize(cut.size() - 40);
    CHECK_FALSE(refusal(cut).empty());
    std::string bent = site.pem();
    bent[60] = '!';
    CHECK_FALSE(refusal(bent).empty());
    std::string many = site.pem();
    for (int i = 0; i < 20; ++i)
        many += ca.pem();
    CHECK_THAT(refusal(many), Contains("more than 16"));
}

TEST_CASE("a key that cannot be read does no harm to the next of its kind") {
    const authority ca;
    const auto kind = GENERATE(key_kind::p256, key_kind::rsa2048, key_kind::ed25519);
    const issued first = ca.issue({.dns = {"a.x"}, .kind = kind}), second = ca.issue({.dns = {"b.x"}, .kind = kind});
    // PKCS #8 of the right kind around a key that is none.
    pkcs8_ptr info(EVP_PKEY2PKCS8(first.key.get()));
    const ASN1_OBJECT* algorithm = nullptr;
    const X509_ALGOR* identifier = nullptr;
    REQUIRE(PKCS8_pkey_get0(&algorithm, nullptr, nullptr, &identifier, info.get()) == 1);
    ASN1_TYPE* parameters = identifier->parameter;
    auto* rubbish = static_cast<unsigned char*>(OPENSSL_zalloc(24));
    const pkcs8_ptr bad(PKCS8_PRIV_KEY_INFO_new());
    REQUIRE(PKCS8_pkey_set0(bad.get(), OBJ_dup(algorithm), 0, parameters ? parameters->type : V_ASN1_UNDEF,
                            parameters && parameters->type == V_ASN1_OBJECT ? OBJ_dup(parameters->value.object) : nullptr, rubbish, 24) == 1);
    for (int i = 0; i < 3; ++i) {
        CHECK_THAT(refusal(first.cert_pem() + pem_of(bad.get())), Contains("private key that cannot be read"));
        CHECK(X509_cmp(parsed(first.pem())->leaf, first.cert.get()) == 0);
        CHECK(X509_cmp(parsed(second.pem())->leaf, second.cert.get()) == 0);
    }
}

TEST_CASE("certificates are parsed by many threads at once") {
    const authority ca;
    const issued a = ca.issue({.dns = {"a.x"}, .kind = key_kind::p256}), b = ca.issue({.dns = {"b.x"}, .kind = key_kind::rsa2048});
    std::atomic<int> good = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 8; ++t) {
        threads.emplace_back([&] {
            for (int i = 0; i < 25; ++i) {
                const issued& one = i % 2 == 0 ? a : b;
                std::string error;
                const certificate_ptr c = parse_certificate(one.pem(), error);
                if (c && X509_cmp(c->leaf, one.cert.get()) == 0 && EVP_PKEY_eq(c->key, one.key.get()) == 1) ++good;
            }
        });
    }
    for (std::thread& t : threads) t.join();
    CHECK(good == 8 * 25);
}

TEST_CASE("the leaf must name what its file is called after") {
    const authority ca;
    const certificate_ptr exact = parsed(ca.issue_for("a.acme.example").pem());
    const certificate_ptr star = parsed(ca.issue_for("*.acme.example").pem());
    CHECK(name_error(*exact, "a.acme.example").empty());
    CHECK_THAT(name_error(*exact, "b.acme.example"),
               Contains("b.acme.example") && Contains("it names a.acme.example"));
    CHECK_FALSE(name_error(*exact, "*.acme.example").empty());
    CHECK(name_error(*star, "*.acme.example").empty());
    CHECK(name_error(*star, "b.acme.example").empty());
    CHECK_FALSE(name_error(*star, "b.c.acme.example").empty());
    CHECK_FALSE(name_error(*star, "acme.example").empty());
    CHECK_THAT(name_error(*parsed(ca.issue_for("*.localhost").pem()), "*.localhost"),
               Contains("never accepted"));
}

TEST_CASE("hosts and files belong together, and none leaves the folder") {
    CHECK(exact_file("a.acme.example") == "a.acme.example.pem");
    CHECK(wildcard_file("a.acme.example") == "_.acme.example.pem");
    CHECK(wildcard_file("localhost").empty());
    CHECK(pattern_of("a.acme.example.pem") == "a.acme.example");
    CHECK(pattern_of("_.acme.example.pem") == "*.acme.example");
    const auto odd =
        GENERATE(as<std::string>(), "", ".", "..", "../x", "a/b", ".a", "a.", "a..b", "A.x", "_.x",
                 "a_b", "*.x", "a b", "a%2f", std::string("a\0b", 3), std::string(254, 'a'));
    CAPTURE(odd);
    CHECK_FALSE(is_file_host(odd));
    CHECK(pattern_of(odd).empty());
    if (odd != "_.x") CHECK(pattern_of(odd + ".pem").empty());
}

TEST_CASE("only regular files of a sane size are read") {
    const temporary_folder folder;
    folder.write("big.pem", std::string(most_certificate_bytes + 1, 'x'));
    folder.write("fits.pem", std::string(most_certificate_bytes, 'x'));
    std::filesystem::create_directory(folder.file("folder.pem"));
    CHECK_THAT(read_small_file(folder.file("big.pem"), most_certificate_bytes).error,
               Contains("allowed"));
    CHECK(read_small_file(folder.file("fits.pem"), most_certificate_bytes).error.empty());
    CHECK_THAT(read_small_file(folder.file("folder.pem"), 10).error, Contains("regular file"));
    const file_text none = read_small_file(folder.file("none.pem"), 10);
    CHECK(none.missing);
    CHECK_FALSE(read_small_file(folder.file("folder.pem"), 10).missing);
}

TEST_CASE("chains share the certificates of their authorities, not the leaves") {
    const authority ca("one CA"), other("other CA");
    const issued a = ca.issue_for("a.x"), b = ca.issue_for("b.x"), c = other.issue_for("c.x");
    const certificate_ptr one = parsed(a.pem() + ca.pem()), two = parsed(b.pem() + ca.pem());
    const certificate_ptr third = parsed(c.pem() + other.pem() + ca.pem());
    const auto issuer = [](const certificate_ptr& from, int i) {
        return sk_X509_value(from->chain, i);
    };
    CHECK(issuer(one, 0) == issuer(two, 0));
    CHECK(issuer(third, 0) != issuer(one, 0));
    CHECK(issuer(third, 1) == issuer(one, 0));
    CHECK(parsed(a.pem())->leaf != one->leaf);
    CHECK(one->issuers.front().use_count() == 3);
}

TEST_CASE("a shared issuer goes with its last chain and comes again") {
    const authority ca;
    const issued a = ca.issue_for("a.x");
    const std::string pem = a.pem() + ca.pem();
    std::weak_ptr<X509> seen = parsed(pem)->issuers.front();
    CHECK(seen.expired());
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&] {
            std::string error;
            for (int i = 0; i < 100; ++i)
                if (parse_certificate(pem, error) == nullptr) return;
        });
    for (auto& t : threads)
        t.join();
    const certificate_ptr one = parsed(pem), two = parsed(pem);
    CHECK(sk_X509_value(one->chain, 0) == sk_X509_value(two->chain, 0));
    CHECK(X509_check_issued(sk_X509_value(one->chain, 0), one->leaf) == X509_V_OK);
}
