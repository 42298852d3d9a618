// A TLS client and a TLS server joined by memory, stepped by hand.
#pragma once

#include <array>
#include <functional>
#include <gatehouse/tls/context.hpp>
#include <map>
#include <string>
#include <vector>

#include "openssl_ptr.hpp"
#include "pki.hpp"

namespace gatehouse::tls::test {

// One side after the last step.
struct side_state {
    bool done = false, failed = false;
    int wants = 0;   // SSL_get_error of the last step
    int alert = -1;  // received from the other side
};

class duet {
 public:
    duet(ssl_ptr client, ssl_ptr server);
    void step();      // client, then server, once each
    bool run();       // until both are done or one failed; then tickets are read
    bool exchange();  // one byte each way
    SSL* client() const { return client_.get(); }
    SSL* server() const { return server_.get(); }
    side_state client_state, server_state;
    // The newest session the client was given; a copy, since OpenSSL spoils that of a connection
    // which ends without close_notify.
    session_ptr session() const {
        return session_ptr(SSL_SESSION_dup(SSL_get0_session(client_.get())));
    }
    bool resumed() const { return SSL_session_reused(server_.get()) == 1; }

 private:
    void advance(SSL* ssl, side_state& s);
    ssl_ptr client_, server_;
};

struct client_options {
    std::string server_name;
    int max_version = 0;
    SSL_SESSION* session = nullptr;
    std::string alpn;  // as on the wire
    const issued* identity = nullptr;
    const char* groups = nullptr;
};
ssl_ptr make_client(const client_options& o);

// Serves the names it was given and keeps count.
class names_policy : public hello_policy {
 public:
    struct site {
        certificate_ptr certificate;
        std::string tenant, tls_policy;
        int min_version = 0;
        trust_ptr client_ca;
        int waits = 0;  // so many hellos are answered with wait first
    };
    std::map<std::string, site> sites;
    std::vector<std::string> asked;
    std::vector<void*> connections;
    int alert = SSL_AD_UNRECOGNIZED_NAME;

    hello_verdict on_hello(std::string_view server_name, void* connection) override;
};

// The names of the leaf the client was shown.
bool shown(const duet& d, const std::string& host);

}  // namespace gatehouse::tls::test
