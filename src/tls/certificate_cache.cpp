// A worker's certificates: found ones and, apart so that they push none out, names known to be
// missing.
#include <algorithm>
#include <chrono>
#include <gatehouse/tls/certificates.hpp>

#include "lru.hpp"

namespace gatehouse::tls {
namespace {

using clock = std::chrono::steady_clock;
constexpr auto missing_for = std::chrono::seconds(5);
constexpr std::size_t most_missing = 1024;
const certificate_ptr none;

// "shop.acme.example" of "*.acme.example": one label in the star's place.
bool is_under(std::string_view host, std::string_view pattern) noexcept {
    const auto dot = host.find('.');
    return dot != host.npos && host.substr(dot) == pattern.substr(1);
}

}  // namespace

struct certificate_cache::impl {
    explicit impl(std::size_t capacity)
        : found(capacity), missing(std::min(std::max<std::size_t>(capacity, 1), most_missing)) {}
    lru<certificate_ptr> found;
    lru<clock::time_point> missing;  // until when
};

certificate_cache::certificate_cache(std::size_t capacity)
    : impl_(std::make_unique<impl>(capacity)) {}
certificate_cache::~certificate_cache() = default;

const certificate_ptr* certificate_cache::find(std::string_view host) noexcept {
    if (const certificate_ptr* c = impl_->found.find(host)) {
        if (!(*c)->replaced.load(std::memory_order_relaxed)) return c;
        impl_->found.erase(host);
        return nullptr;
    }
    const clock::time_point* until = impl_->missing.find(host);
    if (until == nullptr) return nullptr;
    if (clock::now() < *until) return &none;
    impl_->missing.erase(host);
    return nullptr;
}

void certificate_cache::put(std::string_view host, certificate_ptr c) {
    if (c == nullptr) {
        impl_->found.erase(host);
        impl_->missing.put(host, clock::now() + missing_for);
        return;
    }
    impl_->missing.erase(host);
    impl_->found.put(host, std::move(c));
}

void certificate_cache::erase(std::string_view pattern) {
    if (pattern.empty()) {
        impl_->found.clear();
        impl_->missing.clear();
        return;
    }
    if (!pattern.starts_with("*.")) {
        impl_->found.erase(pattern);
        impl_->missing.erase(pattern);
        return;
    }
    impl_->found.erase_if(
        [&](std::string_view, const certificate_ptr& c) { return c->pattern == pattern; });
    impl_->missing.erase_if(
        [&](std::string_view host, const clock::time_point&) { return is_under(host, pattern); });
}

void certificate_cache::reset(std::size_t capacity) {
    impl_ = std::make_unique<impl>(capacity);
}

}  // namespace gatehouse::tls
