// Which certificates end soon, and what of it has been told. Keeps those alone that end within 31
// days, have ended, or cannot be read. No clock, no files; not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <gatehouse/tls/certificates.hpp>
#include <map>
#include <string>
#include <vector>

namespace gatehouse::tls {

class expiry_watch {
 public:
    // All are seen anew: those that were not seen until end_round() are gone.
    void begin_round() { ++round_; }
    void end_round();

    // Times are Unix seconds.
    void saw(const std::string& name, std::int64_t not_after, std::int64_t now);
    void saw_bad(const std::string& name, const std::string& error);
    void gone(const std::string& name) { soon_.erase(name); }

    struct line {
        bool urgent = false;
        std::string text;
    };
    struct outcome {
        expiry_counts counts;
        std::vector<line> lines;  // each certificate once at 30, 7 and 1 days and at its end; few
    };
    outcome look(std::int64_t now);

 private:
    struct watched {
        std::int64_t not_after = 0;  // 0: bad
        std::size_t error_hash = 0;
        std::string error;  // until it was told
        std::uint32_t round = 0;
        std::uint8_t told = 0;  // index of the last threshold a line was written at
    };
    std::map<std::string, watched> soon_;
    std::uint32_t round_ = 0;
};

}  // namespace gatehouse::tls
