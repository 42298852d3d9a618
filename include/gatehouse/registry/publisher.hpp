// Writes the registry of this node into Redis, for edges to follow: everything that differs when it
// begins and after each loss of Redis, then each change. One publisher at a time: each write is
// fenced by an epoch that the next publisher raises. Control thread alone; documents are made in the
// pool.
#pragma once

#include <gatehouse/base/secret.hpp>
#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <functional>
#include <gatehouse/base/error.hpp>
#include <gatehouse/config/settings.hpp>
#include <gatehouse/redis/client.hpp>
#include <gatehouse/registry/documents.hpp>
#include <gatehouse/tenant/directory.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace gatehouse::registry {

// One certificate as its file has it. In the pool.
struct certificate_text {
    bool there = false;      // false: no such file (any more)
    bool same = false;       // the file has the digest that was asked about; nothing else is said
    std::string digest;      // of the file
    std::string error;       // there, but not to be published, and why
    std::string chain;  // PEM
    secret_text key;    // PEM
    std::int64_t not_after = 0;
};

enum class publishing : std::uint8_t {
    away,       // Redis does not answer; changes are kept for later
    standby,    // another publisher holds the registry
    comparing,  // what Redis has is looked at and made equal
    current,
};
std::string_view name(publishing p) noexcept;

struct publisher_status {
    publishing state = publishing::away;
    std::string why;            // of away and standby
    std::uint64_t epoch = 0;    // of this publisher; 0: none yet
    std::size_t compared = 0, to_compare = 0;   // while comparing: tenants and certificates
    std::uint64_t written = 0;  // documents, since the start
    std::size_t waiting = 0;    // changes that are not in Redis yet
    std::vector<std::string> refused;   // what cannot be published, and why; at most 20
};

// Where Redis differs from the registry.
struct difference {
    enum class kind : std::uint8_t { missing, other, extra } what;  // in Redis
    std::string key;  // without the prefix: "tenant:acme", "host:shop.acme.example"
};
struct differences {
    std::string why_not;             // nothing was compared, and why
    std::vector<difference> first;   // at most 1000
    std::size_t count = 0;
};

class publisher {
 public:
    struct dependencies {
        boost::asio::io_context& control;
        std::function<void(std::function<void()>)> run_in_pool;
        const tenant::directory& directory;
        // In the pool: the names there are ("shop.acme.example", "*.acme.example"; null: they cannot
        // be listed), and one of them, unless its file has this digest.
        std::function<std::optional<std::vector<std::string>>()> list_certificates;
        std::function<certificate_text(const std::string& name, const std::string& digest)> read_certificate;
        // On control: whether no file declares the tenant. Empty: none is.
        std::function<bool(const std::string& tenant_id)> made_by_api = nullptr;
    };
    struct options {
        redis::options redis;
        std::string prefix;       // of every key
        std::string node_id;      // told to others
        std::string registry_id;  // of the state_dir: a restart takes over from itself at once
        region_keys keys;
        // True: tenants are missing here that Redis may have, so what this registry does not know stays there.
        bool damaged = false;
    };

    // Other settings need another publisher; it takes over from this one at once.
    publisher(options o, config::settings settings, dependencies d);
    ~publisher();  // another may take the registry over when the lease has run out (10 s)
    publisher(const publisher&) = delete;
    publisher& operator=(const publisher&) = delete;

    void start();
    // After the directory has the change (or has it no more).
    void tenant_changed(const std::string& id);
    void certificate_changed(const std::string& name);
    // Compares everything anew and writes what differs. False: not now, status() says why.
    bool compare();
    // Compares and writes nothing; changes go on meanwhile. One at a time.
    void diff(std::function<void(differences)> done);
    publisher_status status() const;

 private:
    class impl;
    std::shared_ptr<impl> impl_;
};

}  // namespace gatehouse::registry
