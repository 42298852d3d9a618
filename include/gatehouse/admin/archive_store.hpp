// Archives, backups and certificates of tenants as the admin API asks for them; the server implements it. Called on the
// control thread; every `done` runs there, once.
#pragma once

#include <gatehouse/base/secret.hpp>
#include <cstdint>
#include <functional>
#include <gatehouse/registry/backup_stamp.hpp>
#include <gatehouse/store/rows.hpp>
#include <gatehouse/tls/certificates.hpp>
#include <string>
#include <vector>

namespace gatehouse::admin {

struct archive_answer {
    bool known = true;  // false: there is no such tenant, or no such backup
    std::string why;    // non-empty: it cannot be had now
    std::string name;   // "acme-20261122T134700Z.tar"
    std::string bytes;
};

struct backup_row {
    std::string name;
    std::uint64_t bytes = 0;
    registry::backup_stamp stamp;
};
struct backup_answer {
    bool known = true;
    std::string why;
    backup_row row;
};
struct backups_answer {
    bool known = true;
    std::string why;
    std::vector<backup_row> rows;  // the newest first
};

class archive_store {
 public:
    virtual ~archive_store() = default;
    // Of now; with_keys: private keys of its certificates with it.
    virtual void copy(const std::string& tenant, bool with_keys, std::function<void(archive_answer)> done) = 0;
    // Makes one, unless the newest that was asked for is of the same revision and log: then that one is the answer. They
    // take no room from those on schedule.
    virtual void make_backup(const std::string& tenant, std::function<void(backup_answer)> done) = 0;
    virtual void backups(const std::string& tenant, std::function<void(backups_answer)> done) = 0;
    // name: of backups(); empty: the newest. Without keys: the certificates in it have none.
    virtual void read_backup(const std::string& tenant, const std::string& name, bool with_keys, std::function<void(archive_answer)> done) = 0;
    // Each count stays where it is the larger one.
    virtual void keep_usage(std::vector<store::usage_row> rows, std::function<void(std::string why_not)> done) = 0;
    // In tls.certs_dir, checked: chain and key in PEM, for `host` ("*.x": the wildcard).
    virtual void put_certificate(const std::string& host, const secret_text& pem, std::function<void(tls::certificate_change)> done) = 0;
    // Those of `hosts` that no certificate is there for, neither their own nor a wildcard.
    virtual void without_certificate(std::vector<std::string> hosts, std::function<void(std::vector<std::string>)> done) = 0;
    virtual void remove_certificate(const std::string& host, std::function<void(tls::certificate_change)> done) = 0;
};

}  // namespace gatehouse::admin
