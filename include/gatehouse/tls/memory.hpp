// Memory for OpenSSL: the two record buffers of a connection (17 KiB each, given back while it is
// idle) come from a region of their own instead of tearing holes into the heap between what stays,
// and the small blocks it takes and gives back within each record from a short list. Saves 2 KiB an
// idle TLS connection and four allocations a request (bench/README.md). Any thread.
#pragma once

#include <cstddef>

namespace gatehouse::tls {

// Before anything of OpenSSL is called; false when that was too late, and all stays as it was.
bool use_own_memory() noexcept;

// What OpenSSL then calls; for tests.
void* allocate(std::size_t bytes) noexcept;
void* reallocate(void* p, std::size_t bytes) noexcept;
void release(void* p) noexcept;
bool is_record_buffer(const void* p) noexcept;

}  // namespace gatehouse::tls
