// Which tenants have metric series of their own, and what those and `other` show, such that no
// series ever falls. Pure: fed with totals, `now` is an argument. One thread.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <gatehouse/base/text.hpp>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace gatehouse::admin {

// A tenant's counters at one moment, or differences of them.
struct tenant_totals {
    enum : std::size_t {
        requests,
        bytes_in,
        bytes_out,
        refused,
        upstream_errors,
        status_1xx,
        status_2xx,
        status_3xx,
        status_4xx,
        status_5xx,
        count,
    };
    std::array<std::int64_t, count> values{};

    tenant_totals& operator+=(const tenant_totals& o) noexcept;
    tenant_totals& operator-=(const tenant_totals& o) noexcept;
    bool operator==(const tenant_totals&) const = default;
};

struct tenant_series {
    std::string id;  // "other" for all the rest, last
    tenant_totals totals;
};

// A series counts from its tenant's promotion; what came before, and what comes while it has no
// series, is in `other`. A tenant promoted again goes on from where its series ended.
class tenant_ranking {
 public:
    using time_point = std::chrono::steady_clock::time_point;
    static constexpr std::size_t remembered = 10'000;  // ended series, then the oldest start at 0
    explicit tenant_ranking(std::size_t limit = 100,
                            std::chrono::seconds change_every = std::chrono::minutes(10));

    // One look at all tenants: begin, see each once, end. Free places are filled at once; members
    // are exchanged, by requests, when change_every has passed.
    void begin(time_point now);
    void see(std::string_view id, const tenant_totals& t);
    std::vector<tenant_series> end();

 private:
    struct member {
        tenant_totals carried;    // shown before `base` was taken
        tenant_totals base;       // the tenant's totals when it was promoted
        tenant_totals last;       // at the last look
        tenant_totals displayed;  // by the last look's rows; where the series ends
        tenant_totals shown() const noexcept;
    };
    struct candidate {
        std::int64_t requests;
        std::string id;
        tenant_totals totals;
    };
    // Every look asks it for every tenant, most of which are not in it.
    using members = std::unordered_map<std::string, member, text_hash, std::equal_to<>>;
    void promote(const candidate& c);
    void demote(members::iterator m);
    void exchange();
    tenant_series other();

    const std::size_t limit_;
    const std::chrono::seconds change_every_;
    time_point now_{}, last_change_{};
    bool changing_ = false, changed_before_ = false;
    members members_;
    std::map<std::string, std::pair<std::uint64_t, tenant_totals>, std::less<>>
        ended_;  // age, shown
    std::map<std::uint64_t, std::string> ended_by_age_;
    std::uint64_t next_age_ = 0;
    tenant_totals all_, ended_sum_, lost_, other_last_;
    std::vector<candidate> best_;  // a heap, the least on top
};

}  // namespace gatehouse::admin
