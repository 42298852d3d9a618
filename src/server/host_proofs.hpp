// Looks for the TXT records by which tenants prove hosts: when it is asked to, and by itself every registry.proof_every.
// Control thread; the look-ups in the pool, two at once, so that a slow resolver holds up nothing else there.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <gatehouse/admin/node_view.hpp>
#include <string>
#include <vector>

namespace gatehouse::server {

class host_proofs {
 public:
    host_proofs(boost::asio::io_context& control, admin::node_view& node) : node_(node), timer_(control) {}
    // By the settings from now on.
    void schedule();
    void stop() { timer_.cancel(); }

    // As admin::node_view::prove_host().
    void prove(const registry::request& r, const std::string& request_id, std::function<void(admin::proof_answer)> done);

 private:
    void wait();
    void begin_round();
    void next();
    void look(const registry::request& r, const std::string& request_id, std::function<void(admin::proof_answer)> done);
    void judge(const registry::request& r, const std::string& request_id, const std::vector<std::string>& found, const std::string& why,
               const std::function<void(admin::proof_answer)>& done);

    admin::node_view& node_;
    boost::asio::steady_timer timer_;
    bool in_round_ = false;
    milliseconds every_{0};
    unsigned asked_ = 0;                   // look-ups under way that somebody waits for
    std::vector<registry::request> round_;  // what is left of it, the last first
    std::string after_;                    // the tenant that the round before ended with
};

}  // namespace gatehouse::server
