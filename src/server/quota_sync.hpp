// Quotas that all nodes keep together: what moved here is told twice a second, and what the others
// have counts besides. docs/shares.md derives by how much a fleet can go over. Control thread alone.
#pragma once

#include <cstdint>
#include <gatehouse/fleet/quotas.hpp>
#include <gatehouse/limit/quota.hpp>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace gatehouse::server {

class quota_sync {
   public:
    explicit quota_sync(limit::quota_book& book) : book_(book) {}

    // Null: there are no other nodes. `node`: whose counts ours are.
    void set_fleet(fleet::fleet* f, const std::string& node);
    void moved(std::shared_ptr<limit::quota_account> a);
    void tick(std::int64_t unix_s);

   private:
    using account = std::shared_ptr<limit::quota_account>;
    struct other_nodes {
        other_nodes(fleet::fleet& f, const std::string& node) : exchange(f, node) {}
        fleet::quota_exchange exchange;
        std::size_t waiting = 0;   // calls without an answer
    };
    void add_all_again(std::int64_t unix_s);
    void tell(const std::vector<account>& some, std::int64_t unix_s);
    void told(const std::vector<account>& some, const std::vector<limit::quota_use>& uses,
              const std::optional<fleet::quota_exchange::answer>& a);

    limit::quota_book& book_;
    std::shared_ptr<other_nodes> others_;
    std::map<account, unsigned> moved_;   // how often each is still told
    account last_told_;
    std::int64_t epoch_ = 0;
    bool all_again_ = false;            // every account is told, from here on
    limit::quota_book::key after_;
};

}  // namespace gatehouse::server
