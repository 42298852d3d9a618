// Seals and opens session tickets with the node's keys (RFC 5077 4, RFC 8446 4.6.1): what OpenSSL's
// ticket-key callback asks for. Algorithms are fetched once a process. Any thread.
#pragma once

#include <openssl/evp.h>

#include <gatehouse/tls/context.hpp>

namespace gatehouse::tls {

// OpenSSL's answers: 1 go on, 2 opened with an older key: issue a new ticket, 0 not ours: full
// handshake, -1 failed.
int prepare_seal(const ticket_keys::set& keys, unsigned char* name, unsigned char* iv,
                 EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac);
int prepare_open(const ticket_keys::set& keys, const unsigned char* name, const unsigned char* iv,
                 EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac);

}  // namespace gatehouse::tls
