// Request targets: which form, and the path with its dot segments resolved. Works on bytes that the
// character gate has let through. Pure.
#pragma once

#include <string>
#include <string_view>

namespace gatehouse::http {

struct target_parts {
    const char* error = nullptr;        // a short sentence; the rest is then void
    std::string_view path_and_query{};  // into the raw target, or into storage
    std::size_t path_bytes = 0;
    std::string_view authority{};  // of the absolute form; empty otherwise
};
target_parts read_target(std::string_view raw, std::string_view method, std::string& storage);

}  // namespace gatehouse::http
