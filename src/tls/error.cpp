// OpenSSL's error queue as text.
#include <openssl/err.h>

#include <gatehouse/tls/context.hpp>

namespace gatehouse::tls {

std::string last_error() {
    std::string text;
    const char* data = nullptr;
    int flags = 0;
    while (const unsigned long code = ERR_get_error_all(nullptr, nullptr, nullptr, &data, &flags)) {
        const char* reason = ERR_reason_error_string(code);
        if (!text.empty()) text += "; ";
        text += reason != nullptr ? reason : "error " + std::to_string(code);
        if ((flags & ERR_TXT_STRING) != 0 && data != nullptr && *data != '\0') {
            text += " (";
            text += data;
            text += ')';
        }
    }
    return text.empty() ? "no reason given" : text;
}

}  // namespace gatehouse::tls
