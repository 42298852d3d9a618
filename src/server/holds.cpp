#include "holds.hpp"

#include <atomic>
#include <boost/asio/post.hpp>
#include <memory>
#include <vector>

namespace gatehouse::server {

void holds::begin(const proxy::hold_terms& t) {
    deps_.each_worker([t](worker& w) { w.holds().begin(t); });
}

void holds::extend(const std::string& token, std::int64_t until_ns) {
    deps_.each_worker([token, until_ns](worker& w) { w.holds().extend(token, until_ns); });
}

void holds::end(const std::string& token) {
    deps_.each_worker([token](worker& w) { w.holds().end(token); });
}

void holds::end_all() {
    deps_.each_worker([](worker& w) { w.holds().end_all(); });
}

void holds::close_tunnels(const std::string& tenant) {
    deps_.each_worker([tenant](worker& w) { w.close_tunnels(tenant); });
}

void holds::look(const std::string& token, std::function<void(proxy::hold_progress)> done) {
    struct round {
        explicit round(std::size_t n) : said(n) {}
        std::vector<proxy::hold_progress> said;
        std::atomic<std::size_t> next{0}, left{said.size()};
    };
    const auto r = std::make_shared<round>(deps_.worker_count());
    const auto together = [r, done = std::move(done)] {
        proxy::hold_progress sum{.in_force = !r->said.empty()};
        for (const proxy::hold_progress& p : r->said) {
            sum.in_force = sum.in_force && p.in_force;
            sum.under_way += p.under_way;
            sum.waiting += p.waiting;
            sum.waited += p.waited;
        }
        done(sum);
    };
    if (r->said.empty()) return boost::asio::post(deps_.control, together);
    deps_.each_worker([r, token, together, &control = deps_.control](worker& w) {
        r->said[r->next++] = w.holds().look(token);
        if (--r->left == 0) boost::asio::post(control, together);
    });
}

}  // namespace gatehouse::server
