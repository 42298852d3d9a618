// The ring of ticket key sets.
#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <gatehouse/base/log.hpp>
#include <gatehouse/tls/context.hpp>
#include <stdexcept>

namespace gatehouse::tls {
namespace {

bool make_key(ticket_keys::key& k) {
    return RAND_bytes(k.name.data(), static_cast<int>(k.name.size())) == 1 &&
           RAND_priv_bytes(k.aes.data(), static_cast<int>(k.aes.size())) == 1 &&
           RAND_priv_bytes(k.hmac.data(), static_cast<int>(k.hmac.size())) == 1;
}

}  // namespace

struct ticket_keys::impl {
    std::array<set, 4> ring{};
    std::atomic<std::uint8_t> now{0};
};

ticket_keys::ticket_keys() : impl_(std::make_unique<impl>()) {
    if (!make_key(impl_->ring[0].keys[0]))
        throw std::runtime_error("no randomness for ticket keys: " + last_error());
}

ticket_keys::~ticket_keys() {
    OPENSSL_cleanse(impl_->ring.data(), sizeof impl_->ring);
}

void ticket_keys::rotate() {
    const std::uint8_t now = impl_->now.load(std::memory_order_relaxed);
    const auto next = static_cast<std::uint8_t>((now + 1) % impl_->ring.size());
    const set& old = impl_->ring[now];
    key fresh{};
    if (!make_key(fresh)) {
        log::error("ticket keys stay as they are, no randomness for new ones: {}", last_error());
        return;
    }
    // Nobody reads `next` any more: it ceased to be current a day and a half ago, and was wiped.
    set& s = impl_->ring[next];
    s.keys = {fresh, old.keys[0], old.keys[1]};
    s.count = static_cast<std::uint8_t>(old.count < 3 ? old.count + 1 : 3);
    OPENSSL_cleanse(&fresh, sizeof fresh);
    impl_->now.store(next, std::memory_order_release);
    // A worker may still read what was current a moment ago; what came before opens nothing any more.
    for (std::size_t i = 0; i < impl_->ring.size(); ++i)
        if (i != now && i != next) OPENSSL_cleanse(&impl_->ring[i], sizeof impl_->ring[i]);
}

void ticket_keys::use(const set& keys) noexcept { impl_->ring[impl_->now.load(std::memory_order_relaxed)] = keys; }

const ticket_keys::set& ticket_keys::current() const noexcept {
    return impl_->ring[impl_->now.load(std::memory_order_acquire)];
}

}  // namespace gatehouse::tls
