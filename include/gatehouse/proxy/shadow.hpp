// Mirrors some requests of a tenant to another pool, to see what that would answer; the client's answer
// never waits for it. Which requests are safe to be sent twice the exchange says. The loop's thread alone.
#pragma once

#include <cstdint>
#include <gatehouse/net/task.hpp>
#include <gatehouse/proxy/binding.hpp>
#include <gatehouse/proxy/shadow_report.hpp>
#include <gatehouse/upstream/connections.hpp>
#include <list>
#include <memory>
#include <string>

namespace gatehouse::proxy {

struct shadow_terms {
    std::string tenant;   // its own requests, and those of tenants below it that have their pool from it
    std::string token;    // which mirroring this is
    std::string from, to; // pools: what goes to `from` goes to `to` too
    std::uint32_t percent = 0;
    std::int64_t until_ns = 0;
};

class shadow_list {
   public:
    // So many at once on a worker, of all tenants; others are dropped and counted.
    static constexpr std::size_t under_way_max = 32;

    shadow_list(net::loop& l, upstream::connections& c) noexcept : loop_(l), connections_(c) {}
    shadow_list(const shadow_list&) = delete;
    shadow_list& operator=(const shadow_list&) = delete;

    // --- the path ---
    bool any() const noexcept { return !shadows_.empty(); }
    struct shadow {
        shadow_terms terms;
        shadow_report report;
    };
    using shadow_ptr = std::shared_ptr<shadow>;
    // Whether this request, which went to pool `from`, is mirrored; null: not.
    const shadow_ptr* chosen(const tenant::effective& e, const std::string& from, std::uint64_t random);
    struct copy {
        shadow_ptr of;
        std::string head;               // as the endpoint is sent it
        upstream::pool_ptr pool;
        const upstream::endpoint* endpoint = nullptr;   // of `pool`
        balance::party party;
        proxy::timeouts timeouts{};
        http::head_limits limits;
        bool is_head = false;
        std::uint16_t status = 0;       // that the client got
        std::int64_t first_byte_ns = 0; // that its answer took
    };
    void send(copy c);

    // --- whoever looks ---
    void begin(shadow_terms t);
    shadow_report end(const std::string& token);   // what is under way is not waited for
    void sweep(std::int64_t now_ns);               // mirrors no longer what is over
    void cancel();                                 // what is under way ends soon
    std::size_t under_way() const noexcept { return group_.size(); }

   private:
    struct job;
    net::task<void> run(std::shared_ptr<job> j);
    net::task<bool> converse(job& j);
    net::task<bool> receive(job& j);
    net::loop& loop_;
    upstream::connections& connections_;
    std::list<shadow_ptr> shadows_;
    std::list<job*> jobs_;
    net::task_group group_;
};

}  // namespace gatehouse::proxy
