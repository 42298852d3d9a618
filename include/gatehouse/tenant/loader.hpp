// Brings tenants into the directory that are known there by name alone (directory::must_load_host).
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace gatehouse::tenant {

class loader {
 public:
    enum class answer : std::uint8_t {
        done,         // it is in the directory now, or nobody's
        unavailable,  // nobody can say now
    };
    // `done` is called exactly once, within `patience` however long the registry takes, on any
    // thread. One load for many who wait. Any thread.
    virtual void load_host(std::string host, std::function<void(answer)> done) = 0;
    virtual void load_tenant(std::string id, std::function<void(answer)> done) = 0;
    static constexpr std::int64_t patience_ns = 250'000'000;

 protected:
    ~loader() = default;
};

}  // namespace gatehouse::tenant
