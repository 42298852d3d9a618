// Each thread owns a stretch of one reserved region, cut into record buffers. What it frees it
// takes again, the last first; beyond the kept ones the pages go back to the system at once.
#include <malloc.h>
#include <openssl/crypto.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <gatehouse/tls/memory.hpp>

namespace gatehouse::tls {
namespace {

// OpenSSL 3.0 asks for 16,384 bytes of a record and up to 1,400 around them.
constexpr std::size_t least_record_bytes = 16 * 1024, most_record_bytes = 18 * 1024, record_bytes = 20 * 1024;
constexpr std::size_t records_a_thread = 50'000;   // 25,000 busy TLS connections; more go to the heap
// The stretch begins with a list of those that have no pages.
constexpr std::size_t list_records = (records_a_thread * sizeof(std::uint16_t) + record_bytes - 1) / record_bytes;
constexpr std::size_t stretch_bytes = record_bytes * records_a_thread;
constexpr std::size_t threads_limit = 64;
constexpr std::size_t records_kept = 256;   // a thread, with their pages: 5 MiB
// malloc gives 40 usable bytes for each of these sizes.
constexpr std::size_t least_small_bytes = 25, small_bytes = 40, small_kept = 32;

struct reserve {
    char* begin = nullptr;   // null: none was to be had; all comes from the heap
    reserve() {
        void* p = ::mmap(nullptr, stretch_bytes * threads_limit, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (p == MAP_FAILED) return;
        ::madvise(p, stretch_bytes * threads_limit, MADV_NOHUGEPAGE);
        begin = static_cast<char*>(p);
    }
};

char* region() noexcept {
    static const reserve all;   // never given back
    return all.begin;
}

std::atomic<std::size_t> threads_seen{0};

// One thread's stretch and lists. Plain data: OpenSSL frees memory until the thread's very end.
struct thread_memory {
    std::array<std::uint16_t, records_kept> kept;   // with pages; indices into the stretch
    std::array<void*, small_kept> small;
    std::size_t kept_count, small_count;
    std::uint32_t never_used;   // indices from here on
    char* stretch;              // null: none was to be had
    std::uint16_t* empty;       // without pages; the stretch's first records
    std::size_t empty_count;
    bool asked;
};
static_assert(records_a_thread <= 1U << 16);
constinit thread_local thread_memory mine{};

bool claim_stretch() noexcept {
    if (mine.asked) return mine.stretch != nullptr;
    mine.asked = true;
    const std::size_t number = threads_seen.fetch_add(1, std::memory_order_relaxed);
    if (!region() || number >= threads_limit) return false;
    mine.stretch = region() + number * stretch_bytes;
    mine.empty = reinterpret_cast<std::uint16_t*>(mine.stretch);
    mine.never_used = list_records;
    return true;
}

void* take_record() noexcept {
    if (!claim_stretch()) return nullptr;
    std::size_t index = 0;
    if (mine.kept_count > 0) {
        index = mine.kept[--mine.kept_count];
    } else if (mine.empty_count > 0) {
        index = mine.empty[--mine.empty_count];
    } else if (mine.never_used < records_a_thread) {
        index = mine.never_used++;
    } else {
        return nullptr;
    }
    // Not all on the same lines of the cache, as whole pages would be.
    constexpr std::size_t line_bytes = 64, colours = (record_bytes - most_record_bytes) / line_bytes;
    return mine.stretch + index * record_bytes + index % colours * line_bytes;
}

// Its pages; the first and the last are nobody else's.
void forget_pages(char* p) noexcept {
    const std::size_t into = static_cast<std::size_t>(p - region()) % record_bytes;
    ::madvise(p - into, record_bytes, MADV_DONTNEED);
}

void give_record(char* p) noexcept {
    if (!mine.stretch || p < mine.stretch || p >= mine.stretch + stretch_bytes) {
        // Another thread's, which has ended: only a worker that is taken apart comes here.
        forget_pages(p);
        return;
    }
    const auto index = static_cast<std::uint16_t>(static_cast<std::size_t>(p - mine.stretch) / record_bytes);
    if (mine.kept_count < records_kept) {
        mine.kept[mine.kept_count++] = index;
        return;
    }
    forget_pages(p);
    mine.empty[mine.empty_count++] = index;
}

}  // namespace

bool is_record_buffer(const void* p) noexcept {
    const char* begin = region();
    return begin && p >= begin && p < begin + stretch_bytes * threads_limit;
}

void* allocate(std::size_t bytes) noexcept {
    if (bytes == 0) return nullptr;
    if (bytes >= least_small_bytes && bytes <= small_bytes) {
        return mine.small_count > 0 ? mine.small[--mine.small_count] : std::malloc(small_bytes);
    }
    if (bytes >= least_record_bytes && bytes <= most_record_bytes) {
        if (void* p = take_record()) return p;
    }
    return std::malloc(bytes);
}

void release(void* p) noexcept {
    if (!p) return;
    if (is_record_buffer(p)) return give_record(static_cast<char*>(p));
    if (mine.small_count < small_kept && ::malloc_usable_size(p) == small_bytes) {
        mine.small[mine.small_count++] = p;
        return;
    }
    std::free(p);
}

void* reallocate(void* p, std::size_t bytes) noexcept {
    if (!p) return allocate(bytes);
    if (bytes == 0) {
        release(p);
        return nullptr;
    }
    if (!is_record_buffer(p)) return std::realloc(p, bytes);
    void* other = allocate(bytes);
    if (!other) return nullptr;
    std::memcpy(other, p, std::min(bytes, most_record_bytes));
    release(p);
    return other;
}

bool use_own_memory() noexcept {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return false;   // they are to see each block
#else
    return CRYPTO_set_mem_functions([](std::size_t bytes, const char*, int) { return allocate(bytes); },
                                    [](void* p, std::size_t bytes, const char*, int) { return reallocate(p, bytes); },
                                    [](void* p, const char*, int) { release(p); }) == 1;
#endif
}

}  // namespace gatehouse::tls
