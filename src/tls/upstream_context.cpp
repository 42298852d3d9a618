// The client side towards a pool's endpoints.
#include <openssl/crypto.h>
#include <openssl/err.h>

#include <gatehouse/base/ip.hpp>
#include <gatehouse/tls/context.hpp>
#include <mutex>
#include <stdexcept>

#include "certificate_file.hpp"
#include "lru.hpp"
#include "openssl_ptr.hpp"
#include "parse_certificate.hpp"

namespace gatehouse::tls {
namespace {

constexpr std::size_t most_sessions = 256;
constexpr unsigned char offered_protocols[] = "\x08http/1.1";

void load_ca(SSL_CTX* ctx, const std::string& ca_file) {
    if (ca_file.empty()) {
        if (SSL_CTX_set_default_verify_paths(ctx) != 1)
            throw std::runtime_error("the system's CA certificates cannot be read (" +
                                     last_error() + "): name a ca_file");
        return;
    }
    std::string error;
    const trust_ptr trust = load_trust(ca_file, error);
    if (trust == nullptr) throw std::runtime_error(error);
    SSL_CTX_set1_cert_store(ctx, trust->store);
}

void load_client_certificate(SSL_CTX* ctx, const std::string& path) {
    file_text file = read_small_file(path, most_certificate_bytes);
    std::string error = file.error;
    const auto c = error.empty() ? parse_pem(file.text.view(), error) : nullptr;
    file.text.clear();
    if (c != nullptr && SSL_CTX_use_cert_and_key(ctx, c->leaf, c->key, c->chain, 1) != 1)
        error = "cannot be used (" + last_error() + ')';
    if (!error.empty()) throw std::runtime_error(path + ": " + error);
}

// What the SSL verifies, which is what its session is kept under.
std::string verified_name(SSL* ssl) {
    X509_VERIFY_PARAM* param = SSL_get0_param(ssl);
    if (const char* host = X509_VERIFY_PARAM_get0_host(param, 0)) return host;
    char* ip = X509_VERIFY_PARAM_get1_ip_asc(param);
    std::string text = ip != nullptr ? ip : "";
    OPENSSL_free(ip);
    return text;
}

bool name_host(SSL* ssl, const std::string& name) {
    return X509_VERIFY_PARAM_set1_host(SSL_get0_param(ssl), name.data(), name.size()) == 1 &&
           SSL_set_tlsext_host_name(ssl, name.c_str()) == 1;
}

}  // namespace

struct upstream_context::sessions {
    std::mutex mutex;                      // workers share a pool's context; asked once a connection
    lru<session_ptr> last{most_sessions};  // by verified name

    // OpenSSL's new-session callback: 0 leaves the reference with the SSL. Sessions are copied in
    // and out, because OpenSSL spoils that of a connection which ends without close_notify.
    static int keep(SSL* ssl, SSL_SESSION* session) {
        auto* self = static_cast<sessions*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
        const std::string name = verified_name(ssl);
        if (name.empty()) return 0;
        session_ptr copy{SSL_SESSION_dup(session)};
        if (copy == nullptr) return 0;
        const std::lock_guard lock(self->mutex);
        self->last.put(name, std::move(copy));
        return 0;
    }

    void offer(SSL* ssl) {
        const std::string name = verified_name(ssl);
        const std::lock_guard lock(mutex);
        const session_ptr* stored = last.find(name);
        if (stored == nullptr || SSL_SESSION_is_resumable(stored->get()) != 1) return;
        if (const session_ptr copy{SSL_SESSION_dup(stored->get())})
            SSL_set_session(ssl, copy.get());
    }
};

upstream_context::upstream_context(const tenant::upstream_tls& t)
    : verify_(t.verify), sessions_(std::make_unique<sessions>()) {
    ssl_ctx_ptr ctx(SSL_CTX_new(TLS_client_method()));
    if (ctx == nullptr || SSL_CTX_set_min_proto_version(ctx.get(), TLS1_2_VERSION) != 1 ||
        SSL_CTX_set_alpn_protos(ctx.get(), offered_protocols, sizeof offered_protocols - 1) != 0)
        throw std::runtime_error("TLS client context: " + last_error());
    if (verify_) load_ca(ctx.get(), t.ca_file);
    SSL_CTX_set_verify(ctx.get(), verify_ ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
    if (!t.client_cert_file.empty()) load_client_certificate(ctx.get(), t.client_cert_file);
    X509_VERIFY_PARAM_set_hostflags(SSL_CTX_get0_param(ctx.get()),
                                    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    SSL_CTX_set_options(ctx.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(ctx.get(), SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                    SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_read_ahead(ctx.get(), 1);
    SSL_CTX_set_session_cache_mode(ctx.get(), SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_set_app_data(ctx.get(), sessions_.get());
    SSL_CTX_sess_set_new_cb(ctx.get(), sessions::keep);
    ctx_ = ctx.release();
}

upstream_context::~upstream_context() { SSL_CTX_free(ctx_); }

SSL* upstream_context::make(const std::string& name) const {
    std::string host = name;
    if (host.ends_with('.')) host.pop_back();
    if (host.empty() && verify_) return nullptr;
    ssl_ptr ssl(SSL_new(ctx_));
    if (ssl == nullptr) return nullptr;
    if (parse_ip(host).has_value()) {
        if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl.get()), host.c_str()) != 1)
            return nullptr;
    } else if (!host.empty() && !name_host(ssl.get(), host)) {
        return nullptr;
    }
    sessions_->offer(ssl.get());
    SSL_set_connect_state(ssl.get());
    return ssl.release();
}

}  // namespace gatehouse::tls
