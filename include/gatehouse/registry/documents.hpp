// What stands in Redis of a tenant, a certificate and the platform: JSON with one signature a
// region, secrets sealed under the keys of the regions that may have them. Values; any thread; a
// reading costs about what parsing the JSON costs.
//
//   {"signatures":{"eu-west":"KEY:HMAC",...},"signed":{...}}
//
// A signature is over the bytes of `signed` as they stand there, so it holds whatever a reader makes
// of the JSON. `signed` begins with what it is about, so that no document can stand for another.
#pragma once

#include <gatehouse/base/secret.hpp>
#include <cstdint>
#include <functional>
#include <gatehouse/config/settings.hpp>
#include <gatehouse/seal/region_key.hpp>
#include <gatehouse/tenant/model.hpp>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse::registry {

// What is newer: a later publisher, then a later change of it.
struct position {
    std::uint64_t epoch = 0, revision = 0;
    auto operator<=>(const position&) const = default;
};

using region_keys = std::map<std::string, seal::key_ring, std::less<>>;  // by region's name

// The key rings of all regions that name a key_file. Blocks. On trouble empty, and `why` names file
// and what to do.
region_keys load_region_keys(const std::vector<config::region_settings>& regions, std::string& why);

// Who reads: a node knows its own region's keys alone.
struct reader {
    std::string region;
    const seal::key_ring& keys;
};

enum class reading : std::uint8_t {
    whole,
    elsewhere,       // a strict tenant of another region: id, hosts, region, and what its family is bound by
    not_understood,  // needs a later version of this program
    refused,         // not signed for this region, another document, or no document at all
};

struct tenant_document {
    std::string id;
    position at;
    std::string region;              // home, its own or inherited; empty: none
    bool strict = false;
    std::vector<std::string> hosts;  // as of tenant::record
    std::shared_ptr<const tenant::tenant> tenant;  // null: removed; `elsewhere`: what is known of it
    std::map<std::string, std::string> files;      // what the tenant names: path, contents; no secrets
    bool made_by_api = false;        // no file declares it
};
struct tenant_reading {
    reading what = reading::refused;
    tenant_document document;        // whole and elsewhere; not_understood: without the tenant
    std::string why;                 // not_understood and refused
};
// A strict tenant's body is sealed for its home region; without that region's key it cannot be
// written: std::invalid_argument.
std::string write_tenant(const tenant_document& d, const region_keys& keys);
tenant_reading read_tenant(std::string_view text, std::string_view id, const reader& r);

struct certificate_document {
    std::string name;                   // "shop.acme.example", "*.acme.example"
    position at;
    std::int64_t not_after = 0;         // Unix seconds, of the leaf
    std::string chain;                  // PEM, leaf first
    secret_text key;                    // PEM; after reading empty: sealed for other regions
    std::vector<std::string> regions;   // that may have the key
    std::string source;                 // digest of the file it was made of; may be empty
};
struct certificate_reading {
    reading what = reading::refused;    // elsewhere: the key is not for this region
    certificate_document document;
    std::string why;
};
std::string write_certificate(const certificate_document& d, const region_keys& keys);
certificate_reading read_certificate(std::string_view text, std::string_view name, const reader& r);
// `source` of a document as write_certificate() would write it now for these regions under these keys;
// empty: it would be another one.
std::string current_source(std::string_view text, std::string_view name, const std::vector<std::string>& regions,
                           const region_keys& keys);

struct platform_document {
    position at;
    config::settings settings;                  // of which only what is shared counts
    std::map<std::string, std::string> files;   // what the settings name: path, contents
};
struct platform_reading {
    reading what = reading::refused;
    platform_document document;  // settings: those of `own` with what is shared
    std::string why;
};
std::string write_platform(const platform_document& d, const region_keys& keys);
platform_reading read_platform(std::string_view text, const reader& r, const config::settings& own);

// Whether two documents say the same, whoever signed them and when. Signatures are not looked at.
bool same_content(std::string_view a, std::string_view b);

}  // namespace gatehouse::registry
