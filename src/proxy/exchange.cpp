// The path of a request, stage by stage; docs/life-of-a-request.md has the same headings.
#include <algorithm>
#include <gatehouse/config/time_zones.hpp>
#include <gatehouse/limit/admission.hpp>
#include <gatehouse/proxy/exchange.hpp>
#include <gatehouse/tenant/decide.hpp>
#include <gatehouse/upstream/ejection.hpp>
#include <optional>
#include <span>

#include "answer_fields.hpp"
#include "choose_endpoint.hpp"
#include "client_address.hpp"
#include "client_keys.hpp"
#include "failure.hpp"
#include "promise.hpp"
#include "retry.hpp"
#include "tunnel.hpp"
#include "upload.hpp"
#include "upstream_body.hpp"

namespace gatehouse::proxy {

namespace {

class exchange {
   public:
    exchange(gate& g, client_side& client, session_tenant& who, scratch& s)
        : gate_(g), client_(client), who_(who), s_(s), request_(s.request), response_(s.response) {
        gate_.write_request_id(request_id_);
        began_ns_ = gate_.loop.now_ns();
        const bool may_continue = client.facts().trusted || !gate_.settings().restart_traces;
        trace_ = may_continue && http::continue_trace(request_, traceparent_) ? trace::continued : trace::none;
        gate_.counters.requests.add();
        gate_.counters.requests_active.add();
    }

    ~exchange() {
        if (loaded_) loaded_->wanted = false;
        client_.watch_gone(nullptr, nullptr);
        leave_admission();
        gate_.counters.requests_active.sub();
    }
    exchange(const exchange&) = delete;
    exchange& operator=(const exchange&) = delete;

    net::task<ending> run() {
        failure f = resolve(false);
        if (load_host_.size() + load_tenant_.size() > 0) {
            co_await load();
            if (loaded_->answer == tenant::loader::answer::done) f = resolve(true);
        }
        if (!f) f = guard();
        if (!f) f = route();
        if (!f) f = admit();
        if (!f) {
            if (redirect_wanted()) {
                f = co_await redirect();
            } else {
                f = co_await forward();
            }
        }
        if (f) co_await answer(f);
        settle(f);
        co_return ending_;
    }

   private:
    // --- resolve: which tenant ---

    failure resolve(bool loaded) {
        stage_ = stage::resolve;
        const client_facts& client = client_.facts();
        directory_generation_ = gate_.directory.generation();
        const std::uint64_t bindings_now = gate_.bindings.generation();
        const std::string_view identifier = identifier_of(request_, gate_.settings().identifier_field);
        if (identifier.empty()) {
            if (const binding_ptr* known = who_.find(request_.host, directory_generation_, bindings_now)) {
                binding_ = known->get();
                return {};
            }
        }
        const tenant::resolution r = tenant::resolve(
            gate_.directory, {.host = request_.host,
                              .path = request_.path_and_query.substr(0, request_.path_bytes),
                              .tenant_field = identifier,
                              .sni_tenant = client.sni_tenant,
                              .sni_was_shared_host = client.sni_was_shared_host,
                              .sni_tls_policy = client.sni_tls_policy,
                              .loaded = loaded});
        load_host_ = r.load_host;
        load_tenant_ = r.load_tenant;
        if (r.refused != problem::none) return refused(r.refused, r.detail);
        const binding_ptr& bound = gate_.bindings.get(*r.found);
        strip_bytes_ = r.strip_bytes;
        redirect_host_ = r.redirect_host;
        const limit::level* full = nullptr;
        if (!who_.enter(bound, &full)) {
            count_refused_connection(*bound->effective);
            if (full != nullptr) gate_.counters.refused_connection(*full);
            failure f = refused(problem::concurrency_limited, "This tenant has as many connections open as it may.");
            f.closes = true;
            return f;
        }
        // What a path or a field named holds for this request alone.
        const bool by_host = r.by == tenant::signal::host && redirect_host_.empty();
        who_.set(by_host ? request_.host : std::string_view{}, bound, directory_generation_, bindings_now);
        binding_ = bound.get();
        (*r.found)->state->last_used_s.store(static_cast<std::uint32_t>(gate_.loop.unix_seconds()),
                                             std::memory_order_relaxed);
        return {};
    }

    // The tenant is known by name alone: the first who comes waits for it, never longer than the
    // loader's patience.
    struct loading {
        explicit loading(net::loop& l) : ready(l) {}
        net::event ready;
        tenant::loader::answer answer = tenant::loader::answer::unavailable;
        bool wanted = true;
    };

    net::task<void> load() {
        loaded_ = std::make_shared<loading>(gate_.loop);
        if (gate_.loader == nullptr) co_return;
        const auto done = [&loop = gate_.loop, l = loaded_](tenant::loader::answer a) {
            loop.post([l, a] {
                l->answer = a;
                if (l->wanted) l->ready.set();
            });
        };
        if (load_host_.empty()) {
            gate_.loader->load_tenant(std::string(load_tenant_), done);
        } else {
            gate_.loader->load_host(std::string(load_host_), done);
        }
        static_cast<void>(co_await loaded_->ready.wait(0));
    }

    // --- guard: may it be served, here and now ---

    failure guard() {
        stage_ = stage::guard;
        const parameters& p = gate_.settings();
        if (!http::apply_connection(request_, p.context_prefix)) {
            return refused(problem::bad_request, "Connection names a field that must not be dropped.");
        }
        if (http::via_loops(request_, p.pseudonym, p.fleet_id)) {
            return refused(problem::loop, "The request has been here before.");
        }
        const client_facts& client = client_.facts();
        client_text_ = client.ip_text;
        guard_input_ = {.client = client.trusted
                                      ? forwarded_client(request_, p.trusted_proxies, client.ip, client_text_)
                                      : client.ip,
                        .client_known = client.ip_known,
                        .now = gate_.utc_now(),
                        .node_region = p.node_region};
        return from(tenant::guard(*binding_->effective, guard_input_));
    }

    failure from(const tenant::guard_verdict& v) const {
        failure f = refused(v.refused, v.detail);
        f.message = v.message;
        f.retry_after_s = v.retry_after_s;
        if (v.retry_after_s > 0) f.back_unix_s = guard_input_.now.time_since_epoch().count() + v.retry_after_s;
        return f;
    }

    // --- route: which of the tenant's routes ---

    failure route() {
        stage_ = stage::route;
        path_and_query_ = request_.path_and_query.substr(strip_bytes_);
        const bool whole_server = path_and_query_ == "*";   // OPTIONS * (RFC 9110 9.3.7)
        if (!whole_server && (path_and_query_.empty() || path_and_query_.front() != '/')) {
            s_.host_out.clear();
            s_.host_out.push_back('/');
            s_.host_out.append(path_and_query_);   // "/t/acme?x" stripped leaves "?x"
            path_and_query_ = s_.host_out;
        }
        const std::string_view path = whole_server ? "/" : path_and_query_.substr(0, path_and_query_.find('?'));
        const tenant::effective_route* found = tenant::match_route(*binding_->effective, path);
        if (!found) return refused(problem::not_found, "This tenant serves nothing there.");
        route_ = &binding_->of(*found);
        return from(tenant::guard_route(*found, guard_input_));
    }

    // --- admit: rules for single clients, concurrency, rate, quota, body size ---

    failure admit() {
        stage_ = stage::admit;
        if (gate_.pressure->load(std::memory_order_relaxed) == pressure::refuse) {
            return refused(problem::overloaded, "The gateway is short of memory.");
        }
        const tenant::effective_route& r = *route_->route;
        if (r.max_body_bytes != 0 && request_.content_length > r.max_body_bytes) {
            return refused(problem::body_too_large, "The request's body is larger than this tenant may send.");
        }
        find_clients(s_.clients, r.rules, request_, guard_input_);
        admission_ = limit::admit(r.levels, {.monotonic_ns = gate_.loop.now_ns(), .unix_s = gate_.loop.unix_seconds()}, s_.clients);
        gate_.counters.decided(admission_);
        if (admission_.refused == problem::none) {
            admitted_ = r.levels;
            note_in_flight();
            return {};
        }
        failure f = refused(admission_.refused, "");
        f.retry_after_s = retry_after_seconds(admission_);
        return f;
    }

    // --- redirects of ours ---

    bool redirect_wanted() const {
        return client_.facts().redirect_to_https != 0 || !redirect_host_.empty() || !route_->route->spec.redirect.empty();
    }

    net::task<failure> redirect() {
        stage_ = stage::answer;
        write_location(s_.target, request_, client_.facts(), path_and_query_, redirect_host_, route_->route->spec);
        const bool by_route = client_.facts().redirect_to_https == 0 && redirect_host_.empty();
        write_extra_fields();
        const http::own_redirect answer{
            .status = by_route ? route_->route->spec.redirect_status : std::uint16_t{308},
            .location = s_.target,
            .request_id = request_id(),
            .date = gate_.loop.http_date(),
            .hsts_field = hsts_field(),
            .extra_fields = s_.extra_fields,
            .keep_alive = reusable()};
        status_ = answer.status;
        decision_ = "redirect";
        const error_code ec = co_await client_.redirect(answer);
        ending_ = answer.keep_alive ? ending::keep_alive : ending::close_after_draining;
        co_return ec ? client_lost(ec) : failure{};
    }

    // --- forward: attempts until one gives a response ---

    net::task<failure> forward() {
        stage_ = stage::forward;
        if (gate_.holds.any()) {
            const failure f = co_await wait_while_held();
            if (f) co_return f;
        }
        decision_ = "forward";
        under_way_.enter(gate_.holds, *binding_->effective);
        live_.emplace(*binding_->effective);
        if (path_and_query_ == "*") {
            s_.target = path_and_query_;
        } else if (!tenant::rewrite_target(*route_->route, path_and_query_, s_.target)) {
            co_return refused(problem::bad_request, "The target leaves the part of the application it may reach.");
        }
        body_is_whole_ = client_.whole_body(whole_body_, replayable_body_bytes);
        up_.begin(*binding_->effective, route_->route, directory_generation_);
        down_.begin(*binding_->effective, route_->route, directory_generation_);
        if (up_.limited() && body_is_whole_ && !whole_body_.empty()) {
            client_.watch_gone(&exchange::on_client_gone, this);
            co_await up_.pass(whole_body_.size());
            if (ended_ || client_.gone()) co_return client_lost(errc::client_gone);
        }
        if (route_->retry_credit < credit_limit) ++route_->retry_credit;
        failure last;
        for (;;) {
            const upstream::endpoint* chosen = choose(last.retry);
            if (!chosen && attempts_ > 0) co_return last;
            if (!chosen) co_return refused(problem::no_endpoint, "No backend of this tenant can take the request.");
            if (attempts_ > 0) {
                route_->retry_credit -= credit_a_retry;
                gate_.counters.retries.add();
            }
            endpoint_ = chosen;
            ++attempts_;
            last = co_await attempt(last.retry == retry::reused_closed ? upstream_choice::fresh : upstream_choice::any);
            if (!last) co_return last;
            const retry_facts facts{.attempts = attempts_,
                                    .body_replayable = body_is_whole_ || !body_begun_,
                                    .response_begun = response_begun_,
                                    .has_body = request_.body != http::body_kind::none,
                                    .credit = route_->retry_credit,
                                    .method = request_.method};
            if (!may_retry(last, facts)) co_return last;
        }
    }

    // The tenant moves to another pool: nothing is sent until it has, or has stayed; then everything is looked
    // up anew, for it may lead elsewhere now. It is bounded by the hold from here on: charged to `concurrency`,
    // those that wait would have others refused for the move's sake.
    net::task<failure> wait_while_held() {
        client_.watch_gone(&exchange::on_client_gone, this);
        while (hold* h = gate_.holds.of(*binding_->effective)) {
            const std::int64_t began_ns = gate_.loop.now_ns();
            if (h->is_full()) {
                failure f = refused(problem::tenant_maintenance, "This tenant is being moved, and too many requests wait for that.");
                f.retry_after_s = (h->until_ns() - began_ns) / 1'000'000'000 + 1;
                co_return f;
            }
            leave_admission();
            co_await held_.wait(*h);
            queued_ns_ += gate_.loop.now_ns() - began_ns;
            if (ended_ || client_.gone()) co_return client_lost(errc::client_gone);
            const failure f = co_await bind_anew();
            if (f) co_return f;
        }
        client_.watch_gone(nullptr, nullptr);
        stage_ = stage::forward;
        co_return failure{};
    }

    net::task<failure> bind_anew() {
        if (!admitted_by_) admitted_by_ = who_.kept();
        bound_before_ = who_.kept();
        route_ = nullptr;
        failure f = resolve(false);
        if (load_host_.size() + load_tenant_.size() > 0) {
            co_await load();
            if (loaded_->answer == tenant::loader::answer::done) f = resolve(true);
        }
        if (!f) f = guard();
        if (!f) f = route();
        co_return f;
    }

    // Whoever has just closed a kept connection may be about to end, and then takes a new one into the
    // grave: another endpoint is asked first, but where the choice is by key, as that binds a session, and
    // never outside the tenant's region for that alone.
    const upstream::endpoint* choose(retry after) {
        const bool sticky = route_->pool && route_->pool->spec.balance == tenant::balance::hash;
        if (after == retry::reused_closed && !sticky) {
            tried_endpoints others = tried_;
            others.add(*endpoint_);
            const upstream::endpoint* other = choose_among(others);
            if (other && (is_preferred(*route_, *other) || !is_preferred(*route_, *endpoint_))) return other;
        }
        return choose_among(tried_);
    }

    const upstream::endpoint* choose_among(const tried_endpoints& tried) {
        return choose_endpoint(*route_, tried, choice_key(), gate_.random(), gate_.loop.now_ns());
    }

    // After a kept connection was found closed, others kept with it may be too: then only a new one will do.
    enum class upstream_choice : std::uint8_t { any, fresh };

    net::task<failure> attempt(upstream_choice choice) {
        // Decided once more where it matters: whatever made the lists, a strict tenant stays in its region.
        if (!may_use(*binding_->effective, *endpoint_)) co_return refused(problem::no_endpoint, "No backend in this tenant's region.");
        in_flight_guard in_flight(*endpoint_->state);

        client_.watch_gone(&exchange::on_client_gone, this);
        write_request(s_.upstream_out, upstream_host(route_->pool->spec, *endpoint_));
        if (choice == upstream_choice::any) {
            co_await gate_.loop.after_events();   // the end of a kept connection may be among them
            if (ended_) co_return client_lost(errc::client_gone);
            lease_ = gate_.upstreams.take_idle(*route_->pool, *endpoint_);
        }
        if (!lease_) {
            const std::int64_t before = gate_.loop.now_ns();
            upstream::connections::opened opened =
                co_await gate_.upstreams.open(*route_->pool, *endpoint_, party_of(*binding_->effective),
                                              before + route_->timeouts.connect, opening_);
            queued_ns_ += opened.queued_ns;
            connect_ns_ += gate_.loop.now_ns() - before - opened.queued_ns;
            if (ended_ || client_.gone()) co_return client_lost(errc::client_gone);
            if (opened.ec) {
                tried_.add(*endpoint_);
                if (opened.full) {
                    co_return failure{.what = problem::overloaded,
                                      .retry = retry::nothing_sent,
                                      .detail = "Every backend is at its connection limit."};
                }
                if (is_own_want(opened.ec)) {
                    co_return failure{.what = problem::overloaded,
                                      .retry = retry::nothing_sent,
                                      .detail = "The gateway has no connection left."};
                }
                upstream::note_failure(*endpoint_->state, gate_.loop.now_ns());
                co_return upstream_lost(opened.ec, "The backend could not be reached.", retry::nothing_sent);
            }
            lease_ = std::move(opened.lease);
        }
        if (client_.gone()) co_return client_lost(errc::client_gone);
        if (lease_.reused() && lease_.stream().stirred()) {   // handed on, and ended on the way
            lease_.discard();
            co_return upstream_lost(errc::end_of_stream, "The backend closed the connection.", retry::nothing_sent);
        }
        upload sender(client_, lease_.stream(), up_, request_.body == http::body_kind::chunked,
                      {.client_idle_ns = route_->timeouts.request_body_idle,
                       .upstream_idle_ns = route_->timeouts.upstream_body_idle,
                       .max_body_bytes = route_->route->max_body_bytes},
                      *live_);
        const std::uint64_t read_before = lease_.stream().bytes_read(), written_before = lease_.stream().bytes_written();
        failure f = co_await converse(sender);
        client_.watch_gone(nullptr, nullptr);
        body_sent_ns_ = sender.last_progress_ns();
        // A body that was announced and not sent is still owed: the next request must not be taken for it.
        const bool uploaded = request_.body == http::body_kind::none || body_is_whole_ || sender.complete();
        if (sender.running()) co_await sender.stop();
        gate_.counters.upstream_bytes_in.add(lease_.stream().bytes_read() - read_before);
        gate_.counters.upstream_bytes_out.add(lease_.stream().bytes_written() - written_before);
        // What the client did to its own request is not the upstream's failure.
        if (sender.outcome() && (f || !response_begun_)) {
            f = sender.outcome();
            f.silent = f.silent || response_begun_;
        }
        if (!f && uploaded && upstream_reusable_) lease_.keep();
        lease_.discard();
        if (!f) upstream::note_success(*endpoint_->state, gate_.loop.now_ns());
        if (f.side == side::upstream && f.retry != retry::reused_closed) {
            upstream::note_failure(*endpoint_->state, gate_.loop.now_ns());
        }
        if (f.retry == retry::reset) tried_.add(*endpoint_);
        co_return f;
    }

    // One attempt's talk with the upstream: request, response, both bodies.
    net::task<failure> converse(upload& sender) {
        const bool reused = lease_.reused();
        net::stream& up = lease_.stream();
        const bool has_body = request_.body != http::body_kind::none;
        const std::string_view with_head = has_body && body_is_whole_ ? whole_body_ : std::string_view{};
        const net::io_result sent =
            co_await up.write(s_.upstream_out, with_head, {}, gate_.loop.now_ns() + route_->timeouts.upstream_body_idle);
        if (sent.ec && sent.ec == errc::client_gone) co_return client_lost(sent.ec);
        if (sent.ec) {
            co_return upstream_lost(sent.ec, "The backend closed the connection.", closed_before_answer(reused, sent.ec));
        }
        if (ended_) co_return client_lost(errc::client_gone);
        const bool separate_body = has_body && !body_is_whole_;
        if (separate_body && !request_.expect_continue) begin_upload(sender);
        const failure f = co_await receive_head(sender, separate_body && request_.expect_continue, reused);
        if (f) co_return f;
        if (response_.status == 101) co_return co_await tunnel();
        co_return co_await relay();
    }

    void begin_upload(upload& sender) {
        body_begun_ = true;
        sender.start();
    }

    void write_request(std::string& out, std::string_view host) {
        out.clear();
        if (trace_ == trace::none) {
            gate_.write_traceparent(traceparent_);
            trace_ = trace::begun;
        }
        const client_facts& client = client_.facts();
        http::write_upstream_request(
            out, request_,
            {.target = s_.target,
             .host = host,
             .client_ip = client.ip_text,
             .scheme = client.tls ? "https" : "http",
             .original_host = request_.authority,
             .listener_port = client.listener_port,
             .client_is_trusted = client.trusted,
             .context_prefix = gate_.settings().context_prefix,
             .context_fields = binding_->effective->context_fields,
             .via = gate_.settings().via,
             .request_id = request_id(),
             .traceparent = {traceparent_, sizeof traceparent_},
             .continues_trace = trace_ == trace::continued,
             .edits = &route_->route->spec.request_fields,
             .upgrade = request_.upgrade_websocket});
    }

    std::string_view upstream_host(const tenant::pool& pool, const upstream::endpoint& e) const {
        if (pool.host == "client") return request_.authority;
        return pool.host == "endpoint" ? std::string_view(e.authority) : std::string_view(pool.host);
    }

    // Reads until a final head is there; passes interim ones on.
    net::task<failure> receive_head(upload& sender, bool awaits_continue, bool reused) {
        net::stream& up = lease_.stream();
        net::buffer& in = s_.upstream_in;
        in.clear();
        in.reserve(net::buffer_pool::small_bytes);
        s_.response_scan.reset();
        response_.clear();
        std::uint64_t received = 0;
        std::int64_t since = gate_.loop.now_ns();
        asked_ns_ = since;
        for (int interim = 0; interim <= interim_limit;) {
            if (!in.empty()) {
                const http::parse_outcome parsed =
                    http::parse_response(in.view(), s_.response_scan, gate_.settings().response_limits,
                                         request_.is_head, request_.upgrade_websocket, response_);
                if (parsed.what == http::parse_outcome::kind::refused) {
                    co_return upstream_lost(errc::bad_message, "The backend's answer is not valid HTTP.");
                }
                if (parsed.what == http::parse_outcome::kind::complete) {
                    head_bytes_ = parsed.consumed;
                    http::apply_connection(response_);
                    if (response_.status >= 200 || response_.status == 101) {
                        if (first_byte_ns_ == 0) first_byte_ns_ = gate_.loop.now_ns();
                        co_return failure{};
                    }
                    const error_code ec = co_await pass_interim(awaits_continue);
                    if (ec) co_return client_lost(ec);
                    if (awaits_continue && response_.status == 100) {
                        awaits_continue = false;
                        begin_upload(sender);
                    }
                    in.consume(head_bytes_);
                    in.compact();
                    s_.response_scan.reset();
                    response_.clear();
                    ++interim;
                    continue;
                }
            }
            if (sender.outcome()) co_return sender.outcome();
            if (ended_) co_return client_lost(errc::client_gone);
            if (in.free_bytes() == 0) in.reserve(in.capacity() * 4);
            const std::int64_t patience = awaits_continue ? continue_patience_ns : route_->timeouts.upstream_head;
            const net::io_result got = co_await up.read_some(in.free_space(), in.free_bytes(), since + patience);
            if (!got.ec) {
                in.commit(got.bytes);
                received += got.bytes;
                continue;
            }
            if (sender.outcome()) co_return sender.outcome();
            if (got.ec == errc::timeout && awaits_continue) {
                // The application does not speak 100-continue; it has the head, so we speak for it.
                awaits_continue = false;
                since = gate_.loop.now_ns();
                const error_code ec = co_await client_.send_continue();
                if (ec) co_return client_lost(ec);
                begin_upload(sender);
                continue;
            }
            if (got.ec == errc::timeout && sender.waits_for_client()) {
                since = gate_.loop.now_ns();   // the client has deadlines of its own
                continue;
            }
            if (got.ec == errc::timeout && sender.last_progress_ns() > since) {
                since = sender.last_progress_ns();   // the clock starts when the request has been sent
                continue;
            }
            if (got.ec == errc::client_gone) co_return client_lost(got.ec);
            if (got.ec == errc::timeout) co_return upstream_lost(got.ec, "The backend did not answer in time.");
            co_return upstream_lost(got.ec,
                                    "The backend closed the connection before it answered.",
                                    received == 0 ? closed_before_answer(reused, got.ec) : retry::never);
        }
        co_return upstream_lost(errc::too_large, "The backend sent too many interim responses.");
    }

    net::task<error_code> pass_interim(bool awaits_continue) {
        if (response_.status == 100) {
            // One that nobody asked for is of no use to the client.
            if (!awaits_continue) co_return error_code{};
            co_return co_await client_.send_continue();
        }
        if (request_.minor_version == 0) co_return error_code{};
        co_return co_await client_.send_interim(response_);
    }

    // --- answer: the upstream's response, as it comes ---

    net::task<failure> relay() {
        stage_ = stage::answer;
        status_ = response_.status;
        net::buffer& in = s_.upstream_in;
        in.skip(head_bytes_);   // the head's views stay where they are
        upstream_body body(lease_.stream(), in, response_, route_->timeouts.upstream_body_idle);
        live_entry event_stream;
        if (is_event_stream()) {
            under_way_.leave();   // it has no end to wait for
            if (!gate_.live.add(event_stream, binding_->effective->self->id, gate_.utc_now(), &exchange::on_tenant_closed, this)) {
                co_return client_lost(errc::cancelled);
            }
        }
        const upstream_body::piece first = co_await body.next(upstream_body::wait::no);
        if (first.f) co_return first.f;
        if (down_.limited() && !first.data.empty()) {
            co_await down_.pass(first.data.size());
            if (ended_) co_return client_lost(errc::client_gone);
        }
        http::response_forwarding f = response_forwarding();
        response_begun_ = true;
        error_code ec = co_await client_.respond(response_, f, first.data, first.last);
        if (gate_.shadows.any() && !is_event_stream()) mirror();   // a copy of one would have no end
        ending_ = f.keep_alive && f.framing != http::body_kind::until_close ? ending::keep_alive : ending::close_after_draining;
        bool last = first.last;
        net::quantum quantum(gate_.loop, down_.party());
        quantum.moved(first.data.size());
        while (!ec && !last) {
            if (ended_) co_return client_lost(errc::client_gone);
            const upstream_body::piece piece = co_await body.next(upstream_body::wait::yes);
            if (quantum.over()) co_await quantum.next();
            if (ended_) co_return client_lost(errc::client_gone);
            if (piece.f) {
                failure broken = piece.f;
                broken.silent = true;   // the client has part of the response; closing tells it so
                co_return broken;
            }
            down_.look();
            if (down_.limited() && !piece.data.empty()) {
                co_await down_.pass(piece.data.size());
                if (ended_) co_return client_lost(errc::client_gone);
            }
            last = piece.last;
            ec = co_await client_.send_body(piece.data, last);
            live_->down(piece.data.size());
            quantum.moved(piece.data.size());
        }
        if (ec) co_return client_lost(ec);
        upstream_reusable_ = response_.keep_alive && in.empty() && response_.body != http::body_kind::until_close;
        co_return failure{};
    }

    // The same to the pool that the tenant may move to. The client's answer has begun and waits for none of it.
    void mirror() {
        const bool safe = request_.method == "GET" || request_.method == "HEAD";
        if (!safe || request_.body != http::body_kind::none) return;
        const tenant::effective& e = *binding_->effective;
        const shadow_list::shadow_ptr* of = gate_.shadows.chosen(e, route_->pool->spec.name, gate_.random());
        if (!of) return;
        bound_route to;
        to.route = route_->route;
        const auto pool = gate_.bindings.pools().find((*of)->terms.to);
        if (pool == gate_.bindings.pools().end()) return;
        to.pool = pool->second;
        to.cursor = gate_.random() >> 32;
        bind_endpoints(to, e);
        const upstream::endpoint* chosen = choose_endpoint(to, {}, choice_key(), gate_.random(), gate_.loop.now_ns());
        if (!chosen || !may_use(e, *chosen)) return;
        shadow_list::copy c{.of = *of,
                            .pool = to.pool,
                            .endpoint = chosen,
                            .party = party_of(e),
                            .timeouts = route_->timeouts,
                            .limits = gate_.settings().response_limits,
                            .is_head = request_.is_head,
                            .status = status_,
                            .first_byte_ns = first_byte_ns_ - began_ns_ - queued_ns_};
        write_request(c.head, upstream_host(to.pool->spec, *chosen));
        c.head.insert(c.head.size() - 2, "X-Gatehouse-Shadow: 1\r\n");
        gate_.shadows.send(std::move(c));
    }

    http::response_forwarding response_forwarding() {
        const http::body_kind framing = http::client_framing(response_, request_.is_head, request_.minor_version);
        write_extra_fields();
        return {.date = gate_.loop.http_date(),
                .extra_fields = s_.extra_fields,
                .edits = &route_->route->spec.response_fields,
                .drop_hsts = !hsts_field().empty(),
                .framing = framing,
                .client_is_10 = request_.minor_version == 0,
                .keep_alive = reusable()};
    }

    bool is_event_stream() const {
        const http::field* type = response_.find(http::known::content_type);
        return type && iequals(type->value.substr(0, 17), "text/event-stream");
    }

    // --- answer: a tunnel ---

    net::task<failure> tunnel() {
        stage_ = stage::answer;
        status_ = 101;
        decision_ = "tunnel";
        s_.upstream_in.skip(head_bytes_);
        write_extra_fields();
        response_begun_ = true;
        const http::response_forwarding f{.date = gate_.loop.http_date(),
                                          .extra_fields = s_.extra_fields,
                                          .edits = &route_->route->spec.response_fields,
                                          .upgrade = true};
        const error_code ec = co_await client_.respond(response_, f, {}, true);
        if (ec) co_return client_lost(ec);
        client_.watch_gone(nullptr, nullptr);
        leave_admission();   // a tunnel counts among connections alone
        under_way_.leave();
        gate_.counters.tunnels_opened.add();
        gate_.counters.tunnels_active.add();
        std::string_view from_client;
        net::stream* stream = client_.take_over(from_client);
        const tunnel_ends ends{.client = *stream,
                               .upstream = lease_.stream(),
                               .from_client = from_client,
                               .from_upstream = s_.upstream_in.view(),
                               .idle_ns = route_->timeouts.tunnel_idle,
                                .up = up_,
                                .down = down_,
                                .tenant_id = binding_->effective->self->id,
                                .live = &*live_};
        tunnel_bytes_ = co_await run_tunnel(gate_, ends);
        gate_.counters.tunnels_active.sub();
        ending_ = ending::tunnel_ended;
        co_return failure{};
    }

    // --- answer: a problem of ours ---

    net::task<void> answer(const failure& f) {
        ending_ = response_begun_ ? ending::reset : ending::close;
        if (f.silent || response_begun_) co_return;
        const problem_row& row = gatehouse::row(f.what);
        status_ = row.status;
        const tenant::effective* e = binding_ ? binding_->effective.get() : nullptr;
        if (f.what == problem::wrong_region && gate_.settings().wrong_region == config::wrong_region::redirect) {
            if (write_region_location(s_.target, request_, *e)) {
                status_ = 307;
                const http::own_redirect to{.status = 307, .location = s_.target, .request_id = request_id(), .date = gate_.loop.http_date(),
                                            .extra_fields = {}, .keep_alive = reusable()};
                const error_code ec = co_await client_.redirect(to);
                ending_ = to.keep_alive && !ec ? ending::keep_alive : ending::close_after_draining;
                co_return;
            }
        }
        write_refusal_fields(s_.extra_fields, f.what, admission_, gate_.settings(), e);
        const http::field* accept = request_.find(http::known::accept);
        const bool page = accept && http::prefers_html(accept->value);
        const http::own_answer a{.problem = f.what,
                                 .detail = f.detail.empty() ? refusal_detail(s_.host_out, admission_) : f.detail,
                                 .message = f.message,
                                 .request_id = request_id(),
                                 .date = gate_.loop.http_date(),
                                 .extra_fields = s_.extra_fields,
                                 .retry_after_s = retry_after(f),
                                 .back_unix_s = f.back_unix_s,
                                 .prefers_html = page,
                                 .head_request = request_.is_head,
                                 .keep_alive = !row.closes && !f.closes && reusable(),
                                 .branding = e ? &e->branding : &gate_.settings().branding,
                                 .tenant_name = e ? std::string_view(e->own.name) : std::string_view{},
                                 .language = page ? &page_language(request_, gate_.settings(), e) : nullptr,
                                 .zone = page && e ? config::find_time_zone(e->locale.time_zone) : nullptr,
                                 .hsts_field = hsts_field()};
        const error_code ec = co_await client_.answer(a);
        if (!ec) ending_ = a.keep_alive ? ending::keep_alive : ending::close_after_draining;
    }

    std::int64_t retry_after(const failure& f) {
        if (f.retry_after_s > 0) return spread_seconds(f.retry_after_s, gate_.random());
        return gatehouse::row(f.what).retry_after ? spread_seconds(default_retry_after_s, gate_.random()) : 0;
    }

    // --- settle: release, count, log; once ---

    void settle(const failure& f) {
        if (!f) stage_ = stage::settle;
        under_way_.leave();
        leave_admission();
        worker_counters& c = gate_.counters;
        c.answered(status_);
        if (f.what != problem::none) c.refused(f.what);
        c.end_in(stage_);
        const std::int64_t now = gate_.loop.now_ns();
        if (status_ != 101) c.request_time.observe_us(elapsed_us(now));
        if (attempts_ > 0) c.queue_time.observe_us(static_cast<std::uint64_t>(queued_ns_ / 1000));
        if (first_byte_ns_ != 0 && first_byte_ns_ >= asked_ns_) c.upstream_time.observe_us(static_cast<std::uint64_t>((first_byte_ns_ - asked_ns_) / 1000));
        if (binding_) {
            count_for_tenant(*binding_->effective, f);
            count_for_plan(*binding_->effective, f, now);
        }
        if (access_record* r = gate_.log->enabled() ? gate_.log->begin() : nullptr) {
            fill(*r, f);
            gate_.log->commit();
        }
    }

    // Requests last: usage_account::note() says why.
    void count_for_tenant(const tenant::effective& e, const failure& f) {
        constexpr auto relaxed = std::memory_order_relaxed;
        tenant::counters& c = e.self->state->counters;
        const std::uint64_t in = client_.bytes_in() + tunnel_bytes_.up, out = client_.bytes_out() + tunnel_bytes_.down;
        c.bytes_in.fetch_add(live_ ? live_->up_left(in) : in, relaxed);
        c.bytes_out.fetch_add(live_ ? live_->down_left(out) : out, relaxed);
        if (status_ >= 100 && status_ < 600) c.status_class[status_ / 100].fetch_add(1, relaxed);
        if (f.what != problem::none && f.side == side::client) c.refused.fetch_add(1, relaxed);
        if (f.side == side::upstream && f.ec) c.upstream_errors.fetch_add(1, relaxed);
        if (f.what != problem::none) e.usage->refused(f.what, response_begun_ ? std::uint16_t{0} : status_);
        c.requests.fetch_add(1);
        e.usage->note();
    }

    void count_for_plan(const tenant::effective& e, const failure& f, std::int64_t now_ns) {
        if (!e.promised) return;
        const std::int64_t answered_ns = first_byte_ns_ != 0 ? first_byte_ns_ : now_ns;
        e.promised->note(gate_.number, judge_promise({.stage = stage_,
                                                      .status = status_,
                                                      .waited_ns = answered_ns - std::max(began_ns_, body_sent_ns_),
                                                      .latency_ns = e.slo_latency_ns}, f));
    }

    // The binding of who may not enter is not kept, so it is counted at once.
    void count_refused_connection(const tenant::effective& e) {
        tenant::counters& c = e.self->state->counters;
        c.refused.fetch_add(1, std::memory_order_relaxed);
        c.status_class[4].fetch_add(1, std::memory_order_relaxed);
        e.usage->refused_connection();
        c.requests.fetch_add(1);
        e.usage->note();
    }

    void note_in_flight() {
        const tenant::effective& e = *binding_->effective;
        e.usage->in_flight(e.self->state->cells.concurrency.value());
    }

    void fill(access_record& r, const failure& f) const {
        const client_facts& client = client_.facts();
        const std::int64_t now = gate_.loop.now_ns();
        r.time_us = gate_.loop.unix_microseconds() - (now - began_ns_) / 1000;
        r.bytes_in = client_.bytes_in() + tunnel_bytes_.up;
        r.bytes_out = client_.bytes_out() + tunnel_bytes_.down;
        r.handshake_us = client.handshake_us;
        r.queue_us = static_cast<std::uint32_t>(queued_ns_ / 1000);
        r.connect_us = static_cast<std::uint32_t>(connect_ns_ / 1000);
        r.first_byte_us = first_byte_ns_ == 0 ? 0 : static_cast<std::uint32_t>((first_byte_ns_ - began_ns_) / 1000);
        r.total_us = elapsed_us(now);
        r.status = status_;
        r.problem = f.what;
        r.stage = stage_;
        r.attempts = attempts_;
        r.tls_minor = client.tls_minor;
        r.resumed = client.resumed;
        r.request_id.set(request_id());
        if (trace_ != trace::none) r.trace_id.set(http::trace_id(traceparent_));
        if (binding_) {
            r.tenant.set(binding_->effective->self->id);
            r.parent.set(binding_->effective->own.parent);
            r.region.set(binding_->effective->region);
        }
        if (route_) r.route.set(route_->route->spec.path);
        if (endpoint_) r.upstream.set(endpoint_->text);
        r.decision.set(f.what == problem::none ? std::string_view(decision_) : std::string_view("refuse"));
        r.method.set(request_.method);
        std::array<char, 48> text;
        const bool guarded = !client_text_.empty();
        const ip_address* ip = guarded ? &guard_input_.client : &client.ip;
        r.client.set(logged(gate_.settings().logged_client, client.ip_known ? ip : nullptr, guarded ? client_text_ : client.ip_text, text));
        r.host.set(request_.host);
        r.set_path(request_.path_and_query);
    }

    // --- small things ---

    void leave_admission() {
        limit::release(admitted_);
        admitted_ = {};
    }

    std::uint64_t elapsed_us(std::int64_t now_ns) const { return static_cast<std::uint64_t>((now_ns - began_ns_) / 1000); }
    std::string_view request_id() const { return {request_id_, sizeof request_id_}; }
    std::string_view hsts_field() const {
        return client_.facts().tls && binding_ ? std::string_view(binding_->effective->hsts_field) : std::string_view{};
    }
    // The connection can carry another request: nobody asked for its end, and no long rest of a body is
    // in the way, nor one that the client may not send at all after this answer (RFC 9110 10.1.1).
    bool reusable() const {
        const std::uint64_t left = client_.body_left();
        const bool may_never_come = request_.expect_continue && left > 0;
        return request_.keep_alive && !gate_.draining && !may_never_come && left <= drained_body_bytes;
    }
    void write_extra_fields() {
        proxy::write_extra_fields(s_.extra_fields, request_id(), hsts_field(), gate_.settings(), admission_);
    }
    std::uint64_t choice_key() const { return proxy::choice_key(route_->pool ? &route_->pool->spec : nullptr, request_, client_text_); }

    static void on_client_gone(void* context) {
        auto& self = *static_cast<exchange*>(context);
        self.ended_ = true;
        self.held_.cancel();
        self.opening_.cancel(errc::client_gone);
        self.up_.cancel();
        self.down_.cancel();
        if (self.lease_) self.lease_.stream().cancel(errc::client_gone);
    }
    static void on_tenant_closed(void* context) {
        on_client_gone(context);
        static_cast<exchange*>(context)->client_.cancel(errc::cancelled);
    }

    static constexpr int interim_limit = 16;
    static constexpr std::int64_t continue_patience_ns = 1'000'000'000;
    static constexpr std::uint64_t drained_body_bytes = 64 * 1024;
    static constexpr std::int64_t default_retry_after_s = 5;

    gate& gate_;
    client_side& client_;
    session_tenant& who_;
    scratch& s_;
    http::request_head& request_;
    http::response_head& response_;

    std::uint64_t directory_generation_ = 0;   // when the tenant was looked up
    const binding* binding_ = nullptr;       // borrowed from the session
    const bound_route* route_ = nullptr;
    const upstream::endpoint* endpoint_ = nullptr;
    upstream::lease lease_;
    upstream::connections::opening opening_;
    pace up_{gate_.paces, limit::way::up}, down_{gate_.paces, limit::way::down};
    std::size_t strip_bytes_ = 0;
    std::string_view redirect_host_, path_and_query_, whole_body_, client_text_;
    std::string_view load_host_, load_tenant_;   // what has to be loaded before the tenant is known
    std::shared_ptr<loading> loaded_;
    tenant::guard_input guard_input_;
    limit::admission admission_;
    std::span<const limit::level> admitted_;   // charged until leave_admission(); empty: nothing
    // Of a request that was held: whose `admission_` is, and what binding_ still is where nothing comes of the last look.
    binding_ptr admitted_by_, bound_before_;
    held_request held_{gate_.holds};
    under_way under_way_;
    tried_endpoints tried_;
    tunnel_bytes tunnel_bytes_;
    std::optional<live_bytes> live_;   // from forward on
    const char* decision_ = "refuse";
    std::size_t head_bytes_ = 0;
    std::int64_t began_ns_ = 0, asked_ns_ = 0, body_sent_ns_ = 0, queued_ns_ = 0, connect_ns_ = 0, first_byte_ns_ = 0;
    std::uint16_t status_ = 0;
    std::uint8_t attempts_ = 0;
    stage stage_ = stage::resolve;
    ending ending_ = ending::close;
    bool ended_ = false;   // nobody waits for the response any more
    bool body_is_whole_ = false, body_begun_ = false, response_begun_ = false, upstream_reusable_ = false;
    enum class trace : std::uint8_t { none, continued, begun } trace_ = trace::none;
    char request_id_[gate::request_id_bytes];
    char traceparent_[http::traceparent_bytes];
};

}  // namespace

net::task<ending> run_exchange(gate& g, client_side& client, session_tenant& who, scratch& s) {
    exchange e(g, client, who, s);
    co_return co_await e.run();
}

}  // namespace gatehouse::proxy
