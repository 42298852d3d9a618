// Certificates by host name: found as HOST.pem or _.DOMAIN.pem in certs_dir, or where a loader says,
// parsed on first use in the blocking pool, kept in an LRU, replaced without restart. The source is node-wide (short
// locks, never held over a read or a parse); the cache is one worker's and lock-free.
#pragma once

#include <gatehouse/base/secret.hpp>
#include <openssl/ssl.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse::tls {

// A parsed chain and key, ready for SSL_use_cert_and_key. Immutable; shared by all workers.
struct certificate {
    std::string pattern;  // the name it is kept under: "shop.acme.example" or "*.acme.example"
    std::string file;     // file name inside certs_dir; empty: a loader brought it
    std::int64_t not_after = 0;  // Unix seconds, of the leaf
    X509* leaf = nullptr;
    EVP_PKEY* key = nullptr;
    STACK_OF(X509) * chain = nullptr;  // without the leaf; of what `issuers` holds
    std::vector<std::shared_ptr<X509>> issuers;  // shared by all chains they stand in
    // Set once a newer file replaced it or its file vanished: a worker that kept it, or is handed
    // it late, looks the name up again.
    mutable std::atomic<bool> replaced{false};
    certificate() = default;
    ~certificate();
    certificate(const certificate&) = delete;
    certificate& operator=(const certificate&) = delete;
};
using certificate_ptr = std::shared_ptr<const certificate>;

struct certificate_row {
    std::string pattern, file,
        error;  // an error beside a not_after: the older good one still serves
    std::int64_t not_after = 0;
    bool in_memory = false;  // a good one
};
struct certificate_page {
    std::vector<certificate_row> rows;  // by pattern
    std::string next;   // `after` of the next page; empty: this is the last
    std::string error;  // the folder cannot be read
};

// Of all files of certs_dir; with a loader of what is in memory. Each counts in the wider ones too.
struct expiry_counts {
    std::uint64_t within_1d = 0, within_7d = 0, within_30d = 0;
    std::uint64_t expired = 0;
    std::uint64_t bad = 0;  // no certificate or no key can be read
};

// What is in memory, and what was read of files or a loader so far.
struct certificate_summary {
    std::uint64_t good = 0, bad = 0;       // in memory; bad ones, whether or not an older one serves
    std::int64_t first_not_after = 0;      // Unix seconds; 0: there is none
    std::uint64_t read_good = 0, read_bad = 0, read_missing = 0;
};

// What a loader found under a name.
struct fetched_pem {
    bool missing = false;      // there is none
    bool unavailable = false;  // nobody can say now whether there is one
    std::string error;         // there is one that cannot be had: why, and what to do
    secret_text pem;           // chain (leaf first) and key
};

class certificate_source {
 public:
    // Where certificates come from when not from a folder. Called on a pool thread; calls back once,
    // at once or later, from any thread. `name`: "shop.acme.example" or "*.acme.example".
    using loader = std::function<void(const std::string& name, std::function<void(fetched_pem)>)>;
    using executor = std::function<void(std::function<void()>)>;  // runs a job in the blocking pool
    using answer = std::function<void(certificate_ptr)>;  // null: there is none, or it is bad

    // At most `cache_count` certificates stay in memory. One that a worker still holds is passed
    // over when room is needed, so give each worker's cache at most cache_count / workers.
    certificate_source(std::string certs_dir, std::uint64_t cache_count, executor run_in_pool);

    // Exact file before wildcard; an exact file that is bad, and never was good, leaves the
    // wildcard in service. Any thread; `done` runs exactly once, on a pool thread or before this
    // returns. One parse for many who wait; two loads of one tenant's names at a time. `host`:
    // normalised, checked again against path tricks. `tenant`: whose host it is; empty: shared.
    void request(const std::string& host, std::string_view tenant, answer done);

    // The watcher saw this file change or vanish (file name inside certs_dir), or everything may
    // have. A good new one replaces the old; a bad one is logged with its reason and the old one
    // stays. A file that is not in memory is not read: its name is only reported to on_replaced.
    void file_changed(const std::string& file_name);
    void rescan();
    // Another folder, another bound: what is in memory is looked up again there. Until a file has
    // been read its older certificate serves, and stays in use where the new one is bad. Workers
    // reset their caches after it.
    void use(std::string certs_dir, std::uint64_t cache_count);

    // Set once, before the first request: certs_dir is not read. What is unavailable is remembered
    // neither as missing nor as bad; an older good one serves on, and changed() or rescan() is to
    // be called once the loader can say.
    void load_with(loader l);
    void changed(const std::string& name);  // file_changed() by name; for a loader's too

    // Called on a pool thread (or inside file_changed) after the answer for a name may have
    // changed; workers drop it. `pattern` is a host name, "*.DOMAIN", or empty: all of them. Set
    // once, before the first request.
    void on_replaced(std::function<void(const std::string& pattern)> f);
    certificate_summary summary() const;
    std::vector<certificate_row> list() const;  // what is in memory, and the bad ones with why
    // All of certs_dir (with a loader, list()) whose pattern comes after `after`, the first `limit`.
    // `done` runs on a pool thread.
    void page(std::string after, std::size_t limit, std::function<void(certificate_page)> done);

    // To be called about twice a second: each certificate is looked at once a day and when it
    // changed, a few milliseconds at a time in the pool; the log says which end soon.
    void watch_expiry();
    expiry_counts expiring() const;  // as far as looked at

 private:
    struct state;
    std::shared_ptr<state> state_;
};

// One worker's view. An entry is kept under the host asked for, not under the pattern, so a look-up
// is one hash and allocates nothing; erase(pattern) drops all that came from it.
class certificate_cache {
 public:
    explicit certificate_cache(std::size_t capacity);
    ~certificate_cache();
    certificate_cache(const certificate_cache&) = delete;
    certificate_cache& operator=(const certificate_cache&) = delete;

    // Null: not known, ask the source. Pointer to null: known to be missing. Valid until the next
    // call.
    const certificate_ptr* find(std::string_view host) noexcept;  // moves it to the front
    void put(std::string_view host,
             certificate_ptr c);  // null is kept too (known to be missing), for 5 s
    void erase(std::string_view pattern);  // empty: all
    void reset(std::size_t capacity);  // empty again

 private:
    struct impl;
    std::unique_ptr<impl> impl_;
};

// Reads PEM chain and key (leaf first). On failure null and `error` says what and what to do; the
// caller puts the file's name before it.
certificate_ptr parse_certificate(std::string_view pem, std::string& error);

// Empty when the leaf names `pattern` ("shop.acme.example", "*.acme.example"); else what is wrong,
// which names it has, and what to do.
std::string name_error(const certificate& c, std::string_view pattern);

// For who passes certificates on; these block.
std::string certificate_name(std::string_view file);  // of a file of certs_dir; empty: no such file
// Null: the folder cannot be read.
std::optional<std::vector<std::string>> certificate_names(const std::string& certs_dir);
struct certificate_pem {
    bool there = false;      // false: no file has this name
    bool same = false;       // the file has the digest that was asked about: it was not parsed
    std::string digest;      // SHA-256 of the file, hexadecimal
    std::string error;       // there, and bad: names the file and what to do
    std::string chain;       // PEM, leaf first
    secret_text key;         // PEM
    std::int64_t not_after = 0;
};
// What became of it: `why` is empty where it is done.
struct certificate_change {
    bool refused = false;   // it cannot be done as asked; otherwise the folder does not let it now
    std::string why;
};
// Puts chain and key (PEM, leaf first) where certificates of that name are read from. It is checked as one that is read,
// names `name` and is not over. `name`: a host, or "*.DOMAIN".
certificate_change put_certificate(const std::string& certs_dir, const std::string& name, std::string_view pem);
// Whether a file is there for that host, or for the wildcard that it is of. Its content is not looked at.
bool has_certificate(const std::string& certs_dir, const std::string& host);
certificate_change remove_certificate(const std::string& certs_dir, const std::string& name);
certificate_pem read_certificate(const std::string& certs_dir, const std::string& name, std::string_view digest);

}  // namespace gatehouse::tls
