// A client of one node's admin API: one request a connection, blocking, every wait bounded.
#pragma once

#include <chrono>
#include <gatehouse/base/secret.hpp>
#include <string>
#include <string_view>

namespace gatehouse::cli {

struct reply {
    enum class kind : std::uint8_t {
        answered,     // status and body
        unreachable,  // nobody listens: the node does not run
        failed,       // it broke off, or took too long
    } what = kind::failed;
    unsigned status = 0;
    std::string body;   // answered
    std::string error;  // else: a sentence
};

class client {
 public:
    client(std::string address, secret_text token)
        : address_(std::move(address)), token_(std::move(token)) {}
    reply get(std::string_view target) const;
    reply post(std::string_view target) const;
    // With a body, JSON or bytes; empty: none. `revision` non-empty: only while the tenant has it.
    reply send(std::string_view method, std::string_view target, std::string_view body, std::string_view revision) const;
    const std::string& address() const noexcept { return address_; }

 private:
    reply exchange(std::string_view method, std::string_view target, std::string_view fields, std::string_view body,
                   std::chrono::seconds patience) const;
    std::string address_;
    secret_text token_;
};

std::string percent_encoded(std::string_view s);  // for a query's value or a path's segment

}  // namespace gatehouse::cli
