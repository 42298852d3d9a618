#include "host_proofs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <gatehouse/admin/give_host.hpp>
#include <gatehouse/base/log.hpp>
#include <gatehouse/net/txt.hpp>
#include <gatehouse/registry/host_proof.hpp>
#include <memory>
#include <random>

namespace gatehouse::server {

using admin::proof_answer;
using registry::request;

namespace {

constexpr std::size_t a_round = 20;
constexpr unsigned most_asked = 1;   // and one of the round

// A quarter less or more, so that nodes that started together do not ask together.
milliseconds jittered(milliseconds time) {
    static std::minstd_rand random{std::random_device{}()};
    return milliseconds(std::uniform_int_distribution<milliseconds::rep>(time.count() * 3 / 4, time.count() * 5 / 4)(random));
}

bool waits(const registry::access_list& list, const request& r) {
    const auto it = list.requests.find(r.tenant);
    return it != list.requests.end() && std::any_of(it->second.begin(), it->second.end(), [&r](const request& one) {
               return key_of(one) == key_of(r) && one.asked_at == r.asked_at;
           });
}

// Hosts that wait, of the tenants behind `after`.
std::vector<request> some_behind(const registry::access_list& list, const std::string& after) {
    std::vector<request> out;
    for (auto it = list.requests.upper_bound(after); it != list.requests.end() && out.size() < a_round; ++it)
        for (const request& r : it->second)
            if (r.what == request::kind::host) out.push_back(r);
    return out;
}

}  // namespace

void host_proofs::schedule() {
    const auto& s = node_.settings().registry;
    const auto every = s.dns_proof && !s.follows() ? s.proof_every : milliseconds{0};
    if (every == every_) return;
    every_ = every;
    timer_.cancel();
    if (every_.count() != 0 && !in_round_) wait();
}

void host_proofs::wait() {
    timer_.expires_after(jittered(every_));
    timer_.async_wait([this](error_code ec) {
        if (!ec) begin_round();
    });
}

void host_proofs::begin_round() {
    in_round_ = true;
    round_ = some_behind(node_.access(), after_);
    // Those of one tenant together, however many: at most registry::most_requests_of_one more.
    after_ = round_.size() < a_round ? std::string() : round_.back().tenant;
    std::reverse(round_.begin(), round_.end());
    next();
}

void host_proofs::next() {
    if (round_.empty() || every_.count() == 0) {
        in_round_ = false;
        if (every_.count() != 0) wait();
        return;
    }
    const auto r = std::move(round_.back());
    round_.pop_back();
    look(r, {}, [this, r](const proof_answer& a) {
        // A host of somebody else's waits until it is refused; who runs its zone was not asked here.
        if (a.what == proof_answer::outcome::refused) log::debug("tenant {} has proved {}, and cannot have it: {}", r.tenant, r.host, a.change.detail);
        next();
    });
}

void host_proofs::prove(const request& r, const std::string& request_id, std::function<void(proof_answer)> done) {
    if (asked_ == most_asked) return done({.what = proof_answer::outcome::busy, .detail = {}, .change = {}});
    ++asked_;
    look(r, request_id, [this, done = std::move(done)](const proof_answer& a) {
        --asked_;
        done(a);
    });
}

void host_proofs::look(const request& r, const std::string& request_id, std::function<void(proof_answer)> done) {
    const auto found = std::make_shared<net::txt_answer>();
    const auto name = registry::host_proof(node_.access().proof_key, r).name;
    node_.in_pool([found, name, resolver = node_.settings().registry.resolver] { *found = net::find_txt(name, resolver); },
                  [this, r, request_id, found, done = std::move(done)] { judge(r, request_id, found->records, found->why, done); });
}

void host_proofs::judge(const request& r, const std::string& request_id, const std::vector<std::string>& found, const std::string& why,
                        const std::function<void(proof_answer)>& done) {
    const auto wanted = registry::host_proof(node_.access().proof_key, r);
    const bool is_there = !wanted.value.empty() && std::find(found.begin(), found.end(), wanted.value) != found.end();
    if (!is_there || !node_.settings().registry.dns_proof || !waits(node_.access(), r))
        return done({.what = proof_answer::outcome::not_proved,
                     .detail = why.empty() ? fmt::format("the TXT record at {} is another", wanted.name) : fmt::format("{}: {}", wanted.name, why),
                     .change = {}});
    const registry::author by{.who = "dns", .from = wanted.name, .request_id = request_id};
    admin::give_host(node_, r, by, [r, done](registry::change_answer a) {
        if (a.refused != registry::refusal::none)
            return done({.what = proof_answer::outcome::refused, .detail = {}, .change = std::move(a)});
        log::info("tenant {} has proved {} by DNS: it is routed", r.tenant, r.host);
        done({.what = proof_answer::outcome::given, .detail = {}, .change = {}});
    });
}

}  // namespace gatehouse::server
