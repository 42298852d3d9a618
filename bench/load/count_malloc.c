/* Counts heap allocations into a file that another program maps. LD_PRELOAD; the file's name comes in
   MALLOC_COUNT_FILE: four 64-bit counters, allocations, frees, bytes asked for, reallocations. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct counters {
    _Atomic uint64_t allocations, frees, bytes, reallocations;
};

static struct counters unmapped;
static struct counters* counts = &unmapped;

static void* (*real_malloc)(size_t);
static void* (*real_calloc)(size_t, size_t);
static void* (*real_realloc)(void*, size_t);
static void (*real_free)(void*);
static void* (*real_memalign)(size_t, size_t);

/* dlsym itself may allocate before the real functions are known: served from here, never freed. */
static char early[65536];
static size_t early_used;

static void* early_allocate(size_t size) {
    size_t at = (early_used + 15) & ~(size_t)15;
    if (at + size > sizeof early) return NULL;
    early_used = at + size;
    return early + at;
}

static int is_early(const void* p) { return (const char*)p >= early && (const char*)p < early + sizeof early; }

static int resolving;

static void resolve(void) {
    resolving = 1;
    real_malloc = dlsym(RTLD_NEXT, "malloc");
    real_calloc = dlsym(RTLD_NEXT, "calloc");
    real_realloc = dlsym(RTLD_NEXT, "realloc");
    real_free = dlsym(RTLD_NEXT, "free");
    real_memalign = dlsym(RTLD_NEXT, "memalign");
    resolving = 0;
}

__attribute__((constructor)) static void map_counters(void) {
    const char* file = getenv("MALLOC_COUNT_FILE");
    if (!real_malloc) resolve();
    if (!file) return;
    int fd = open(file, O_RDWR | O_CLOEXEC);
    if (fd < 0) return;
    void* mapped = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (mapped != MAP_FAILED) counts = mapped;
}

static void count(size_t size) {
    atomic_fetch_add_explicit(&counts->allocations, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&counts->bytes, size, memory_order_relaxed);
}

void* malloc(size_t size) {
    if (!real_malloc) {
        if (resolving) return early_allocate(size);
        resolve();
    }
    count(size);
    return real_malloc(size);
}

void* calloc(size_t n, size_t size) {
    if (!real_calloc) {
        if (resolving) return early_allocate(n * size);
        resolve();
    }
    count(n * size);
    return real_calloc(n, size);
}

void* realloc(void* p, size_t size) {
    if (!real_realloc) resolve();
    if (p && is_early(p)) {
        void* moved = malloc(size);
        if (moved) memcpy(moved, p, size);
        return moved;
    }
    atomic_fetch_add_explicit(&counts->reallocations, 1, memory_order_relaxed);
    count(size);
    return real_realloc(p, size);
}

void free(void* p) {
    if (!p || is_early(p)) return;
    if (!real_free) resolve();
    atomic_fetch_add_explicit(&counts->frees, 1, memory_order_relaxed);
    real_free(p);
}

void* memalign(size_t alignment, size_t size) {
    if (!real_memalign) resolve();
    count(size);
    return real_memalign(alignment, size);
}

void* aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }

int posix_memalign(void** out, size_t alignment, size_t size) {
    void* p = memalign(alignment, size);
    if (!p) return ENOMEM;
    *out = p;
    return 0;
}
