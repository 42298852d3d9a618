// What of quotas lives beside the path of requests: what was used is stored every second, and told
// when a tenant comes near its end. Control thread alone.
#pragma once

#include <functional>
#include <gatehouse/admin/node_view.hpp>
#include <gatehouse/limit/quota.hpp>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "quota_sync.hpp"

namespace gatehouse::server {

class quotas {
   public:
    // Stores rows; `done` gets why not, empty when they are.
    using save = std::function<void(std::vector<limit::quota_use>, std::function<void(std::string why_not)>)>;
    quotas(limit::quota_book& book, save s) : book_(book), save_(std::move(s)), sync_(book) {}

    // Once a second: gathers what has moved, and stores it unless the last has not been stored yet.
    void gather(std::int64_t unix_s);
    // Between: tells other nodes what has moved, and hears what they have.
    void sync(std::int64_t unix_s);
    // Null: there are no other nodes. `node`: whose counts ours are.
    void set_fleet(fleet::fleet* f, const std::string& node) { sync_.set_fleet(f, node); }
    // Whether what was given to be stored is stored.
    bool at_rest() const noexcept { return !saving_; }
    // What has moved and is not stored: another node stores it.
    std::vector<limit::quota_use> give_away();
    // The last: stores what there is, whatever is still being stored.
    void finish(std::int64_t unix_s);
    // Those over four fifths of a quota whose period goes on: the nearest to its end first.
    std::vector<admin::quota_row> nearly_used(std::int64_t unix_s) const;

    static constexpr std::size_t shown_max = 100;

   private:
    using name = std::pair<std::string, std::string>;
    // Near its end in that period, and what was said of it.
    struct near {
        std::shared_ptr<const limit::quota_account> account;
        limit::period in{};
        bool told_near = false, told_used = false;
    };
    void take_moved();
    void look(const std::shared_ptr<limit::quota_account>& a, const limit::quota_use& use);
    void store();

    limit::quota_book& book_;
    const save save_;
    quota_sync sync_;
    std::map<name, limit::quota_use> unsaved_;
    std::map<name, near> near_;
    std::string trouble_;
    bool saving_ = false;
};

}  // namespace gatehouse::server
