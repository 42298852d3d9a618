// Takes the registry from Redis, where another node publishes it: keeps a copy of it in
// state_dir/mirror.db, current by the stream of changes, and brings tenants from there into the
// directory when they are asked for. Redis is never waited for where the copy is whole; without Redis
// the node serves what it has. Control thread alone but where said otherwise; files, SQLite and
// documents are worked on in the pool.
#pragma once

#include <gatehouse/base/secret.hpp>
#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <functional>
#include <gatehouse/config/settings.hpp>
#include <gatehouse/redis/client.hpp>
#include <gatehouse/registry/documents.hpp>
#include <gatehouse/tenant/directory.hpp>
#include <gatehouse/tenant/loader.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace gatehouse::registry {

enum class following : std::uint8_t {
    away,     // Redis does not answer: what is known is served
    reading,  // everything is being compared with Redis
    waiting,  // Redis is there, but nobody has published the whole registry
    current,
};
std::string_view name(following f) noexcept;

struct follower_status {
    following state = following::away;
    std::string why;                   // of away and waiting
    std::string publisher;             // node that publishes; empty: not known
    std::uint64_t epoch = 0, revision = 0;  // of the last change taken
    bool whole = false;                // the copy has everything the publisher had
    std::int64_t stale_s = 0;          // since the copy was last known to be current; 0 while it is
    bool expired = false;              // over max_stale: nothing is served
    std::uint64_t taken = 0;           // documents and hosts, since the start
    std::size_t hosts = 0, in_memory = 0, loading = 0;
    std::vector<std::string> refused;  // what Redis has and this node does not take, and why; at most 20
};

// A certificate as the registry has it.
struct followed_certificate {
    enum class kind : std::uint8_t { found, none, unavailable } what = kind::none;
    std::string error;  // found, but not to be used here, and why
    secret_text pem;    // chain and key
};

class follower final : public tenant::loader {
 public:
    struct dependencies {
        boost::asio::io_context& control;
        std::function<void(std::function<void()>)> run_in_pool;
        tenant::directory& directory;
        // On control: the directory changed. Let the workers pass, then free what was retired.
        std::function<void()> after_publish;
        // On control: platform_settings() gives others now. Tenants that came with them wait for
        // `taken`, which must be called, on control.
        std::function<void(std::function<void()> taken)> on_platform;
        // On control: the answer for a certificate may be another one. Empty: for any.
        std::function<void(const std::string& name)> on_certificate;
    };
    struct options {
        redis::options redis;
        std::string prefix;       // of every key
        std::string node_id;
        std::string version;      // of this program, told to others
        std::string state_dir;
        std::uint64_t cache_tenants = 100'000;  // in memory
        milliseconds max_stale{0};              // 0: for as long as it takes
    };

    follower(options o, dependencies d);
    ~follower();
    follower(const follower&) = delete;
    follower& operator=(const follower&) = delete;

    // Before control runs: reads the copy. False: it cannot be used, `why` says why. Blocks.
    bool open(std::string& why);
    // `own` with what all nodes share, as it was last published. Files that the settings name are put
    // under state_dir. Nothing: it cannot be read, and why; empty: nothing was published yet. Any
    // thread; blocks.
    std::optional<config::settings> platform_settings(const config::settings& own, const region_keys& keys,
                                                      std::string& why) const;
    // Who reads: before start(), and with each reload. Everything refused is tried again.
    void set_identity(const config::settings& own, const region_keys& keys);
    // Settings from platform_settings() are in force: tenants may come. Before, who asks for one waits.
    void set_ready();
    void start();
    void stop();  // nothing is called back after this; what is being loaded is answered before
    follower_status status() const;

    // --- any thread ---
    void load_host(std::string host, std::function<void(answer)> done) override;
    void load_tenant(std::string id, std::function<void(answer)> done) override;
    // `done` once, on any thread. The copy first, then Redis.
    void read_certificate(const std::string& name, std::function<void(followed_certificate)> done);

 private:
    class impl;
    std::shared_ptr<impl> impl_;
};

}  // namespace gatehouse::registry
