// Does a certificate name the host it is filed under?
#include <gatehouse/tls/certificates.hpp>

#include "openssl_ptr.hpp"

namespace gatehouse::tls {
namespace {

constexpr int most_shown = 10;

std::string text_of(const ASN1_STRING* s) {
    return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(s)),
            static_cast<std::size_t>(ASN1_STRING_length(s))};
}

// Only what can stand in a log line; a name's bytes are whatever its issuer signed.
std::string printable(std::string s) {
    for (char& c : s)
        if (c < 0x20 || c > 0x7e) c = '?';
    return s;
}

std::string names_of(X509* leaf) {
    const general_names_ptr names(static_cast<GENERAL_NAMES*>(
        X509_get_ext_d2i(leaf, NID_subject_alt_name, nullptr, nullptr)));
    std::string text;
    int shown = 0, more = 0;
    for (int i = 0; names != nullptr && i < sk_GENERAL_NAME_num(names.get()); ++i) {
        const GENERAL_NAME* n = sk_GENERAL_NAME_value(names.get(), i);
        if (n->type != GEN_DNS) continue;
        if (shown++ >= most_shown) {
            ++more;
            continue;
        }
        text += (text.empty() ? "" : ", ") + printable(text_of(n->d.dNSName));
    }
    if (more > 0) text += " and " + std::to_string(more) + " more";
    return text.empty() ? "no DNS names" : text;
}

}  // namespace

std::string name_error(const certificate& c, std::string_view pattern) {
    // A wildcard is held against a name that only a wildcard can cover.
    const std::string host = pattern.starts_with("*.")
                                 ? std::string("gatehouse-probe").append(pattern.substr(1))
                                 : std::string(pattern);
    if (X509_check_host(c.leaf, host.data(), host.size(), X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS,
                        nullptr) == 1)
        return {};
    std::string text =
        "does not name " + std::string(pattern) + " (it names " + names_of(c.leaf) +
        "): have a certificate issued for that name, or rename the file after a name "
        "it has";
    if (pattern.starts_with("*.") && pattern.find('.', 2) == pattern.npos)
        text += "; a wildcard right below a top-level name is never accepted";
    return text;
}

}  // namespace gatehouse::tls
