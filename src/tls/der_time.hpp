// When a certificate ends, read from its DER without the rest of it (RFC 5280 4.1). Any thread.
#pragma once

#include <openssl/asn1.h>

#include <cstdint>
#include <span>

namespace gatehouse::tls {

// Unix seconds; 0: this is no certificate, or it is damaged before its notAfter.
std::int64_t not_after_in(std::span<const unsigned char> der);
std::int64_t unix_seconds(const ASN1_TIME* t);  // 0: no time

}  // namespace gatehouse::tls
