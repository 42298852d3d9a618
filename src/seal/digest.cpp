#include <openssl/evp.h>
#include <array>
#include <gatehouse/base/text.hpp>
#include <gatehouse/seal/digest.hpp>
#include <stdexcept>

namespace gatehouse::seal {

std::string sha256(std::string_view bytes) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
    unsigned size = 0;
    if (EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, EVP_sha256(), nullptr) != 1)
        throw std::runtime_error("OpenSSL cannot hash (SHA-256)");
    return hex({reinterpret_cast<const char*>(digest.data()), size});
}

}  // namespace gatehouse::seal
