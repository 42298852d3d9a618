// Certificates of authorities in memory once, however many chains they stand in. Any thread.
#pragma once

#include <memory>

#include "openssl_ptr.hpp"

namespace gatehouse::tls {

// The one kept with the same DER, or this one from now on; it goes with the last that holds it.
// Null: no memory.
std::shared_ptr<X509> share_issuer(x509_ptr one);

}  // namespace gatehouse::tls
