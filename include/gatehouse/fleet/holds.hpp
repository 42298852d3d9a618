// What nodes tell each other through Redis while a tenant moves to another pool: who moves it orders all
// nodes to hold its requests (PREFIX:holds), each says how far it is (PREFIX:hold:TOKEN). Not here: when
// to go on, when to go back (server/migrations.hpp). Control thread alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <gatehouse/fleet/fleet.hpp>
#include <gatehouse/redis/script.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gatehouse::fleet {

enum class hold_step : std::uint8_t {
    hold,     // let them wait; say when nothing is under way any more
    keep,     // the tenant is about to change: wait until the new end
    release,  // it has changed: let them go on as soon as the change is in force
};

// What a node is to do with the requests of a tenant.
struct hold_order {
    std::string token;             // of one move, unlike any other's; no spaces
    std::string tenant;
    hold_step step = hold_step::hold;
    std::int64_t left_ms = 0;      // until it ends by itself, by Redis' clock
    std::size_t waiting_max = 0;   // requests, of each worker
    bool close_tunnels = false;    // with release
    std::uint64_t revision = 0;    // with release: that of the tenant's new version
    std::string node;              // who moves it
};

// How far a node is with an order; "busy 3": so many exchanges are under way.
inline constexpr std::string_view held_word = "held", kept_word = "kept", lost_word = "lost", released_word = "released";

struct node_word {
    std::string node;
    std::int64_t silent_ms = 0;    // since it last looked for orders; below 0: it never did, its program is older
    std::string word;              // of the token asked about; empty: none yet
};

class hold_exchange {
 public:
    // `node`: who speaks. A node is alive while it was heard of within lives_ms.
    hold_exchange(fleet& f, std::string node);
    static constexpr std::int64_t lives_ms = 15'000;
    bool is_up() const { return fleet_.is_up(); }

    // All orders there are, and tells how far this node is, by token. Nothing: Redis did not answer.
    using words = std::vector<std::pair<std::string, std::string>>;
    void look(const words& mine, std::function<void(std::optional<std::vector<hold_order>>)> done);
    // Gives an order, or the same one anew with another step and end; what the living nodes say of its
    // token comes back, this node's own word not. left_ms 0: it is asked alone, and nothing is ordered.
    // Nothing: Redis did not answer, or nothing was ordered: another node's order for this tenant stands, or
    // this one came to Redis late. To be asked once before anything is ordered, for Redis' time.
    void give(const hold_order& o, std::function<void(std::optional<std::vector<node_word>>)> done);
    // The order goes, unless another one stands in its place; nodes let go what they hold by it.
    // False: Redis did not answer.
    void take_back(const hold_order& o, std::function<void(bool)> done);

 private:
    fleet& fleet_;
    const std::string node_;
    const redis::script look_, give_, take_back_;
    struct redis_time { std::int64_t now_ms = 0, at_ns = 0; };   // no later than it was at that moment
    std::shared_ptr<redis_time> time_ = std::make_shared<redis_time>();
};

// An order as it stands in Redis, but for its end; nothing: it is of a program that says it otherwise.
std::string to_text(const hold_order& o);
std::optional<hold_order> order_in(std::string_view text);

}  // namespace gatehouse::fleet
