// Which tenants a node that follows has in memory: brought into the directory when somebody asks for
// them, made anew when what the registry has of them changes, let go when there are too many. Control
// thread alone; tenants are made in the pool.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <gatehouse/tenant/directory.hpp>
#include <gatehouse/tenant/loader.hpp>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "assemble.hpp"

namespace gatehouse::registry {

class tenant_loads : public std::enable_shared_from_this<tenant_loads> {
 public:
    using answer = tenant::loader::answer;
    using values = std::vector<followed_value>;
    struct dependencies {
        boost::asio::io_context& control;
        std::function<void(std::function<void()>)> run_in_pool;
        tenant::directory& directory;
        std::function<void()> after_publish;
        std::shared_ptr<followed_copy> copy;
        // What Redis has under keys that the copy has not; nothing when nobody can say.
        std::function<void(const std::vector<std::string>& keys, std::function<void(std::optional<values>)>)> ask;
        // A host name, or a wildcard, that is known to be nobody's whatever the copy lacks; empty: none is.
        std::function<bool(std::string_view host)> is_nobodys = {};
        // What was found under one of these keys cannot be right.
        std::function<void(const std::vector<std::string>& keys)> doubtful = {};
    };
    tenant_loads(dependencies d, std::size_t most_tenants, std::string files_dir);

    void set_identity(identity_ptr who) { who_ = std::move(who); }
    // Plans and pools are in force: until then who asks waits.
    void set_ready();
    // What is not in the copy does not exist.
    void set_whole(bool whole) { whole_ = whole; }
    void stop();

    // `key`: "host:shop.acme.example" or "tenant:acme".
    void load(const std::string& key, std::function<void(answer)> done);
    // The copy has other values under these keys.
    void changed(const std::vector<std::pair<std::string, bool>>& keys);
    // Everything that is in memory is made again, as by another identity.
    void renew_all();
    // Once a second: lets go who is over the bound and not used, as every load does too, and makes those
    // again that could not be made when they changed.
    void tidy();

    std::size_t waiting() const noexcept { return waiting_; }
    std::size_t in_memory() const noexcept { return ids_.size(); }

 private:
    struct waiter {
        std::function<void(answer)> done;
        std::int64_t deadline_ns = 0;
    };
    struct load_state {
        std::vector<waiter> waiters;
        std::uint64_t began = 0;   // serial of changes
        std::size_t rounds = 0;
        bool running = false, again = false;
        std::unordered_map<std::string, std::optional<std::string>> asked;
    };
    struct known {
        std::size_t place = 0;  // in ids_
        std::string parent;
    };

    void refresh(const std::string& key);
    void start(const std::string& key, load_state& l);
    void made(const std::string& key, assembly a);
    void ask(const std::string& key, load_state& l, std::vector<std::string> missing);
    void settle(const std::string& key, answer a);
    bool outdated(const load_state& l, const assembly& a) const;
    void publish(const assembly& a);
    void put(const assembled_tenant& t);
    void remove(const std::string& id);
    void adopt(const std::string& parent, int by);
    std::shared_ptr<tenant::state> state_of(const std::string& id);
    void let_go();
    bool may_go(const std::string& id) const;
    void watch_deadlines();

    const dependencies deps_;
    const std::size_t most_;
    const std::string files_dir_;
    identity_ptr who_;
    bool ready_ = false, whole_ = false, stopped_ = false, ticking_ = false;
    boost::asio::steady_timer timer_;
    std::unordered_map<std::string, load_state> loads_;
    std::size_t waiting_ = 0, running_ = 0;
    // Changes that came while something is being loaded: key, serial.
    std::unordered_map<std::string, std::uint64_t> changes_;
    std::uint64_t serial_ = 0;
    std::vector<std::string> ids_;  // in memory, in no order
    std::unordered_map<std::string, known> known_;
    std::unordered_map<std::string, std::size_t> children_;  // in memory, by their parent
    std::set<std::string> overdue_;  // keys of tenants in memory that changed and could not be made
    // Counters of those that left and may still be used by a connection.
    std::unordered_map<std::string, std::weak_ptr<tenant::state>> left_;
    std::minstd_rand random_;
};

}  // namespace gatehouse::registry
