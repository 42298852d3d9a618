// Keys of regions: what they seal (AES-256-GCM) can be read by holders of the key alone, what they
// sign (HMAC-SHA256) is theirs. Immutable values; any thread.
#pragma once

#include <cstdint>
#include <gatehouse/base/secret.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse::seal {

// 256 bits from which one key to seal and one to sign are derived (HKDF-SHA256, RFC 5869).
class region_key {
 public:
    // 64 hexadecimal digits.
    static std::optional<region_key> parse(std::string_view text);

    // Eight hexadecimal digits that tell keys apart and say nothing of them.
    const std::string& id() const noexcept { return id_; }

    // Nonce, ciphertext and tag in base64. `associated` has to be the same when it is opened. Throws
    // std::runtime_error when the system has no randomness to give.
    std::string seal(std::string_view plain, std::string_view associated) const;
    std::optional<secret_text> open(std::string_view sealed, std::string_view associated) const;

    std::string sign(std::string_view text) const;  // 64 hexadecimal digits
    bool is_signed(std::string_view text, std::string_view signature) const noexcept;

 private:
    using secret = secret_bytes<32>;
    secret sealing_{}, signing_{};
    std::string id_;
};

// A region's keys: the first seals and signs, all of them open and verify, so that a key can be
// changed without a gap.
class key_ring {
 public:
    // One key a line; empty lines and lines that begin with '#' are skipped. At most 16. Null, and
    // in `trouble` what is wrong and what to do, without the file's name.
    static std::optional<key_ring> parse(std::string_view text, std::string& trouble);
    // Blocks. A file that others than its owner may read is refused.
    static std::optional<key_ring> load(const std::string& file, std::string& trouble);

    const region_key& current() const noexcept { return keys_.front(); }
    const region_key* find(std::string_view id) const noexcept;  // null: not held

 private:
    std::vector<region_key> keys_;
};

}  // namespace gatehouse::seal
