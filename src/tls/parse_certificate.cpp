// Chain and key from PEM, refused with a reason when a handshake could not use them.
#include "parse_certificate.hpp"

#include <openssl/core_dispatch.h>
#include <openssl/decoder.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sched.h>

#include <algorithm>
#include <ctime>
#include <gatehouse/tls/context.hpp>
#include <semaphore>
#include <thread>
#include <utility>

#include "der_time.hpp"
#include "openssl_ptr.hpp"
#include "shared_chain.hpp"

namespace gatehouse::tls {
namespace {

constexpr std::size_t longest_chain = 16;
constexpr std::size_t most_blocks = 4096;

// One PEM block; the memory is OpenSSL's.
struct pem_block {
    char* name = nullptr;
    char* header = nullptr;
    unsigned char* data = nullptr;
    long size = 0;

    pem_block() = default;
    pem_block(const pem_block&) = delete;
    pem_block& operator=(const pem_block&) = delete;
    ~pem_block() {
        OPENSSL_secure_free(name);
        OPENSSL_secure_free(header);
        OPENSSL_secure_clear_free(data, static_cast<std::size_t>(size));
    }
    // "Secure": OpenSSL wipes what it reads lines into.
    bool read(BIO* from) {
        return PEM_read_bio_ex(from, &name, &header, &data, &size, PEM_FLAG_SECURE | PEM_FLAG_EAY_COMPATIBLE) == 1;
    }
    bool is(std::string_view what) const { return name == what; }
    bool is_certificate() const { return is("CERTIFICATE") || is("X509 CERTIFICATE"); }
    bool is_encrypted() const {
        return is("ENCRYPTED PRIVATE KEY") ||
               std::string_view(header).find("ENCRYPTED") != std::string_view::npos;
    }
    bool is_key() const { return std::string_view(name).ends_with("PRIVATE KEY"); }
};

// Calls `take(block, error)` for each block until one sets the error.
template <class Take>
void each_block(std::string_view pem, std::string& error, Take take) {
    const bio_ptr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
    for (std::size_t i = 0; bio != nullptr && i < most_blocks && error.empty(); ++i) {
        ::sched_yield();   // or a worker waits for this core until the next tick (docs/decisions/0017)
        pem_block block;
        if (block.read(bio.get())) {
            take(block, error);
            continue;
        }
        const unsigned long last = ERR_peek_last_error();
        if (ERR_GET_LIB(last) != ERR_LIB_PEM || ERR_GET_REASON(last) != PEM_R_NO_START_LINE)
            error = "has a damaged PEM block (" + last_error() + "): write the file again";
        ERR_clear_error();
        return;
    }
}

x509_ptr read_one(const pem_block& block, std::string& error) {
    const unsigned char* at = block.data;
    x509_ptr one(d2i_X509(nullptr, &at, block.size));
    if (one == nullptr)
        error =
            "has a certificate that cannot be read (" + last_error() + "): write the file again";
    return one;
}

bool add_certificate(STACK_OF(X509) * to, const pem_block& block, std::string& error) {
    x509_ptr one = read_one(block, error);
    if (one == nullptr) return false;
    if (sk_X509_push(to, one.get()) == 0) return false;
    (void)one.release();
    return true;
}

// Reads PKCS #8 keys of one kind. Making it takes OpenSSL five times as long as a read, and trying all kinds as
// d2i_AutoPrivateKey does four times as long again.
class key_decoder {
 public:
    explicit key_decoder(const char* kind)
        : ctx_(OSSL_DECODER_CTX_new_for_pkey(&key_, "DER", "PrivateKeyInfo", kind, OSSL_KEYMGMT_SELECT_PRIVATE_KEY, nullptr, nullptr)) {}
    key_decoder(const key_decoder&) = delete;
    key_decoder& operator=(const key_decoder&) = delete;

    pkey_ptr read(const pem_block& block) {
        const unsigned char* bytes = block.data;
        auto left = static_cast<std::size_t>(block.size);
        const bool good = ctx_ != nullptr && OSSL_DECODER_from_data(ctx_.get(), &bytes, &left) == 1;
        pkey_ptr got(std::exchange(key_, nullptr));
        return good ? std::move(got) : nullptr;
    }

 private:
    EVP_PKEY* key_ = nullptr;   // where OpenSSL puts it
    const std::unique_ptr<OSSL_DECODER_CTX, openssl_free<OSSL_DECODER_CTX_free>> ctx_;
};

// A PKCS #8 key by the decoder of its own kind.
pkey_ptr read_pkcs8(const pem_block& block) {
    const unsigned char* at = block.data;
    const std::unique_ptr<PKCS8_PRIV_KEY_INFO, openssl_free<PKCS8_PRIV_KEY_INFO_free>> info(
        d2i_PKCS8_PRIV_KEY_INFO(nullptr, &at, block.size));
    const ASN1_OBJECT* kind = nullptr;
    if (info == nullptr || PKCS8_pkey_get0(&kind, nullptr, nullptr, nullptr, info.get()) != 1) return nullptr;
    switch (OBJ_obj2nid(kind)) {
        case NID_X9_62_id_ecPublicKey: {
            thread_local key_decoder ec("EC");
            return ec.read(block);
        }
        case NID_rsaEncryption: {
            thread_local key_decoder rsa("RSA");
            return rsa.read(block);
        }
        case NID_ED25519: {
            thread_local key_decoder ed25519("ED25519");
            return ed25519.read(block);
        }
        default:
            return nullptr;
    }
}

pkey_ptr read_key(const pem_block& block, std::string& error) {
    if (block.is_encrypted()) {
        error =
            "has an encrypted private key: store it without a passphrase (openssl pkey -in OLD "
            "-out "
            "NEW), readable by gatehouse alone";
        return nullptr;
    }
    if (block.is("PRIVATE KEY"))
        if (pkey_ptr key = read_pkcs8(block)) return key;
    ERR_clear_error();
    const unsigned char* at = block.data;
    pkey_ptr key(d2i_AutoPrivateKey(nullptr, &at, block.size));
    if (key == nullptr)
        error =
            "has a private key that cannot be read (" + last_error() + "): write the file again";
    return key;
}

std::string key_error(EVP_PKEY* key) {
    constexpr const char* advice = ": use EC P-256 or P-384, RSA of 2048 to 4096 bits, or Ed25519";
    switch (EVP_PKEY_get_base_id(key)) {
        case EVP_PKEY_ED25519:
            return {};
        case EVP_PKEY_RSA: {
            const int bits = EVP_PKEY_get_bits(key);
            // Longer ones take a worker's time for everyone: 16,384 bits a tenth of a second a handshake.
            if (bits >= 2048 && bits <= 4096) return {};
            return "has an RSA key of " + std::to_string(bits) + " bits" + advice;
        }
        case EVP_PKEY_EC: {
            char group[64] = "of no name";
            EVP_PKEY_get_group_name(key, group, sizeof group, nullptr);
            const int nid = OBJ_txt2nid(group);
            if (nid == NID_X9_62_prime256v1 || nid == NID_secp384r1) return {};
            return std::string("has an EC key on the curve ") + group + advice;
        }
        default:
            return std::string("has a key of a kind that is not supported") + advice;
    }
}

// What a handshake would do, tried once here: catches weak signatures in the chain and all else
// that OpenSSL refuses at its security level.
std::string use_error(const certificate& c) {
    // Made once: it takes longer than all the rest of a parse.
    static const ssl_ctx_ptr ctx = [] {
        ssl_ctx_ptr made(SSL_CTX_new(TLS_server_method()));
        if (made != nullptr) SSL_CTX_set_security_level(made.get(), 2);
        return made;
    }();
    const ssl_ptr ssl(ctx != nullptr ? SSL_new(ctx.get()) : nullptr);
    if (ssl == nullptr)
        return "cannot be tried (" + last_error() + "): start again with more memory";
    if (SSL_use_cert_and_key(ssl.get(), c.leaf, c.key, c.chain, 1) == 1) return {};
    return "is refused by OpenSSL (" + last_error() + "): have it issued anew";
}

std::string pair_error(const certificate& c) {
    if (X509_check_private_key(c.leaf, c.key) == 1) return {};
    ERR_clear_error();
    for (int i = 0; i < sk_X509_num(c.chain); ++i) {
        if (X509_check_private_key(sk_X509_value(c.chain, i), c.key) == 1)
            return "has its certificates in the wrong order: put the host's own first, then the "
                   "one "
                   "that signed it, and so on";
        ERR_clear_error();
    }
    return "has a private key that does not belong to its first certificate: put chain and key of "
           "the same request into it, the host's own certificate first";
}

constexpr const char* no_certificate =
    "has no certificate: put the chain (the host's own first) and the key into it, in PEM";
constexpr const char* no_key =
    "has no private key: append the key in PEM to the chain in this same file";

// `take(block, error)` of the first certificate; an error when it has no key beside it.
template <class Take>
void look_at_first(std::string_view pem, std::string& error, Take take) {
    ERR_clear_error();
    error.clear();
    bool has_certificate = false, has_key = false;
    each_block(pem, error, [&](const pem_block& block, std::string& e) {
        if (block.is_certificate() && !std::exchange(has_certificate, true)) take(block, e);
        has_key = has_key || block.is_key();
    });
    if (error.empty() && !has_certificate) error = no_certificate;
    if (error.empty() && !has_key) error = no_key;
}

std::string check(certificate& c) {
    if (sk_X509_num(c.chain) == 0) return no_certificate;
    if (c.key == nullptr) return no_key;
    c.leaf = sk_X509_shift(c.chain);
    if (std::string e = key_error(c.key); !e.empty()) return e;
    if (std::string e = pair_error(c); !e.empty()) return e;
    c.not_after = not_after_of(c.leaf);
    return use_error(c);
}

// Each of the chain is held once by the stack and once by `issuers`.
bool share_chain(certificate& c) {
    for (int i = 0; i < sk_X509_num(c.chain); ++i) {
        x509_ptr own(sk_X509_value(c.chain, i));
        sk_X509_set(c.chain, i, nullptr);
        std::shared_ptr<X509> shared = share_issuer(std::move(own));
        if (shared == nullptr || X509_up_ref(shared.get()) != 1) return false;
        sk_X509_set(c.chain, i, shared.get());
        c.issuers.push_back(std::move(shared));
    }
    return true;
}

// As many at a time as there are cores (docs/decisions/0017): more would only take turns with each other, at the
// cost of a worker that needs what one of them has locked.
class parse_place {
 public:
    parse_place() { places().acquire(); }
    ~parse_place() { places().release(); }
    parse_place(const parse_place&) = delete;
    parse_place& operator=(const parse_place&) = delete;

 private:
    static std::counting_semaphore<>& places() {
        static std::counting_semaphore<> all(std::max(1U, std::thread::hardware_concurrency()));
        return all;
    }
};

}  // namespace

certificate::~certificate() {
    X509_free(leaf);
    EVP_PKEY_free(key);
    sk_X509_pop_free(chain, X509_free);
}

std::shared_ptr<certificate> parse_pem(std::string_view pem, std::string& error) {
    const parse_place place;
    ERR_clear_error();
    error.clear();
    auto c = std::make_shared<certificate>();
    c->chain = sk_X509_new_null();
    if (c->chain == nullptr) {
        error = "cannot be read: no memory";
        return nullptr;
    }
    each_block(pem, error, [&](const pem_block& block, std::string& e) {
        if (block.is_certificate()) {
            if (add_certificate(c->chain, block, e) &&
                sk_X509_num(c->chain) > static_cast<int>(longest_chain))
                e = "has more than " + std::to_string(longest_chain) +
                    " certificates: leave only the host's own and those between it and the root";
        } else if (block.is_key()) {
            pkey_ptr key = read_key(block, e);
            if (key != nullptr && c->key != nullptr)
                e = "has two private keys: leave the one that belongs to the first certificate";
            else if (key != nullptr)
                c->key = key.release();
        }
    });
    if (error.empty()) error = check(*c);
    if (error.empty() && !share_chain(*c)) error = "cannot be kept: no memory";
    return error.empty() ? c : nullptr;
}

certificate_ptr parse_certificate(std::string_view pem, std::string& error) {
    return parse_pem(pem, error);
}

x509_ptr read_leaf(std::string_view pem, std::string& error) {
    x509_ptr leaf;
    look_at_first(pem, error,
                  [&](const pem_block& b, std::string& e) { leaf = read_one(b, e); });
    return error.empty() ? std::move(leaf) : nullptr;
}

std::int64_t read_end(std::string_view pem, std::string& error) {
    std::int64_t end = 0;
    look_at_first(pem, error, [&](const pem_block& b, std::string& e) {
        end = not_after_in({b.data, static_cast<std::size_t>(b.size)});
        if (end == 0) e = "has a certificate that cannot be read: write the file again";
    });
    return error.empty() ? end : 0;
}

std::int64_t not_after_of(const X509* one) {
    return unix_seconds(X509_get0_notAfter(one));
}

STACK_OF(X509) * read_certificates(std::string_view pem, std::size_t most, std::string& error) {
    ERR_clear_error();
    error.clear();
    STACK_OF(X509)* all = sk_X509_new_null();
    if (all == nullptr) error = "cannot be read: no memory";
    each_block(pem, error, [&](const pem_block& block, std::string& e) {
        if (!block.is_certificate()) return;
        if (add_certificate(all, block, e) && sk_X509_num(all) > static_cast<int>(most))
            e = "has more than " + std::to_string(most) + " certificates: leave those you need";
    });
    if (error.empty() && sk_X509_num(all) == 0)
        error = "has no certificate: put the CA's certificate into it, in PEM";
    if (error.empty()) return all;
    sk_X509_pop_free(all, X509_free);
    return nullptr;
}

}  // namespace gatehouse::tls
