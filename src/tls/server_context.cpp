// The server side: one SSL_CTX a worker; all that differs between tenants is set on the SSL while
// its ClientHello is being read.
#include <openssl/err.h>
#include <openssl/evp.h>

#include <gatehouse/base/text.hpp>
#include <gatehouse/tls/context.hpp>
#include <stdexcept>

#include "client_hello.hpp"
#include "openssl_ptr.hpp"
#include "ticket_seal.hpp"

namespace gatehouse::tls {
namespace {

// Forward-secret AEAD suites alone; AES-128 first because it costs least.
constexpr const char* tls12_ciphers =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
constexpr const char* tls13_ciphers =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
constexpr const char* groups = "X25519:P-256:P-384";
constexpr long session_seconds = 2 * 60 * 60;

int connection_index() {
    static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
    return index;
}
// Set once a hello was served: the hash of its name, never null.
int served_index() {
    static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
    return index;
}
void* mark_of(std::string_view name) {
    return reinterpret_cast<void*>(static_cast<std::uintptr_t>(hash_text(name) | 1));
}

int floor_of(const std::string& text) {
    if (text == "1.2") return TLS1_2_VERSION;
    if (text == "1.3") return TLS1_3_VERSION;
    throw std::runtime_error("tls min_version \"" + text + "\": use \"1.2\" or \"1.3\"");
}

std::span<const std::uint8_t> extension(SSL* ssl, unsigned int type, bool& present) {
    const unsigned char* data = nullptr;
    std::size_t size = 0;
    present = SSL_client_hello_get0_ext(ssl, type, &data, &size) == 1;
    return {data, size};
}

bool ask_for_client_certificate(SSL* ssl, const trust_store& ca) {
    STACK_OF(X509_NAME)* names = SSL_dup_CA_list(ca.names);
    if (names == nullptr) return false;
    SSL_set_client_CA_list(ssl, names);
    SSL_set_verify(ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    return SSL_set1_verify_cert_store(ssl, ca.store) == 1;
}

bool apply(SSL* ssl, const hello_verdict& v) {
    if (v.certificate == nullptr) return false;
    const certificate& c = *v.certificate;
    if (SSL_use_cert_and_key(ssl, c.leaf, c.key, c.chain, 1) != 1) return false;
    // OpenSSL would otherwise look sessions up under the one context that all tenants share
    // (CVE-2025-23419).
    if (SSL_set_session_id_context(ssl, v.session_context.data(),
                                   static_cast<unsigned int>(v.session_context.size())) != 1)
        return false;
    if (v.min_version != 0 && SSL_set_min_proto_version(ssl, v.min_version) != 1) return false;
    return v.client_ca == nullptr || ask_for_client_certificate(ssl, *v.client_ca);
}

void configure(SSL_CTX* ctx, const server_context::options& o) {
    SSL_CTX_set_security_level(ctx, 2);
    const bool ok =
        SSL_CTX_set_min_proto_version(ctx, floor_of(o.min_version)) == 1 &&
        SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) == 1 &&
        SSL_CTX_set_cipher_list(ctx, tls12_ciphers) == 1 &&
        SSL_CTX_set_ciphersuites(ctx, tls13_ciphers) == 1 &&
        SSL_CTX_set1_groups_list(ctx, groups) == 1 && SSL_CTX_set_num_tickets(ctx, 1) == 1 &&
        SSL_CTX_set_max_early_data(ctx, 0) == 1 && SSL_CTX_set_recv_max_early_data(ctx, 0) == 1;
    if (!ok) throw std::runtime_error("TLS server context: " + last_error());
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    // A chain is sent as given: building one would search the store in every handshake.
    SSL_CTX_set_mode(ctx, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_clear_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(ctx, 1);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_timeout(ctx, session_seconds);
}

}  // namespace

struct server_callbacks {
    static int client_hello(SSL* ssl, int* alert, void* arg) {
        auto& self = *static_cast<server_context*>(arg);
        bool present = false;
        const auto body = extension(ssl, TLSEXT_TYPE_server_name, present);
        server_name name;
        if (present && (*alert = name.parse(body)) != 0) return SSL_CLIENT_HELLO_ERROR;
        // The second hello, after a HelloRetryRequest, may not change what was decided on the
        // first.
        if (void* served = SSL_get_ex_data(ssl, served_index())) {
            *alert = SSL_AD_ILLEGAL_PARAMETER;
            return served == mark_of(name.text()) ? SSL_CLIENT_HELLO_SUCCESS
                                                  : SSL_CLIENT_HELLO_ERROR;
        }
        return decide(self, ssl, name.text(), alert);
    }

    static int decide(server_context& self, SSL* ssl, std::string_view name, int* alert) {
        const hello_verdict v =
            self.policy_.on_hello(name, SSL_get_ex_data(ssl, connection_index()));
        switch (v.what) {
            case hello_verdict::kind::wait:
                return SSL_CLIENT_HELLO_RETRY;
            case hello_verdict::kind::serve:
                if (apply(ssl, v) && SSL_set_ex_data(ssl, served_index(), mark_of(name)) == 1)
                    return SSL_CLIENT_HELLO_SUCCESS;
                *alert = SSL_AD_INTERNAL_ERROR;
                return SSL_CLIENT_HELLO_ERROR;
            case hello_verdict::kind::refuse:
                break;
        }
        *alert = v.alert;
        return SSL_CLIENT_HELLO_ERROR;
    }

    // Without it OpenSSL counts the name as not acknowledged and leaves it out of TLS 1.2 sessions.
    static int acknowledge_name(SSL* ssl, int*, void*) {
        return SSL_get_ex_data(ssl, served_index()) != nullptr ? SSL_TLSEXT_ERR_OK
                                                               : SSL_TLSEXT_ERR_ALERT_FATAL;
    }

    static int choose_alpn(SSL*, const unsigned char** out, unsigned char* out_size,
                           const unsigned char* in, unsigned int in_size, void*) {
        const auto chosen = choose_protocol({in, in_size});
        if (chosen.empty()) return SSL_TLSEXT_ERR_ALERT_FATAL;
        *out = chosen.data();
        *out_size = static_cast<unsigned char>(chosen.size());
        return SSL_TLSEXT_ERR_OK;
    }

    static int ticket(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                      EVP_MAC_CTX* mac, int seals) {
        const auto* self =
            static_cast<const server_context*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
        const ticket_keys::set& keys = self->keys_.current();
        return seals != 0 ? prepare_seal(keys, name, iv, cipher, mac)
                          : prepare_open(keys, name, iv, cipher, mac);
    }
};

server_context::server_context(const options& o, hello_policy& policy, const ticket_keys& keys)
    : policy_(policy), keys_(keys) {
    ssl_ctx_ptr ctx(SSL_CTX_new(TLS_server_method()));
    if (ctx == nullptr || connection_index() < 0 || served_index() < 0)
        throw std::runtime_error("TLS server context: " + last_error());
    configure(ctx.get(), o);
    SSL_CTX_set_app_data(ctx.get(), this);
    SSL_CTX_set_client_hello_cb(ctx.get(), server_callbacks::client_hello, this);
    SSL_CTX_set_tlsext_servername_callback(ctx.get(), server_callbacks::acknowledge_name);
    SSL_CTX_set_alpn_select_cb(ctx.get(), server_callbacks::choose_alpn, nullptr);
    SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx.get(), server_callbacks::ticket);
    ctx_ = ctx.release();
}

server_context::~server_context() {
    SSL_CTX_free(ctx_);
}

SSL* server_context::make(void* connection) {
    ssl_ptr ssl(SSL_new(ctx_));
    if (ssl == nullptr || SSL_set_ex_data(ssl.get(), connection_index(), connection) != 1)
        return nullptr;
    SSL_set_accept_state(ssl.get());
    return ssl.release();
}

std::array<std::uint8_t, 32> server_context::session_context_of(std::string_view tenant_id,
                                                                std::string_view tls_policy) {
    static const EVP_MD* const sha256 = EVP_MD_fetch(nullptr, "SHA256", nullptr);
    // The id's length goes first: no two pairs run together to the same bytes.
    std::string text = std::to_string(tenant_id.size());
    text.append(1, ':').append(tenant_id).append(tls_policy);
    std::array<std::uint8_t, 32> hash{};
    if (EVP_Digest(text.data(), text.size(), hash.data(), nullptr, sha256, nullptr) != 1)
        throw std::runtime_error("SHA-256: " + last_error());
    return hash;
}

}  // namespace gatehouse::tls
