// SHA-256. Any thread.
#pragma once

#include <string>
#include <string_view>

namespace gatehouse::seal {

// In hexadecimal, 64 digits. Throws std::runtime_error where OpenSSL cannot.
std::string sha256(std::string_view bytes);

}  // namespace gatehouse::seal
