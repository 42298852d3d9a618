// By what a tenant proves that a host is its own: a TXT record, which only who runs the host's zone can set. Pure.
#pragma once

#include <gatehouse/registry/access.hpp>
#include <string>
#include <string_view>

namespace gatehouse::registry {

struct proof_record {
    std::string name;   // "_gatehouse-challenge.shop.example", of "*.shop.example" too
    std::string value;  // 64 hexadecimal digits
};

// Bound to tenant, host and the time it was asked for, so that it proves this request alone: nothing of it is stored, and
// without the key nobody knows it. key: access_list::proof_key.
proof_record host_proof(std::string_view key, const request& r);

}  // namespace gatehouse::registry
