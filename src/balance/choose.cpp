// The four ways to choose. All are O(candidates) but round_robin with unequal weights, which
// searches its place in the cycle: O(candidates * 30).
#include <algorithm>
#include <cmath>
#include <gatehouse/balance/choose.hpp>

namespace gatehouse::balance {

std::uint64_t stable_hash(std::string_view s) noexcept {
    std::uint64_t h = 0xcbf29ce484222325U;
    for (const char c : s) {
        h ^= static_cast<unsigned char>(c);
        h *= 0x100000001b3U;
    }
    h ^= h >> 33;
    h *= 0xff51afd7ed558ccdU;
    return h ^ (h >> 33);
}

namespace {

bool eligible(const candidate& c) noexcept {
    return c.usable && c.weight > 0;
}

// Smooth weighted round robin without a state per endpoint: in each cycle endpoint i's k-th turn
// is due at (k + 1/2) / weight_i (Webster's divisor rule), ties by index. A cycle takes exactly
// weight_i turns of each. Times are integers in units of 1 / scale of a cycle.
constexpr unsigned scale_bits = 30;

std::uint64_t turns_due(const candidate& c, std::uint64_t time) noexcept {
    if (!eligible(c)) return 0;
    const std::uint64_t odd = ((time + 1) * 2 * c.weight - 1) >> scale_bits;
    return (odd + 1) / 2;
}

std::uint64_t turns_due(std::span<const candidate> candidates, std::uint64_t time) noexcept {
    std::uint64_t sum = 0;
    for (const candidate& c : candidates)
        sum += turns_due(c, time);
    return sum;
}

std::size_t round_robin(std::span<const candidate> candidates, std::uint64_t cursor) noexcept {
    std::uint64_t cycle = 0;
    for (const candidate& c : candidates)
        cycle += eligible(c) ? c.weight : 0;
    if (cycle == 0) return none;
    const std::uint64_t turn = cursor % cycle;
    std::uint64_t low = 0, high = (std::uint64_t{1} << scale_bits) - 1;
    while (low < high) {  // the first time by which more than `turn` turns are due
        const std::uint64_t middle = low + (high - low) / 2;
        if (turns_due(candidates, middle) > turn)
            high = middle;
        else
            low = middle + 1;
    }
    std::uint64_t rest = turn - (low == 0 ? 0 : turns_due(candidates, low - 1));
    for (std::size_t i = 0; i < candidates.size(); ++i) {
        const std::uint64_t now =
            turns_due(candidates[i], low) - (low == 0 ? 0 : turns_due(candidates[i], low - 1));
        if (rest < now) return i;
        rest -= now;
    }
    return none;
}

// (in_flight + 1) / weight of a is less than that of b; exact.
bool less_loaded(const candidate& a, const candidate& b) noexcept {
    return (std::uint64_t{a.in_flight} + 1) * b.weight <
           (std::uint64_t{b.in_flight} + 1) * a.weight;
}

std::size_t least_requests(std::span<const candidate> candidates, std::uint64_t cursor) noexcept {
    std::size_t best = none;
    std::uint64_t tied = 0;
    for (std::size_t i = 0; i < candidates.size(); ++i) {
        if (!eligible(candidates[i])) continue;
        if (best == none || less_loaded(candidates[i], candidates[best])) {
            best = i;
            tied = 1;
        } else if (!less_loaded(candidates[best], candidates[i])) {
            ++tied;
        }
    }
    if (tied < 2) return best;
    std::uint64_t skip = cursor % tied;
    for (std::size_t i = best; i < candidates.size(); ++i) {
        const bool same = eligible(candidates[i]) && !less_loaded(candidates[best], candidates[i]);
        if (same && skip-- == 0) return i;
    }
    return best;
}

std::size_t nth_eligible(std::span<const candidate> candidates, std::uint64_t n) noexcept {
    for (std::size_t i = 0; i < candidates.size(); ++i)
        if (eligible(candidates[i]) && n-- == 0) return i;
    return none;
}

std::size_t better_of_two(std::span<const candidate> candidates, std::uint64_t random) noexcept {
    const auto count =
        static_cast<std::uint64_t>(std::count_if(candidates.begin(), candidates.end(), eligible));
    if (count == 0) return none;
    const std::uint64_t first = ((random >> 32) * count) >> 32;
    if (count == 1) return nth_eligible(candidates, first);
    std::uint64_t second = ((random & 0xffffffffU) * (count - 1)) >> 32;
    if (second >= first) ++second;
    const std::size_t a = nth_eligible(candidates, first), b = nth_eligible(candidates, second);
    return less_loaded(candidates[b], candidates[a]) ? b : a;
}

// The finaliser of splitmix64: every bit of the input moves every bit of the output.
std::uint64_t mix(std::uint64_t x) noexcept {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
    return x ^ (x >> 31);
}

// Weighted rendezvous hashing (Schindelhauer and Schomaker; score -w / ln u): a key stays where
// its score is highest, whatever happens to the others.
std::size_t rendezvous(std::span<const candidate> candidates, std::uint64_t key) noexcept {
    std::size_t best = none;
    double best_score = -1;
    for (std::size_t i = 0; i < candidates.size(); ++i) {
        if (!eligible(candidates[i])) continue;
        const std::uint64_t hash = mix(mix(key + 0x9e3779b97f4a7c15U) ^ candidates[i].identity);
        const double u = (static_cast<double>(hash >> 12) + 0.5) * 0x1p-52;  // never 0 or 1
        const double score = static_cast<double>(candidates[i].weight) / -std::log(u);
        if (score > best_score) {
            best = i;
            best_score = score;
        }
    }
    return best;
}

}  // namespace

std::size_t choose(tenant::balance how, std::span<const candidate> candidates, std::uint64_t key,
                   std::uint64_t random, std::uint64_t& cursor) noexcept {
    const auto take_turn = [&cursor](std::size_t chosen) {
        if (chosen != none) ++cursor;   // who finds nobody takes no turn
        return chosen;
    };
    switch (how) {
        case tenant::balance::round_robin:
            return take_turn(round_robin(candidates, cursor));
        case tenant::balance::least_requests:
            return take_turn(least_requests(candidates, cursor));
        case tenant::balance::random2:
            return better_of_two(candidates, random);
        case tenant::balance::hash:
            return rendezvous(candidates, key);
    }
    return none;
}

// The candidate on whom a point falls that is thrown on all reduced weights laid end to end.
static std::size_t draw_by_share(std::span<const candidate> candidates, std::uint64_t random) noexcept {
    const auto part = [](const candidate& c) { return eligible(c) ? std::uint64_t{c.weight} * c.share_percent : 0; };
    std::uint64_t all = 0;
    for (const candidate& c : candidates)
        all += part(c);
    if (all == 0) return none;
    std::uint64_t point = mix(random) % all;
    for (std::size_t i = 0; i < candidates.size(); ++i) {
        if (point < part(candidates[i])) return i;
        point -= part(candidates[i]);
    }
    return none;
}

std::size_t choose_in_slow_start(tenant::balance how, std::span<candidate> candidates, std::uint64_t key,
                                 std::uint64_t random, std::uint64_t& cursor) noexcept {
    const auto settled = [](const candidate& c) { return eligible(c) && c.share_percent == 100; };
    if (how == tenant::balance::hash || std::none_of(candidates.begin(), candidates.end(), settled)) {
        for (candidate& c : candidates)
            c.weight *= c.share_percent;
        return choose(how, candidates, key, random, cursor);
    }
    const std::size_t drawn = draw_by_share(candidates, random);
    const bool newcomer = candidates[drawn].share_percent < 100;
    if (newcomer && how == tenant::balance::round_robin) return drawn;
    for (candidate& c : candidates)
        c.usable = c.usable && c.share_percent == 100;
    const std::size_t other = choose(how, candidates, key, random, cursor);
    return newcomer && !less_loaded(candidates[other], candidates[drawn]) ? drawn : other;
}

}  // namespace gatehouse::balance
