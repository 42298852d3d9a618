// OpenSSL contexts: one server context a worker, whose certificate, protocol floor and client CA
// are chosen in the client-hello callback; and client contexts for upstreams. Worker thread alone,
// except ticket_keys (any thread).
#pragma once

#include <openssl/ssl.h>

#include <array>
#include <cstdint>
#include <gatehouse/tenant/model.hpp>
#include <gatehouse/tls/certificates.hpp>
#include <memory>
#include <string>
#include <string_view>

namespace gatehouse::tls {

// CA certificates to verify clients (mTLS) or upstreams against; parsed once, shared.
struct trust_store {
    X509_STORE* store = nullptr;
    STACK_OF(X509_NAME) * names = nullptr;
    std::uint64_t content = 0;  // hash of the file: a session made under another one is not resumed
    trust_store() = default;
    ~trust_store();
    trust_store(const trust_store&) = delete;
    trust_store& operator=(const trust_store&) = delete;
};
using trust_ptr = std::shared_ptr<const trust_store>;
// Reads the file: pool or start-up. Null on failure; `error` names the file and what to do.
trust_ptr load_trust(const std::string& ca_file, std::string& error);

// Ticket keys of the node, the same in every worker: one that seals, two older that open. Read by
// workers without locks; rotate() is control's, every 12 h.
class ticket_keys {
 public:
    // RFC 5077 4's shape; AES-128-CBC, HMAC-SHA256.
    struct key {
        std::array<std::uint8_t, 16> name, aes, hmac;
    };
    struct set {
        std::array<key, 3> keys;  // [0] seals
        std::uint8_t count = 1;
    };
    ticket_keys();  // throws std::runtime_error when the system has no randomness to give
    ~ticket_keys();
    ticket_keys(const ticket_keys&) = delete;
    ticket_keys& operator=(const ticket_keys&) = delete;

    // One thread alone. Without randomness the old keys stay and the log says so.
    void rotate();
    // What this refers to is unchanged until the second rotation after the call, half a day at least, and then wiped.
    const set& current() const noexcept;
    // Those of the node before this one, instead of its own; before anybody reads.
    void use(const set& keys) noexcept;

 private:
    struct impl;
    std::unique_ptr<impl> impl_;
};

// What the gate says to a hello. The pointers need to live only until on_hello's caller returns.
struct hello_verdict {
    enum class kind : std::uint8_t { serve, wait, refuse } what = kind::refuse;
    int alert = SSL_AD_UNRECOGNIZED_NAME;            // refuse
    const tls::certificate* certificate = nullptr;   // serve
    std::array<std::uint8_t, 32> session_context{};  // serve: hash of tenant and TLS policy
    int min_version = 0;  // serve: 0 = the node's, else TLS1_2_VERSION / TLS1_3_VERSION
    const trust_store* client_ca =
        nullptr;  // serve: non-null asks for and requires a client certificate
};
class hello_policy {
 public:
    virtual ~hello_policy() = default;
    // `server_name`: SNI as sent, lower-cased, one trailing dot cut; empty when there was none.
    // Hellos whose SNI cannot be a host name never get here. Called until it says serve or refuse,
    // then never again for that connection. `wait`: the handshake stops with
    // SSL_ERROR_WANT_CLIENT_HELLO_CB and asks again on the next step.
    virtual hello_verdict on_hello(std::string_view server_name, void* connection) = 0;
};

// Outlives every SSL it made; policy and keys outlive it.
class server_context {
 public:
    struct options {
        std::string min_version = "1.2";
    };
    // Throws std::runtime_error when OpenSSL cannot be set up.
    server_context(const options& o, hello_policy& policy, const ticket_keys& keys);
    ~server_context();
    server_context(const server_context&) = delete;
    server_context& operator=(const server_context&) = delete;

    // A server-side SSL bound to `connection` (handed back to on_hello). Null on allocation
    // failure.
    SSL* make(void* connection);
    // What binds sessions and tickets: nothing resumes across two different answers of this. Put
    // into `tls_policy` all that a resumed handshake would skip: the floor and the client CA's
    // content.
    static std::array<std::uint8_t, 32> session_context_of(std::string_view tenant_id,
                                                           std::string_view tls_policy);

 private:
    SSL_CTX* ctx_ = nullptr;
    hello_policy& policy_;
    const ticket_keys& keys_;

    friend struct server_callbacks;
};

// Verified by default: hostname or IP check through X509_VERIFY_PARAM; sessions kept for
// resumption, behind a short lock: it outlives what it made. make(): any thread.
class upstream_context {
 public:
    // Throws std::runtime_error naming the file when it cannot be used.
    explicit upstream_context(const tenant::upstream_tls& t);
    ~upstream_context();
    upstream_context(const upstream_context&) = delete;
    upstream_context& operator=(const upstream_context&) = delete;

    // Client-side, connect state set, offering the last session of that name. Null on allocation
    // failure and, with verification on, for an empty name: there would be nothing to verify.
    // `name`: SNI and the name (or IP address, then without SNI) that must be in the certificate.
    SSL* make(const std::string& name) const;

 private:
    struct sessions;
    SSL_CTX* ctx_ = nullptr;
    bool verify_ = true;
    std::unique_ptr<sessions> sessions_;
};

// The queue of OpenSSL errors as one line; empties it.
std::string last_error();

}  // namespace gatehouse::tls
