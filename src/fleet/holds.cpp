// Orders as words in a line, nodes and their words as Redis lists them.
#include <algorithm>
#include <array>
#include <charconv>
#include <gatehouse/base/clock.hpp>
#include <gatehouse/fleet/holds.hpp>
#include <gatehouse/fleet/scripts.hpp>

namespace gatehouse::fleet {
namespace {

// What Redis is asked in vain it may still do, when it goes on; by then nobody reckons with it any more.
constexpr std::int64_t late_after_ms = 600;
constexpr std::array<std::string_view, 3> step_names{"hold", "keep", "release"};

std::string_view next_word(std::string_view& text) noexcept {
    const auto space = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, space);
    text.remove_prefix(std::min(space + 1, text.size()));
    return word;
}

bool read(std::string_view word, std::uint64_t& out) noexcept {
    const auto [end, ec] = std::from_chars(word.data(), word.data() + word.size(), out);
    return ec == std::errc{} && end == word.data() + word.size();
}

}  // namespace

std::string to_text(const hold_order& o) {
    return o.token + ' ' + o.tenant + ' ' + std::string(step_names[static_cast<std::size_t>(o.step)]) + ' ' +
           std::to_string(o.waiting_max) + (o.close_tunnels ? " close " : " keep ") + std::to_string(o.revision) + ' ' + o.node;
}

std::optional<hold_order> order_in(std::string_view text) {
    hold_order o;
    o.token = next_word(text);
    o.tenant = next_word(text);
    const auto step = std::find(step_names.begin(), step_names.end(), next_word(text));
    std::uint64_t waiting = 0;
    const bool counts = read(next_word(text), waiting);
    const std::string_view tunnels = next_word(text);
    const bool numbered = read(next_word(text), o.revision);
    if (o.token.empty() || o.tenant.empty() || step == step_names.end() || !counts || !numbered || text.empty()) return std::nullopt;
    o.step = static_cast<hold_step>(step - step_names.begin());
    o.waiting_max = waiting;
    o.close_tunnels = tunnels == "close";
    o.node = text;
    return o;
}

hold_exchange::hold_exchange(fleet& f, std::string node)
    : fleet_(f), node_(std::move(node)), look_(scripts::holds_look), give_(scripts::holds_give), take_back_(scripts::holds_take_back) {}

void hold_exchange::look(const words& mine, std::function<void(std::optional<std::vector<hold_order>>)> done) {
    const std::string keys[] = {fleet_.key("holds"), fleet_.key("hold-nodes")};
    std::vector<std::string> arguments{node_, fleet_.key("hold:")};
    for (const auto& [token, word] : mine) {
        arguments.push_back(token);
        arguments.push_back(word);
    }
    const std::vector<std::string_view> k(std::begin(keys), std::end(keys)), a(arguments.begin(), arguments.end());
    fleet_.run(look_, k, a, [done = std::move(done)](const result<redis::reply>& r) {
        if (!r || r->kind != redis::kind::array) return done(std::nullopt);
        std::vector<hold_order> out;
        for (std::size_t i = 0; i + 1 < r->items.size(); i += 2) {
            auto o = order_in(r->items[i].text);
            std::uint64_t left = 0;
            if (!o || !read(r->items[i + 1].text, left)) continue;
            o->left_ms = static_cast<std::int64_t>(left);
            out.push_back(std::move(*o));
        }
        done(std::move(out));
    });
}

void hold_exchange::give(const hold_order& o, std::function<void(std::optional<std::vector<node_word>>)> done) {
    const std::string keys[] = {fleet_.key("holds"), fleet_.key("hold-nodes"), fleet_.key("nodes"), fleet_.key("hold:" + o.token)};
    const std::int64_t latest = time_->now_ms + (monotonic_ns() - time_->at_ns) / 1'000'000 + late_after_ms;
    const std::string arguments[] = {node_,      o.tenant, o.token, std::to_string(o.left_ms), to_text(o), std::to_string(lives_ms),
                                     std::to_string(latest)};
    const std::vector<std::string_view> k(std::begin(keys), std::end(keys)), a(std::begin(arguments), std::end(arguments));
    fleet_.run(give_, k, a, [time = time_, done = std::move(done)](const result<redis::reply>& r) {
        if (!r || r->kind != redis::kind::array || r->items.empty()) return done(std::nullopt);
        *time = {.now_ms = r->items[0].integer, .at_ns = monotonic_ns()};
        std::vector<node_word> out;
        for (std::size_t i = 1; i + 2 < r->items.size(); i += 3)
            out.push_back({.node = r->items[i].text, .silent_ms = r->items[i + 1].integer, .word = r->items[i + 2].text});
        done(std::move(out));
    });
}

void hold_exchange::take_back(const hold_order& o, std::function<void(bool)> done) {
    const std::string key = fleet_.key("holds");
    const std::string_view keys[] = {key}, arguments[] = {o.tenant, o.token};
    fleet_.run(take_back_, keys, arguments, [done = std::move(done)](const result<redis::reply>& r) { done(r && r->kind == redis::kind::integer); });
}

}  // namespace gatehouse::fleet
