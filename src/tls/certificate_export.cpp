// Certificates for who passes them on: from certs_dir to PEM of our own writing, chain and key apart.
#include <openssl/crypto.h>
#include <openssl/pem.h>

#include <filesystem>
#include <gatehouse/seal/digest.hpp>
#include <gatehouse/tls/certificates.hpp>
#include <gatehouse/tls/context.hpp>

#include "certificate_file.hpp"
#include "openssl_ptr.hpp"

namespace gatehouse::tls {
namespace {

std::string_view text_in(BIO* bio) {
    char* data = nullptr;
    const long n = BIO_get_mem_data(bio, &data);
    return n > 0 ? std::string_view(data, static_cast<std::size_t>(n)) : std::string_view();
}

bool write_chain(const certificate& c, BIO* out) {
    if (PEM_write_bio_X509(out, c.leaf) != 1) return false;
    for (int i = 0; i < sk_X509_num(c.chain); ++i)
        if (PEM_write_bio_X509(out, sk_X509_value(c.chain, i)) != 1) return false;
    return true;
}

}  // namespace

std::string certificate_name(std::string_view file) { return pattern_of(file); }

std::optional<std::vector<std::string>> certificate_names(const std::string& certs_dir) {
    std::vector<std::string> out;
    std::error_code ec;
    for (std::filesystem::directory_iterator i(certs_dir, ec), end; !ec && i != end; i.increment(ec)) {
        std::string name = pattern_of(i->path().filename().string());
        if (!name.empty()) out.push_back(std::move(name));
    }
    if (ec) return std::nullopt;
    return out;
}

certificate_pem read_certificate(const std::string& certs_dir, const std::string& name, std::string_view digest) {
    const std::string file = file_of(name);
    certificate_pem out;
    if (pattern_of(file) != name) return out;
    const std::string path = certs_dir + '/' + file;
    file_text read = read_small_file(path, most_certificate_bytes);
    out.digest = seal::sha256(read.text.view());
    out.same = read.error.empty() && !read.missing && out.digest == digest;
    if (out.same) {
        out.there = true;
        return out;
    }
    const loaded_certificate loaded = parse_certificate_file(path, file, std::move(read));
    out.there = !loaded.missing;
    out.error = loaded.error;
    if (loaded.good == nullptr) return out;
    out.not_after = loaded.good->not_after;
    const bio_ptr chain(BIO_new(BIO_s_mem())), key(BIO_new(BIO_s_secmem()));
    if (chain != nullptr && key != nullptr && write_chain(*loaded.good, chain.get()) &&
        PEM_write_bio_PrivateKey(key.get(), loaded.good->key, nullptr, nullptr, 0, nullptr, nullptr) == 1) {
        out.chain = text_in(chain.get());
        out.key = text_in(key.get());
    } else {
        out.error = certs_dir + '/' + file + ": cannot be written as PEM: " + last_error();
    }
    return out;
}

}  // namespace gatehouse::tls
