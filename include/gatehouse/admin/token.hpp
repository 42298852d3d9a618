// The admin token: a secret in a file, made on first start. Blocking file access, at start-up.
#pragma once

#include <string>
#include <string_view>

namespace gatehouse::admin {

// Reads the file's first line; makes the file (mode 0600, complete or not at all) when it does not
// exist. Throws std::runtime_error naming the file.
std::string load_or_make_token(const std::string& file);

// Compares in a time that depends on `given`'s length alone.
bool same_token(std::string_view given, std::string_view secret) noexcept;

}  // namespace gatehouse::admin
