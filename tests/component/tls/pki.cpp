// Issues certificates with OpenSSL's API.
#include "pki.hpp"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <stdlib.h>

#include <catch2/catch.hpp>
#include <fstream>

namespace gatehouse::tls::test {
namespace {

std::string drain(BIO* bio) {
    char* data = nullptr;
    const long n = BIO_get_mem_data(bio, &data);
    return {data, static_cast<std::size_t>(n)};
}

void extend(X509* cert, X509* issuer, int nid, const std::string& value) {
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, cert, nullptr, nullptr, 0);
    X509_EXTENSION* e = X509V3_EXT_conf_nid(nullptr, &ctx, nid, value.c_str());
    REQUIRE(e != nullptr);
    X509_add_ext(cert, e, -1);
    X509_EXTENSION_free(e);
}

std::string alternative_names(const issue_options& o) {
    std::string text;
    for (const auto& d : o.dns)
        text += (text.empty() ? "DNS:" : ",DNS:") + d;
    for (const auto& i : o.ip)
        text += (text.empty() ? "IP:" : ",IP:") + i;
    return text;
}

issued make(const std::string& common, const issue_options& o, const issued* issuer) {
    issued out{x509_ptr(X509_new()), make_key(o.kind)};
    X509* cert = out.cert.get();
    X509_set_version(cert, 2);
    std::uint32_t serial = 0;
    RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof serial);
    ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert), serial);
    X509_gmtime_adj(X509_getm_notBefore(cert), o.begins_in_seconds);
    X509_gmtime_adj(X509_getm_notAfter(cert), o.ends_in_seconds);
    X509_set_pubkey(cert, out.key.get());
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(common.c_str()), -1, -1, 0);
    X509* by = issuer != nullptr ? issuer->cert.get() : cert;
    X509_set_issuer_name(cert, X509_get_subject_name(by));
    extend(cert, by, NID_basic_constraints, o.ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
    if (o.ca) extend(cert, by, NID_key_usage, "critical,keyCertSign,cRLSign");
    if (!o.ca) extend(cert, by, NID_ext_key_usage, o.client ? "clientAuth" : "serverAuth");
    if (const std::string names = alternative_names(o); !names.empty())
        extend(cert, by, NID_subject_alt_name, names);
    EVP_PKEY* signer = issuer != nullptr ? issuer->key.get() : out.key.get();
    REQUIRE(X509_sign(cert, signer, EVP_sha256()) > 0);
    return out;
}

}  // namespace

pkey_ptr make_key(key_kind kind) {
    switch (kind) {
        case key_kind::p256:
            return pkey_ptr(EVP_EC_gen("P-256"));
        case key_kind::p384:
            return pkey_ptr(EVP_EC_gen("P-384"));
        case key_kind::p521:
            return pkey_ptr(EVP_EC_gen("P-521"));
        case key_kind::rsa1024:
            return pkey_ptr(EVP_RSA_gen(1024));
        case key_kind::rsa2048:
            return pkey_ptr(EVP_RSA_gen(2048));
        case key_kind::rsa5120:
            return pkey_ptr(EVP_RSA_gen(5120));
        case key_kind::ed25519:
            return pkey_ptr(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
    }
    return nullptr;
}

std::string issued::cert_pem() const {
    const bio_ptr bio(BIO_new(BIO_s_mem()));
    PEM_write_bio_X509(bio.get(), cert.get());
    return drain(bio.get());
}

std::string issued::key_pem() const {
    const bio_ptr bio(BIO_new(BIO_s_mem()));
    PEM_write_bio_PrivateKey(bio.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
    return drain(bio.get());
}

std::string encrypted_key_pem(EVP_PKEY* key) {
    const bio_ptr bio(BIO_new(BIO_s_mem()));
    unsigned char pass[] = "secret";
    PEM_write_bio_PrivateKey(bio.get(), key, EVP_aes_128_cbc(), pass, 6, nullptr, nullptr);
    return drain(bio.get());
}

authority::authority(const std::string& name)
    : name_(name), root_(make(name, {.ca = true}, nullptr)) {}

issued authority::issue(const issue_options& o) const {
    return make(o.dns.empty() ? "nameless" : o.dns.front(), o, &root_);
}

temporary_folder::temporary_folder() {
    std::string name = (std::filesystem::temp_directory_path() / "gatehouse-tls-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
}

temporary_folder::~temporary_folder() {
    std::error_code ec;
    std::filesystem::remove_all(path_, ec);
}

void temporary_folder::write(const std::string& name, const std::string& text) const {
    {
        std::ofstream out(path_ / ("." + name + ".new"), std::ios::binary);
        out << text;
        REQUIRE(out.good());
    }
    std::filesystem::rename(path_ / ("." + name + ".new"), path_ / name);
}

certificate_ptr parsed(const std::string& pem) {
    std::string error;
    certificate_ptr c = parse_certificate(pem, error);
    INFO(error);
    REQUIRE(c != nullptr);
    return c;
}

}  // namespace gatehouse::tls::test
