// AES-128-CBC and HMAC-SHA256 for tickets.
#include "ticket_seal.hpp"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include <algorithm>

namespace gatehouse::tls {
namespace {

// Held for the life of the process; an implicit fetch a ticket would cost 200 to 300 ns.
const EVP_CIPHER* aes() {
    static const EVP_CIPHER* const fetched = EVP_CIPHER_fetch(nullptr, "AES-128-CBC", nullptr);
    return fetched;
}

bool set_mac_key(EVP_MAC_CTX* mac, const ticket_keys::key& k) {
    char digest[] = "SHA256";
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY,
                                          const_cast<std::uint8_t*>(k.hmac.data()), k.hmac.size()),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    return EVP_MAC_CTX_set_params(mac, params) == 1;
}

}  // namespace

int prepare_seal(const ticket_keys::set& keys, unsigned char* name, unsigned char* iv,
                 EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac) {
    const ticket_keys::key& k = keys.keys[0];
    std::copy(k.name.begin(), k.name.end(), name);
    if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(aes())) != 1) return -1;
    if (EVP_EncryptInit_ex2(cipher, aes(), k.aes.data(), iv, nullptr) != 1) return -1;
    return set_mac_key(mac, k) ? 1 : -1;
}

int prepare_open(const ticket_keys::set& keys, const unsigned char* name, const unsigned char* iv,
                 EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac) {
    for (std::uint8_t i = 0; i < keys.count; ++i) {
        const ticket_keys::key& k = keys.keys[i];
        if (!std::equal(k.name.begin(), k.name.end(), name)) continue;
        if (EVP_DecryptInit_ex2(cipher, aes(), k.aes.data(), iv, nullptr) != 1) return -1;
        if (!set_mac_key(mac, k)) return -1;
        return i == 0 ? 1 : 2;
    }
    return 0;
}

}  // namespace gatehouse::tls
