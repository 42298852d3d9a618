#include <fmt/format.h>
#include <netdb.h>

#include <algorithm>
#include <atomic>
#include <cstring>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <gatehouse/base/clock.hpp>
#include <gatehouse/base/log.hpp>
#include <gatehouse/balance/choose.hpp>
#include <gatehouse/upstream/pools.hpp>
#include <gatehouse/upstream/rows.hpp>
#include <gatehouse/upstream/standing.hpp>

namespace gatehouse::upstream {

namespace asio = boost::asio;

namespace {

using state_key = std::string;   // pool name, a space, the address
using state_map = std::map<state_key, std::weak_ptr<endpoint_state>, std::less<>>;

// All addresses a name has now; blocks.
std::vector<net::address> resolve(const std::string& host, std::uint16_t port, std::string& trouble) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICSERV;
    addrinfo* found = nullptr;
    const int rc = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
    std::vector<net::address> out;
    if (rc != 0) {
        trouble = host + ": " + ::gai_strerror(rc);
        return out;
    }
    constexpr std::size_t addresses_limit = 64;
    for (const addrinfo* a = found; a && out.size() < addresses_limit; a = a->ai_next) {
        net::address address;
        std::memcpy(&address.storage, a->ai_addr, a->ai_addrlen);
        address.bytes = a->ai_addrlen;
        out.push_back(address);
    }
    ::freeaddrinfo(found);
    return out;
}

enum class names : std::uint8_t { looked_up, left_out };

// One configured endpoint becomes as many as its name has addresses. A name that cannot be resolved
// now keeps the addresses it had.
void add_endpoints(pool& p, std::size_t index, const pool* before, names n) {
    const tenant::endpoint_spec& spec = p.spec.endpoints[index];
    std::vector<net::address> addresses;
    endpoint base;
    base.region = spec.region;
    base.weight = spec.weight;
    base.max_connections = spec.max_connections;
    base.max_pending = spec.max_pending;
    base.spec_index = index;
    base.authority = spec.address;
    if (const result<net::address> literal = net::parse_address(spec.address)) {
        addresses.push_back(*literal);
        if (literal->is_unix()) {
            base.name = base.authority = "localhost";
        } else {
            base.name = literal->ip()->to_string();
        }
    } else if (const result<net::host_port> parts = net::split_host_port(spec.address)) {
        base.name = parts->host;
        std::string trouble = parts->host + ": not resolved yet";
        if (n == names::looked_up) addresses = resolve(parts->host, parts->port, trouble);
        if (addresses.empty()) p.trouble = trouble;
        if (addresses.empty() && before) {
            for (const endpoint& e : before->endpoints) {
                if (e.authority == spec.address) addresses.push_back(e.address);
            }
        }
    }
    // Name servers turn their answers round; the order must not make a new pool of the same addresses.
    std::sort(addresses.begin(), addresses.end(),
              [](const net::address& a, const net::address& b) { return a.to_string() < b.to_string(); });
    for (const net::address& a : addresses) {
        endpoint e = base;
        e.address = a;
        e.text = a.to_string();
        bool known = false;
        for (const endpoint& other : p.endpoints) known = known || other.text == e.text;
        if (!known) p.endpoints.push_back(std::move(e));
    }
}

enum class material : std::uint8_t { kept, read_again };   // TLS files: at a reload they are read again

// In the pool of threads, as it blocks.
std::shared_ptr<pool> make_pool(const tenant::pool& spec, const pool* before, material m, names n) {
    auto p = std::make_shared<pool>();
    p->spec = spec;
    p->security = spec.name;
    for (std::size_t i = 0; i < spec.endpoints.size(); ++i) add_endpoints(*p, i, before, n);
    if (!spec.tls) return p;
    p->security += '\n' + spec.tls->ca_file + '\n' + spec.tls->server_name + '\n' +
                   spec.tls->client_cert_file + (spec.tls->verify ? "\nverified" : "\nunverified");
    const bool has_material = before && before->tls && before->spec.tls == spec.tls;
    if (has_material) p->tls = before->tls;
    if (has_material && m == material::kept) return p;
    try {
        p->tls = std::make_shared<tls::upstream_context>(*spec.tls);
    } catch (const std::exception& e) {
        p->trouble = e.what();
        // Without its TLS material a pool must not be spoken to in the clear.
        if (!p->tls) p->endpoints.clear();
    }
    return p;
}

// Null when it was overtaken: others are wanted by now.
std::shared_ptr<const pool_map> make_pools(const std::vector<tenant::pool>& specs, const pool_map& before, material m,
                                           names n, const std::function<bool()>& overtaken) {
    auto made = std::make_shared<pool_map>();
    for (const tenant::pool& spec : specs) {
        if (overtaken()) return nullptr;
        const auto old = before.find(spec.name);
        (*made)[spec.name] = make_pool(spec, old == before.end() ? nullptr : old->second.get(), m, n);
    }
    return made;
}

bool same_addresses(const pool& a, const pool& b) {
    if (!(a.spec == b.spec) || a.endpoints.size() != b.endpoints.size() || a.tls != b.tls ||
        a.trouble != b.trouble) {
        return false;
    }
    for (std::size_t i = 0; i < a.endpoints.size(); ++i) {
        if (a.endpoints[i].text != b.endpoints[i].text) return false;
    }
    return true;
}

}  // namespace

struct pools::impl : std::enable_shared_from_this<pools::impl> {
    explicit impl(dependencies d) : deps(std::move(d)), look_timer(deps.control), add_timer(deps.control) {}

    using made_pools = std::shared_ptr<const pool_map>;

    dependencies deps;
    asio::steady_timer look_timer, add_timer;
    std::vector<tenant::pool> specs;   // without those added
    made_pools current = std::make_shared<pool_map>();
    pool_map added;                    // of current: not among specs
    std::function<void(std::string)> add_done;
    state_map states;
    tenant::drained_endpoints drained;
    // What is under way in the pool of threads under an older number is dropped.
    std::atomic<std::uint64_t> look_number{0}, add_number{0};
    bool published = false, stopped = false;

    // --- those in force ---

    void apply(std::vector<tenant::pool> s) {
        specs = std::move(s);
        added.clear();
        ++look_number;
        look_timer.cancel();
        look(material::read_again);
    }

    void look(material m) {
        deps.run_in_pool([self = shared_from_this(), specs = specs, before = current, number = look_number.load(), m] {
            made_pools made;
            try {
                made = make_pools(specs, *before, m, names::looked_up, [&] { return self->look_number != number; });
            } catch (const std::exception& e) {
                log::error("the pools cannot be looked at, again in a while: {}", e.what());
            }
            asio::post(self->deps.control, [self, made, number] { self->looked(made, number); });
        });
    }

    void looked(const made_pools& made, std::uint64_t number) {
        if (stopped || number != look_number) return;
        if (made) take(*made);
        look_timer.expires_after(deps.resolve_interval);
        look_timer.async_wait([self = shared_from_this(), number](const boost::system::error_code& ec) {
            if (!ec && !self->stopped && number == self->look_number) self->look(material::kept);
        });
    }

    void take(const pool_map& made) {
        std::erase_if(states, [](const auto& entry) { return entry.second.expired(); });
        auto next = std::make_shared<pool_map>(added);
        bool changed = !std::exchange(published, true);
        for (const auto& [name, p] : made) {
            const auto old = current->find(name);
            if (old != current->end() && same_addresses(*old->second, *p)) {
                (*next)[name] = old->second;
                continue;
            }
            changed = true;
            (*next)[name] = with_states(*p);
        }
        changed = changed || next->size() != current->size();
        current = next;
        if (changed) deps.publish(current);
    }

    // --- those that may come ---

    void add(std::vector<tenant::pool> s, std::function<void(std::string)> done) {
        add_done = std::move(done);
        deps.run_in_pool([self = shared_from_this(), s = std::move(s), before = current, number = ++add_number] {
            const auto overtaken = [&] { return self->add_number != number; };
            try {
                const made_pools plain = make_pools(s, *before, material::read_again, names::left_out, overtaken);
                asio::post(self->deps.control, [self, plain, number] { self->wait_for_names(plain, number); });
                const made_pools made = make_pools(s, *plain, material::kept, names::looked_up, overtaken);
                asio::post(self->deps.control, [self, made, number] { self->end_add(made, number, {}); });
            } catch (const std::exception& e) {
                asio::post(self->deps.control,
                           [self, number, why = std::string(e.what())] { self->end_add(nullptr, number, why); });
            }
        });
    }

    void wait_for_names(const made_pools& plain, std::uint64_t number) {
        if (stopped) return;
        add_timer.expires_after(deps.add_limit);
        add_timer.async_wait([self = shared_from_this(), plain, number](const boost::system::error_code& ec) {
            if (!ec) self->end_add(plain, number, {});
        });
    }

    void end_add(const made_pools& made, std::uint64_t number, const std::string& why_not) {
        if (stopped || number != add_number) return;
        ++add_number;
        add_timer.cancel();
        if (made) {
            auto next = std::make_shared<pool_map>(*current);
            for (const auto& [name, p] : *made) (*next)[name] = added[name] = with_states(*p);
            current = next;
            deps.publish(current);
        }
        std::exchange(add_done, nullptr)(why_not);
    }

    void remove_added() {
        if (added.empty()) return;
        auto next = std::make_shared<pool_map>(*current);
        for (const auto& [name, p] : std::exchange(added, {})) next->erase(name);
        current = next;
        deps.publish(current);
    }

    // --- endpoints ---

    pool_ptr with_states(const pool& p) {
        if (!p.trouble.empty()) log::error("pool {}: {}", p.spec.name, p.trouble);
        auto out = std::make_shared<pool>(p);
        for (endpoint& e : out->endpoints) {
            const state_key key = p.spec.name + " " + e.text;
            e.identity = balance::stable_hash(key);
            e.state = states[key].lock();
            if (!e.state) states[key] = e.state = std::make_shared<endpoint_state>();
            upstream::set_drained(*e.state, is_drained(*out, e, drained), monotonic_ns());
        }
        return out;
    }

    void set_drained(tenant::drained_endpoints d) {
        drained = std::move(d);
        const std::int64_t now_ns = monotonic_ns();
        for (const auto& [name, p] : *current) {
            for (const endpoint& e : p->endpoints) upstream::set_drained(*e.state, is_drained(*p, e, drained), now_ns);
        }
    }

    void tell_ejections(std::int64_t now_ns) const {
        for (const auto& [name, p] : *current) {
            for (const endpoint& e : p->endpoints) {
                endpoint_state& s = *e.state;
                const std::uint64_t ejections = s.ejections.load(std::memory_order_relaxed);
                if (std::exchange(s.ejections_told, ejections) == ejections) continue;
                const std::int64_t left_ns = s.ejected_until_ns.load(std::memory_order_relaxed) - now_ns;
                log::warn("pool {}: endpoint {} is left out{} after {} failures in a row", name, e.text,
                          left_ns > 0 ? fmt::format(" for {:.1f} s more", static_cast<double>(left_ns) / 1e9) : "",
                          s.failures_in_a_row.load(std::memory_order_relaxed));
            }
        }
    }
};

pools::pools(dependencies d) : impl_(std::make_shared<impl>(std::move(d))) {}
pools::~pools() { stop(); }

void pools::apply(std::vector<tenant::pool> specs) { impl_->apply(std::move(specs)); }

void pools::add(std::vector<tenant::pool> specs, std::function<void(std::string)> done) {
    impl_->add(std::move(specs), std::move(done));
}

void pools::remove_added() { impl_->remove_added(); }

std::shared_ptr<const pool_map> pools::current() const { return impl_->current; }

void pools::set_drained(tenant::drained_endpoints drained) { impl_->set_drained(std::move(drained)); }

const tenant::drained_endpoints& pools::drained() const { return impl_->drained; }

void pools::tell_ejections(std::int64_t now_ns) { impl_->tell_ejections(now_ns); }

void pools::stop() {
    impl_->stopped = true;
    impl_->look_timer.cancel();
    impl_->add_timer.cancel();
}

}  // namespace gatehouse::upstream
