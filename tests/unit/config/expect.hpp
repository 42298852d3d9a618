// What the tests of the configuration ask of diagnostics.
#pragma once

#include <catch2/catch.hpp>
#include <gatehouse/config/load.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse::config {

inline std::string all_text(const std::vector<diagnostic>& diagnostics) {
    std::string out;
    for (const diagnostic& d : diagnostics)
        out += (d.severity == severity::error ? "error " : "warning ") + to_text(d) + '\n';
    return out;
}

// How many diagnostics of a kind stand at `key`.
inline int count_at(const std::vector<diagnostic>& diagnostics, severity s, std::string_view key) {
    int count = 0;
    for (const diagnostic& d : diagnostics)
        count += d.severity == s && d.key == key ? 1 : 0;
    return count;
}

inline int count_of(const std::vector<diagnostic>& diagnostics, severity s) {
    int count = 0;
    for (const diagnostic& d : diagnostics)
        count += d.severity == s ? 1 : 0;
    return count;
}

}  // namespace gatehouse::config
