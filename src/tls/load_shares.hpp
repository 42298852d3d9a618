// Loads of certificates, fair between tenants: a few of one tenant's at a time, the others of it
// wait in line, so that first uses of ten thousand names of one tenant do not stand before those of
// the rest. By tenant, not by parent domain: all names below the platform's domain share that one.
// Not thread-safe.
#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <utility>

namespace gatehouse::tls {

class load_shares {
 public:
    static constexpr std::size_t at_a_time = 2;  // of the pool's three threads
    static constexpr std::size_t most_waiting = 16 * 1024, most_waiting_a_tenant = 2 * 1024;

    // One more who waits for a load of this tenant's name. False: too many do.
    bool wait(std::string_view tenant) {
        const auto at = shares_.try_emplace(std::string(tenant)).first;
        const bool room = waiting_ < most_waiting && at->second.waiting < most_waiting_a_tenant;
        if (room) {
            ++waiting_;
            ++at->second.waiting;
        }
        drop_if_idle(at);
        return room;
    }
    void waited(std::string_view tenant) {
        const auto at = shares_.find(tenant);
        --waiting_;
        --at->second.waiting;
        drop_if_idle(at);
    }

    // False: not now; a later end() of the same tenant names the file.
    bool begin(std::string_view tenant, std::string_view file) {
        share& s = shares_.try_emplace(std::string(tenant)).first->second;
        if (s.under_way < at_a_time) {
            ++s.under_way;
            return true;
        }
        s.line.emplace_back(file);
        return false;
    }
    // What begins in this one's place; empty: nothing.
    std::string end(std::string_view tenant) {
        const auto at = shares_.find(tenant);
        std::string next;
        if (at->second.line.empty()) {
            --at->second.under_way;
            drop_if_idle(at);
        } else {
            next = std::move(at->second.line.front());
            at->second.line.pop_front();
        }
        return next;
    }

 private:
    struct share {
        std::size_t waiting = 0, under_way = 0;
        std::deque<std::string> line;
    };
    using shares = std::map<std::string, share, std::less<>>;
    void drop_if_idle(shares::iterator at) {
        if (at->second.waiting == 0 && at->second.under_way == 0) shares_.erase(at);
    }

    shares shares_;
    std::size_t waiting_ = 0;
};

}  // namespace gatehouse::tls
