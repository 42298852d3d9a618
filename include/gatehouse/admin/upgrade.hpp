// How far the replacement of a node's process by a new one is. Plain values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace gatehouse::admin {

struct upgrade_status {
    enum class step : std::uint8_t {
        none,       // never asked for; or this is the new process of one that was done long ago
        starting,   // the new process reads its settings and opens what it needs
        pausing,    // changes that are under way are ended, new ones refused
        loading,    // the new process reads the registry
        switching,  // it begins to serve
        done,       // it serves; the old one drains
        failed,     // it is gone, the old one goes on
    } at = step::none;
    int pid = 0;          // the new process
    int from = 0;         // the old one
    std::string version;  // of the new program; empty: not told yet
    std::string why;      // failed
    bool under_way() const noexcept { return at != step::none && at != step::done && at != step::failed; }
    // Nothing may be changed by the one that says this.
    bool holds_changes() const noexcept { return at >= step::pausing && at <= step::done; }
};

constexpr std::string_view name(upgrade_status::step s) noexcept {
    constexpr std::string_view names[] = {"none", "starting", "pausing", "loading", "switching", "done", "failed"};
    return names[static_cast<std::size_t>(s)];
}

}  // namespace gatehouse::admin
