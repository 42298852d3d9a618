// Who a client is to the rules that bound single clients. Pure.
#pragma once

#include <gatehouse/http/head.hpp>
#include <gatehouse/limit/admission.hpp>
#include <gatehouse/tenant/decide.hpp>
#include <vector>

namespace gatehouse::proxy {

// Overwrites `out`: one charge a rule. Clients without an address, those without the field, and those
// whose fields contradict each other are one client.
void find_clients(std::vector<limit::client_charge>& out, const std::vector<limit::rule>& rules,
                  const http::request_head& request, const tenant::guard_input& client);

}  // namespace gatehouse::proxy
