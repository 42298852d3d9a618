// CA files.
#include <openssl/err.h>

#include <gatehouse/base/text.hpp>
#include <gatehouse/tls/context.hpp>

#include "certificate_file.hpp"
#include "openssl_ptr.hpp"
#include "parse_certificate.hpp"

namespace gatehouse::tls {
namespace {

constexpr std::size_t most_bytes = 4 * 1024 * 1024;
constexpr std::size_t most_certificates = 2048;

bool has_name(STACK_OF(X509_NAME) * names, const X509_NAME* name) {
    for (int i = 0; i < sk_X509_NAME_num(names); ++i)
        if (X509_NAME_cmp(sk_X509_NAME_value(names, i), name) == 0) return true;
    return false;
}

bool add(const trust_store& trust, X509* ca) {
    if (X509_STORE_add_cert(trust.store, ca) != 1) return false;
    const X509_NAME* name = X509_get_subject_name(ca);
    if (has_name(trust.names, name)) return true;
    X509_NAME* copy = X509_NAME_dup(name);
    if (copy != nullptr && sk_X509_NAME_push(trust.names, copy) != 0) return true;
    X509_NAME_free(copy);
    return false;
}

}  // namespace

trust_store::~trust_store() {
    X509_STORE_free(store);
    sk_X509_NAME_pop_free(names, X509_NAME_free);
}

trust_ptr load_trust(const std::string& ca_file, std::string& error) {
    const file_text file = read_small_file(ca_file, most_bytes);
    error = file.error;
    STACK_OF(X509)* all =
        error.empty() ? read_certificates(file.text.view(), most_certificates, error) : nullptr;
    auto trust = std::make_shared<trust_store>();
    trust->store = X509_STORE_new();
    trust->names = sk_X509_NAME_new_null();
    trust->content = hash_text(file.text.view());
    if (trust->store == nullptr || trust->names == nullptr) error = "cannot be read: no memory";
    for (int i = 0; error.empty() && i < sk_X509_num(all); ++i)
        if (!add(*trust, sk_X509_value(all, i)))
            error = "has a certificate that cannot be used (" + last_error() + ')';
    sk_X509_pop_free(all, X509_free);
    if (error.empty()) return trust;
    error = ca_file + ": " + error;
    return nullptr;
}

}  // namespace gatehouse::tls
