// A certificate authority in memory, and folders that vanish with the test.
#pragma once

#include <filesystem>
#include <gatehouse/tls/certificates.hpp>
#include <string>
#include <vector>

#include "openssl_ptr.hpp"

namespace gatehouse::tls::test {

enum class key_kind { p256, p384, p521, rsa1024, rsa2048, rsa5120, ed25519 };
pkey_ptr make_key(key_kind kind = key_kind::p256);

struct issue_options {
    std::vector<std::string> dns;
    std::vector<std::string> ip;
    key_kind kind = key_kind::p256;
    int begins_in_seconds = -3600;
    int ends_in_seconds = 24 * 3600;
    bool client = false;  // for clientAuth instead of serverAuth
    bool ca = false;
};

// A certificate with its key; `pem()` is leaf, then what stands between, then the key.
struct issued {
    x509_ptr cert;
    pkey_ptr key;
    std::string cert_pem() const;
    std::string key_pem() const;
    std::string pem() const { return cert_pem() + key_pem(); }
};

class authority {
 public:
    explicit authority(const std::string& name = "test CA");
    issued issue(const issue_options& o) const;
    issued issue_for(const std::string& host) const { return issue({.dns = {host}}); }
    std::string pem() const { return root_.cert_pem(); }

 private:
    std::string name_;
    issued root_;
};

std::string encrypted_key_pem(EVP_PKEY* key);

class temporary_folder {
 public:
    temporary_folder();
    ~temporary_folder();
    std::string path() const { return path_.string(); }
    std::string file(const std::string& name) const { return (path_ / name).string(); }
    // Renamed into place, as a careful operator does.
    void write(const std::string& name, const std::string& text) const;
    void remove(const std::string& name) const { std::filesystem::remove(path_ / name); }

 private:
    std::filesystem::path path_;
};

certificate_ptr parsed(const std::string& pem);

}  // namespace gatehouse::tls::test
