// Certificates by host name: found as HOST.pem or _.DOMAIN.pem in certs_dir, parsed on first use in
// the blocking pool, kept in an LRU, replaced without restart. The source is node-wide (locks, never
// waited on by a worker's request path); the cache is one worker's and lock-free.
#pragma once

#include <openssl/ssl.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse::tls {

// A parsed chain and key, ready for SSL_use_cert_and_key. Immutable; shared by all workers.
struct certificate {
    std::string pattern;       // the name it is kept under: "shop.acme.example" or "*.acme.example"
    std::string file;          // file name inside certs_dir
    std::int64_t not_after = 0;   // Unix seconds, of the leaf
    X509* leaf = nullptr;
    EVP_PKEY* key = nullptr;
    STACK_OF(X509)* chain = nullptr;
    certificate() = default;
    ~certificate();
    certificate(const certificate&) = delete;
    certificate& operator=(const certificate&) = delete;
};
using certificate_ptr = std::shared_ptr<const certificate>;

struct certificate_row { std::string pattern, file, error; std::int64_t not_after = 0; };

class certificate_source {
   public:
    using executor = std::function<void(std::function<void()>)>;   // runs a job in the blocking pool
    using answer = std::function<void(certificate_ptr)>;           // null: there is none, or it is bad
    certificate_source(std::string certs_dir, std::uint64_t cache_count, executor run_in_pool);

    // Exact file before wildcard. Any thread; `done` runs exactly once, on a pool thread or before
    // this returns. One parse for many who wait. `host`: normalised, checked again against path tricks.
    void request(const std::string& host, answer done);
    // The watcher saw this file change or vanish (file name inside certs_dir), or everything may have.
    // A good new one replaces the old; a bad one is logged with its reason and the old one stays.
    void file_changed(const std::string& file_name);
    void rescan();
    // Called on a pool thread after a name's certificate was replaced or removed: workers drop it.
    void on_replaced(std::function<void(const std::string& pattern)> f);
    std::vector<certificate_row> list() const;   // what is in memory, and the bad ones with why

   private:
    struct state;
    std::shared_ptr<state> state_;
};

// One worker's view. An exact entry is kept under the host asked for, not under the pattern, so a
// look-up is one hash; erase(pattern) drops all that came from it.
class certificate_cache {
   public:
    explicit certificate_cache(std::size_t capacity);
    ~certificate_cache();
    const certificate_ptr* find(std::string_view host) noexcept;   // moves it to the front
    void put(std::string_view host, certificate_ptr c);            // null is kept too (known to be missing), for 5 s
    void erase(std::string_view pattern);
    void clear();

   private:
    struct impl;
    std::unique_ptr<impl> impl_;
};

// Reads PEM chain and key. On failure null and `error` says what and what to do.
certificate_ptr parse_certificate(std::string_view pem, std::string& error);

}  // namespace gatehouse::tls
