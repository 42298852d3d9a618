// A TLS connection of a strict tenant whose home is another region: passed on undecrypted to a gateway
// there, behind a PROXY header that says who the client is and who relays. The loop's thread alone.
#pragma once

#include <gatehouse/net/stream.hpp>
#include <gatehouse/net/task.hpp>
#include <gatehouse/proxy/client_side.hpp>
#include <gatehouse/proxy/exchange.hpp>
#include <gatehouse/proxy/hello.hpp>

namespace gatehouse::proxy {

struct relayed_connection {
    net::stream& client;         // plain: nothing of its TLS was answered
    const client_facts& facts;
    session_tenant& who;         // what the connection is charged to
    hello_state& hello;          // with `elsewhere` and what was kept
};
// Until both sides have ended, nothing has moved for `tunnel_idle`, or the tenant may no longer run.
// False: it could not begin; the client was sent an alert, and its side should linger. Counts and logs.
net::task<bool> run_relay(gate& g, const relayed_connection& c);

}  // namespace gatehouse::proxy
