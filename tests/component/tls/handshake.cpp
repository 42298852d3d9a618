// Memory BIOs between two SSLs.
#include "handshake.hpp"

#include <openssl/err.h>

#include <catch2/catch.hpp>

namespace gatehouse::tls::test {
namespace {

void note_alert(const SSL* ssl, int where, int code) {
    if ((where & SSL_CB_READ_ALERT) != SSL_CB_READ_ALERT) return;
    static_cast<side_state*>(SSL_get_app_data(ssl))->alert = code & 0xff;
}

}  // namespace

duet::duet(ssl_ptr client, ssl_ptr server)
    : client_(std::move(client)), server_(std::move(server)) {
    REQUIRE(client_ != nullptr);
    REQUIRE(server_ != nullptr);
    BIO *a = nullptr, *b = nullptr;
    REQUIRE(BIO_new_bio_pair(&a, 256 * 1024, &b, 256 * 1024) == 1);
    SSL_set_bio(client_.get(), a, a);
    SSL_set_bio(server_.get(), b, b);
    SSL_set_app_data(client_.get(), &client_state);
    SSL_set_app_data(server_.get(), &server_state);
    SSL_set_info_callback(client_.get(), note_alert);
    SSL_set_info_callback(server_.get(), note_alert);
}

void duet::advance(SSL* ssl, side_state& s) {
    if (s.done || s.failed) return;
    ERR_clear_error();
    const int n = SSL_do_handshake(ssl);
    s.wants = SSL_get_error(ssl, n);
    s.done = n == 1;
    s.failed = s.wants == SSL_ERROR_SSL || s.wants == SSL_ERROR_SYSCALL;
}

void duet::step() {
    advance(client_.get(), client_state);
    advance(server_.get(), server_state);
}

bool duet::run() {
    for (int i = 0; i < 20 && !(client_state.done && server_state.done); ++i)
        step();
    if (!client_state.done || !server_state.done || server_state.failed) return false;
    return exchange();
}

bool duet::exchange() {
    char byte = 'x';
    ERR_clear_error();
    if (SSL_write(client_.get(), &byte, 1) != 1 || SSL_read(server_.get(), &byte, 1) != 1)
        return false;
    return SSL_write(server_.get(), &byte, 1) == 1 && SSL_read(client_.get(), &byte, 1) == 1;
}

ssl_ptr make_client(const client_options& o) {
    const ssl_ctx_ptr ctx(SSL_CTX_new(TLS_client_method()));
    SSL_CTX_set_session_cache_mode(ctx.get(), SSL_SESS_CACHE_CLIENT);
    if (o.identity != nullptr)
        REQUIRE(SSL_CTX_use_cert_and_key(ctx.get(), o.identity->cert.get(), o.identity->key.get(),
                                         nullptr, 1) == 1);
    ssl_ptr ssl(SSL_new(ctx.get()));
    if (!o.server_name.empty()) SSL_set_tlsext_host_name(ssl.get(), o.server_name.c_str());
    if (o.max_version != 0) SSL_set_max_proto_version(ssl.get(), o.max_version);
    if (o.groups != nullptr) REQUIRE(SSL_set1_groups_list(ssl.get(), o.groups) == 1);
    if (!o.alpn.empty())
        SSL_set_alpn_protos(ssl.get(), reinterpret_cast<const unsigned char*>(o.alpn.data()),
                            static_cast<unsigned int>(o.alpn.size()));
    if (o.session != nullptr) REQUIRE(SSL_set_session(ssl.get(), o.session) == 1);
    SSL_set_connect_state(ssl.get());
    return ssl;
}

hello_verdict names_policy::on_hello(std::string_view server_name, void* connection) {
    asked.emplace_back(server_name);
    connections.push_back(connection);
    const auto at = sites.find(std::string(server_name));
    if (at == sites.end()) return {.what = hello_verdict::kind::refuse, .alert = alert};
    site& s = at->second;
    if (s.waits > 0) {
        --s.waits;
        return {.what = hello_verdict::kind::wait};
    }
    return {.what = hello_verdict::kind::serve,
            .certificate = s.certificate.get(),
            .session_context = server_context::session_context_of(s.tenant, s.tls_policy),
            .min_version = s.min_version,
            .client_ca = s.client_ca.get()};
}

bool shown(const duet& d, const std::string& host) {
    X509* leaf = SSL_get0_peer_certificate(d.client());
    return leaf != nullptr && X509_check_host(leaf, host.data(), host.size(), 0, nullptr) == 1;
}

}  // namespace gatehouse::tls::test
