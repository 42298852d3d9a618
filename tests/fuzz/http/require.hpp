// What a fuzz target asserts, in every build: a false condition ends the program where it was
// found.
#pragma once

#include <cstdlib>

namespace gatehouse::fuzz {

inline void require(bool condition) {
    if (!condition) std::abort();
}

}  // namespace gatehouse::fuzz
