// The certificates that chains in memory share, by SHA-256 of their DER. Bounded by what holds them:
// nothing is kept for later.
#include "shared_chain.hpp"

#include <openssl/evp.h>

#include <array>
#include <map>
#include <mutex>

namespace gatehouse::tls {
namespace {

using digest = std::array<unsigned char, 32>;

struct table {
    std::mutex mutex;
    std::map<digest, std::weak_ptr<X509>> kept;
};
// Never destroyed: certificates may outlive main().
table& all() {
    static auto* const t = new table;
    return *t;
}

struct leave {
    digest name;
    void operator()(X509* one) const {
        {
            table& t = all();
            const std::lock_guard lock(t.mutex);
            // Another with the same content may have come since.
            if (const auto at = t.kept.find(name); at != t.kept.end() && at->second.expired())
                t.kept.erase(at);
        }
        X509_free(one);
    }
};

}  // namespace

std::shared_ptr<X509> share_issuer(x509_ptr one) {
    digest name{};
    if (X509_digest(one.get(), EVP_sha256(), name.data(), nullptr) != 1) return nullptr;
    table& t = all();
    // Made before the lock and left after it: its end takes the same lock.
    std::shared_ptr<X509> fresh(one.release(), leave{name});
    const std::lock_guard lock(t.mutex);
    std::weak_ptr<X509>& kept = t.kept[name];
    if (std::shared_ptr<X509> there = kept.lock()) return there;
    kept = fresh;
    return fresh;
}

}  // namespace gatehouse::tls
