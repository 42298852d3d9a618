#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <gatehouse/base/text.hpp>
#include <gatehouse/seal/region_key.hpp>
#include <memory>
#include <span>
#include <stdexcept>

namespace gatehouse::seal {
namespace {

constexpr int nonce_bytes = 12, tag_bytes = 16;
constexpr std::size_t key_digits = 64, keys_max = 16, file_bytes_max = 64 * 1024;
constexpr std::size_t plain_bytes_max = 64 * 1024 * 1024;

template <auto Free>
struct deleter {
    template <class T>
    void operator()(T* p) const noexcept {
        Free(p);
    }
};
using kdf_ptr = std::unique_ptr<EVP_KDF, deleter<EVP_KDF_free>>;
using kdf_context_ptr = std::unique_ptr<EVP_KDF_CTX, deleter<EVP_KDF_CTX_free>>;
using cipher_context_ptr = std::unique_ptr<EVP_CIPHER_CTX, deleter<EVP_CIPHER_CTX_free>>;

const unsigned char* bytes_of(std::string_view s) noexcept {
    return reinterpret_cast<const unsigned char*>(s.data());
}

template <class Text>
unsigned char* bytes_of(Text& s) noexcept {
    return reinterpret_cast<unsigned char*>(s.data());
}

void derive(std::span<const unsigned char> key, std::string_view purpose, std::span<unsigned char> out) {
    const kdf_ptr kdf(EVP_KDF_fetch(nullptr, "HKDF", nullptr));
    const kdf_context_ptr context(EVP_KDF_CTX_new(kdf.get()));
    char digest[] = "SHA256";
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, const_cast<unsigned char*>(key.data()), key.size()),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, const_cast<char*>(purpose.data()), purpose.size()),
        OSSL_PARAM_construct_end(),
    };
    if (context == nullptr || EVP_KDF_derive(context.get(), out.data(), out.size(), params) != 1)
        throw std::runtime_error("OpenSSL cannot derive a key (HKDF)");
}

int value_of(char digit) noexcept {
    if (digit >= '0' && digit <= '9') return digit - '0';
    const char c = ascii_lower(digit);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

std::string to_base64(std::string_view bytes) {
    std::string out((bytes.size() + 2) / 3 * 4 + 1, '\0');
    out.resize(static_cast<std::size_t>(
        EVP_EncodeBlock(bytes_of(out), bytes_of(bytes), static_cast<int>(bytes.size()))));
    return out;
}

std::optional<std::string> from_base64(std::string_view text) {
    if (text.size() % 4 != 0 || text.empty() || text.size() > plain_bytes_max * 2) return std::nullopt;
    std::string out(text.size() / 4 * 3, '\0');
    if (EVP_DecodeBlock(bytes_of(out), bytes_of(text), static_cast<int>(text.size())) < 0) return std::nullopt;
    const auto padding = static_cast<std::size_t>(std::count(text.end() - 2, text.end(), '='));
    out.resize(out.size() - padding);
    return out;
}

}  // namespace

std::optional<region_key> region_key::parse(std::string_view text) {
    if (text.size() != key_digits) return std::nullopt;
    secret whole{};
    for (std::size_t i = 0; i < whole.size(); ++i) {
        const int high = value_of(text[2 * i]), low = value_of(text[2 * i + 1]);
        if (high < 0 || low < 0) return std::nullopt;
        whole.bytes[i] = static_cast<unsigned char>(high * 16 + low);
    }
    region_key key;
    std::string id(4, '\0');
    derive(whole.bytes, "gatehouse seal", key.sealing_.bytes);
    derive(whole.bytes, "gatehouse sign", key.signing_.bytes);
    derive(whole.bytes, "gatehouse key id", {bytes_of(id), id.size()});
    key.id_ = hex(id);
    return key;
}

std::string region_key::seal(std::string_view plain, std::string_view associated) const {
    if (plain.size() > plain_bytes_max) throw std::runtime_error("too long to be sealed");
    std::string out(nonce_bytes + plain.size() + tag_bytes, '\0');
    unsigned char* const nonce = bytes_of(out);
    unsigned char* const text = nonce + nonce_bytes;
    unsigned char* const tag = text + plain.size();
    const cipher_context_ptr c(EVP_CIPHER_CTX_new());
    int n = 0;
    const bool done =
        c != nullptr && RAND_bytes(nonce, nonce_bytes) == 1 &&
        EVP_EncryptInit_ex(c.get(), EVP_aes_256_gcm(), nullptr, sealing_.data(), nonce) == 1 &&
        EVP_EncryptUpdate(c.get(), nullptr, &n, bytes_of(associated), static_cast<int>(associated.size())) == 1 &&
        EVP_EncryptUpdate(c.get(), text, &n, bytes_of(plain), static_cast<int>(plain.size())) == 1 &&
        EVP_EncryptFinal_ex(c.get(), tag, &n) == 1 &&
        EVP_CIPHER_CTX_ctrl(c.get(), EVP_CTRL_GCM_GET_TAG, tag_bytes, tag) == 1;
    if (!done) throw std::runtime_error("OpenSSL cannot seal (AES-256-GCM)");
    return to_base64(out);
}

std::optional<secret_text> region_key::open(std::string_view sealed, std::string_view associated) const {
    auto bytes = from_base64(sealed);
    if (!bytes || bytes->size() < nonce_bytes + tag_bytes) return std::nullopt;
    secret_text plain;
    plain.resize(bytes->size() - nonce_bytes - tag_bytes);
    unsigned char* const nonce = bytes_of(*bytes);
    const unsigned char* const text = nonce + nonce_bytes;
    unsigned char* const tag = nonce + nonce_bytes + plain.size();
    const cipher_context_ptr c(EVP_CIPHER_CTX_new());
    int n = 0;
    const bool done =
        c != nullptr && EVP_DecryptInit_ex(c.get(), EVP_aes_256_gcm(), nullptr, sealing_.data(), nonce) == 1 &&
        EVP_DecryptUpdate(c.get(), nullptr, &n, bytes_of(associated), static_cast<int>(associated.size())) == 1 &&
        EVP_DecryptUpdate(c.get(), bytes_of(plain), &n, text, static_cast<int>(plain.size())) == 1 &&
        EVP_CIPHER_CTX_ctrl(c.get(), EVP_CTRL_GCM_SET_TAG, tag_bytes, tag) == 1 &&
        EVP_DecryptFinal_ex(c.get(), bytes_of(plain) + plain.size(), &n) == 1;
    if (!done) return std::nullopt;
    return plain;
}

std::string region_key::sign(std::string_view text) const {
    std::array<unsigned char, 32> mac{};
    std::size_t n = 0;
    if (EVP_Q_mac(nullptr, "HMAC", nullptr, "SHA256", nullptr, signing_.data(), signing_.size(), bytes_of(text),
                  text.size(), mac.data(), mac.size(), &n) == nullptr)
        throw std::runtime_error("OpenSSL cannot sign (HMAC-SHA256)");
    return hex({reinterpret_cast<const char*>(mac.data()), n});
}

bool region_key::is_signed(std::string_view text, std::string_view signature) const noexcept {
    try {
        const std::string right = sign(text);
        return signature.size() == right.size() && CRYPTO_memcmp(signature.data(), right.data(), right.size()) == 0;
    } catch (const std::exception&) {
        return false;
    }
}

std::optional<key_ring> key_ring::parse(std::string_view text, std::string& trouble) {
    key_ring ring;
    for (std::size_t line = 1; !text.empty(); ++line) {
        const auto end = std::min(text.find('\n'), text.size());
        std::string_view one = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (!one.empty() && one.back() == '\r') one.remove_suffix(1);
        one = trim(one);
        if (one.empty() || one.front() == '#') continue;
        auto key = region_key::parse(one);
        if (!key || ring.keys_.size() == keys_max) {
            trouble = "line " + std::to_string(line) +
                      (key ? " is one key too many: at most 16"
                           : " is no key: write 64 hexadecimal digits, as `openssl rand -hex 32` makes them");
            return std::nullopt;
        }
        ring.keys_.push_back(std::move(*key));
    }
    if (ring.keys_.empty()) {
        trouble = "holds no key: make one with `openssl rand -hex 32`";
        return std::nullopt;
    }
    return ring;
}

std::optional<key_ring> key_ring::load(const std::string& file, std::string& trouble) {
    const auto text = read_secret(file, file_bytes_max);
    if (!text) {
        trouble = "cannot be read: make the file with `openssl rand -hex 32`, readable for the gateway alone";
        return std::nullopt;
    }
    if (others_may_read(file)) {
        trouble = "may be read by others than its owner: chmod 600 it, and make a new key where others did";
        return std::nullopt;
    }
    return parse(text->view(), trouble);
}

const region_key* key_ring::find(std::string_view id) const noexcept {
    const auto at = std::find_if(keys_.begin(), keys_.end(), [&](const region_key& k) { return k.id() == id; });
    return at == keys_.end() ? nullptr : &*at;
}

}  // namespace gatehouse::seal
