// The admin token: a secret in a file, made on first start. Blocking file access, at start-up.
#pragma once

#include <gatehouse/base/secret.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace gatehouse::admin {

// The file's first line; nothing: there is no such file. Throws std::runtime_error naming the file, also one that others
// than its owner may read.
std::optional<secret_text> load_token(const std::string& file);
// Makes the file (mode 0600, complete or not at all) when there is none.
secret_text load_or_make_token(const std::string& file);

// Compares in a time that depends on `given`'s length alone.
bool same_token(std::string_view given, std::string_view secret) noexcept;

}  // namespace gatehouse::admin
