// PEM to a certificate that may still be given its name. Pool or start-up; any thread.
#pragma once

#include <cstdint>
#include <gatehouse/tls/certificates.hpp>
#include <memory>
#include <string>
#include <string_view>

#include "openssl_ptr.hpp"

namespace gatehouse::tls {

std::shared_ptr<certificate> parse_pem(std::string_view pem, std::string& error);

// The first certificate of a PEM text that has a key as well. Null: `error` says why.
x509_ptr read_leaf(std::string_view pem, std::string& error);
// Its notAfter alone, in Unix seconds, at a tenth of the cost: OpenSSL decodes the public key of
// all that it reads. 0: `error` says why.
std::int64_t read_end(std::string_view pem, std::string& error);
std::int64_t not_after_of(const X509* one);  // Unix seconds

// The X.509 certificates of a PEM text in their order; what else is in it is passed over.
// Null: a block could not be read, or there are more than `most`; `error` says so.
STACK_OF(X509) * read_certificates(std::string_view pem, std::size_t most, std::string& error);

}  // namespace gatehouse::tls
