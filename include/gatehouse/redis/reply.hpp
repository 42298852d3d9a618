// What Redis answered to one command, as a value. Any thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace gatehouse::redis {

enum class kind : std::uint8_t { nil, integer, status, text, error, array };

struct reply {
    redis::kind kind = redis::kind::nil;
    std::int64_t integer = 0;
    std::string text;          // of a status, a text (any bytes) and an error ("WRONGTYPE ...")
    std::vector<reply> items;  // of an array, at most 7 deep

    bool is_error() const noexcept { return kind == redis::kind::error; }
    bool operator==(const reply&) const = default;
};

}  // namespace gatehouse::redis
