// The seeded 64-bit text hash: 128-bit multiply-and-fold over 16-byte steps, after wyhash.
#include <sys/random.h>

#include <cstring>
#include <ctime>
#include <gatehouse/base/text.hpp>

namespace gatehouse {
namespace {

struct hash_seed {
    std::uint64_t a, b;

    hash_seed() noexcept {
        if (::getrandom(this, sizeof *this, 0) != static_cast<ssize_t>(sizeof *this)) {
            // No generator this early: addresses and time still differ between processes.
            timespec now{};
            ::clock_gettime(CLOCK_REALTIME, &now);
            a = static_cast<std::uint64_t>(now.tv_nsec) * 0x9e3779b97f4a7c15U;
            b = reinterpret_cast<std::uintptr_t>(&now) ^ static_cast<std::uint64_t>(now.tv_sec);
        }
        a |= 1;
    }
};

// Before every other static object, which may already hold hash tables.
__attribute__((init_priority(101))) const hash_seed seed;

__extension__ using uint128 = unsigned __int128;

std::uint64_t fold(std::uint64_t x, std::uint64_t y) noexcept {
    const uint128 product = static_cast<uint128>(x) * y;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

std::uint64_t read8(const char* p) noexcept {
    std::uint64_t v;
    std::memcpy(&v, p, sizeof v);
    return v;
}

std::uint64_t read4(const char* p) noexcept {
    std::uint32_t v;
    std::memcpy(&v, p, sizeof v);
    return v;
}

std::uint64_t byte(const char* p) noexcept {
    return static_cast<unsigned char>(*p);
}

constexpr std::uint64_t step_constant = 0xa0761d6478bd642fU;
constexpr std::uint64_t end_constant = 0xe7037ed1a0b428dbU;

}  // namespace

std::uint64_t hash_text(std::string_view s) noexcept {
    const char* p = s.data();
    std::size_t left = s.size();
    std::uint64_t state = seed.a;
    std::uint64_t low = 0, high = 0;
    if (left > 16) {
        do {
            state = fold(read8(p) ^ step_constant ^ seed.b, read8(p + 8) ^ state);
            p += 16;
            left -= 16;
        } while (left > 16);
        low = read8(p + left - 16);  // overlaps what was read: no tail loop
        high = read8(p + left - 8);
    } else if (left >= 8) {
        low = read8(p);
        high = read8(p + left - 8);
    } else if (left >= 4) {
        low = read4(p);
        high = read4(p + left - 4);
    } else if (left > 0) {
        low = byte(p) << 16 | byte(p + left / 2) << 8 | byte(p + left - 1);
    }
    return fold(end_constant ^ s.size(), fold(low ^ step_constant ^ seed.b, high ^ state));
}

}  // namespace gatehouse
