// PEM to a certificate that may still be given its name. Pool or start-up; any thread.
#pragma once

#include <gatehouse/tls/certificates.hpp>
#include <memory>
#include <string>
#include <string_view>

namespace gatehouse::tls {

std::shared_ptr<certificate> parse_pem(std::string_view pem, std::string& error);

// The X.509 certificates of a PEM text in their order; what else is in it is passed over.
// Null: a block could not be read, or there are more than `most`; `error` says so.
STACK_OF(X509) * read_certificates(std::string_view pem, std::size_t most, std::string& error);

}  // namespace gatehouse::tls
