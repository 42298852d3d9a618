// Connections of the admin API: accept, read one request at a time under a deadline, answer.
// Coroutines are named functions with parameters; each holds the impl it belongs to.
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <gatehouse/admin/server.hpp>
#include <gatehouse/base/log.hpp>
#include <gatehouse/base/text.hpp>
#include <gatehouse/net/address.hpp>
#include <gatehouse/seal/digest.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <cerrno>
#include <optional>
#include <set>
#include <stdexcept>
#include <system_error>
#include <tuple>

#include "api.hpp"

namespace gatehouse::admin {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using protocol = asio::generic::stream_protocol;
using acceptor_type = asio::basic_socket_acceptor<protocol>;
using stream = beast::basic_stream<protocol>;
using asio::as_tuple;
using asio::awaitable;
using asio::use_awaitable;

constexpr std::uint32_t head_limit_bytes = 64 * 1024;
constexpr std::size_t request_id_bytes = 8;
// Archives are passed on at a MiB a second at least.
constexpr std::uint64_t least_bytes_per_s = 1024 * 1024;
constexpr auto accept_pause = std::chrono::milliseconds(100);

[[noreturn]] void fail(const std::string& address, std::string_view what, int error) {
    throw std::runtime_error(fmt::format("[admin] address {}: {}: {}", address, what,
                                         std::generic_category().message(error)));
}

// A socket file that nobody listens behind is what a killed node left.
void remove_stale(const std::string& address, const net::address& a) {
    const char* path = reinterpret_cast<const sockaddr_un*>(a.get())->sun_path;
    struct stat s {};
    if (::lstat(path, &s) != 0 || !S_ISSOCK(s.st_mode)) return;  // bind() says what is wrong
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) fail(address, "no socket", errno);
    const int answered = ::connect(fd, a.get(), a.bytes);
    const int error = answered == 0 ? 0 : errno;
    ::close(fd);
    if (error == 0 || error == EAGAIN) fail(address, "another node answers there", EADDRINUSE);
    if (error == ECONNREFUSED) ::unlink(path);
}

int listen_at(const std::string& address, const net::address& a) {
    const int fd = ::socket(a.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) fail(address, "no socket", errno);
    if (a.is_unix()) {
        ::fchmod(fd, 0600);  // the socket file takes this mode when it is bound
        remove_stale(address, a);
    } else {
        const int one = 1;
        ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    }
    if (::bind(fd, a.get(), a.bytes) != 0 || ::listen(fd, 128) != 0) {
        const int error = errno;
        ::close(fd);
        fail(address, "cannot listen", error);
    }
    return fd;
}

net::address bound_address(int fd) {
    net::address a;
    a.bytes = sizeof a.storage;
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&a.storage), &a.bytes);
    return a;
}

// "192.0.2.7"; of a Unix socket "unix:".
std::string peer_of(int fd) {
    net::address a;
    a.bytes = sizeof a.storage;
    ::getpeername(fd, reinterpret_cast<sockaddr*>(&a.storage), &a.bytes);
    const auto ip = a.ip();
    return ip ? ip->to_string() : "unix:";
}

std::chrono::seconds time_for(std::uint64_t bytes) { return std::chrono::seconds(bytes / least_bytes_per_s); }

std::string hash_of(const secret_text& token) {
    return token.empty() ? std::string() : seal::sha256(token.view());
}

bool is_local(const net::address& a) {
    const auto ip = a.ip();
    if (!ip) return true;
    static const auto v4 = parse_network("127.0.0.0/8"), v6 = parse_network("::1/128");
    return v4->contains(*ip) || v6->contains(*ip);
}

api_answer program_failed() {
    return api_problem(500, "internal-error", "The program failed",
                       "Whether it was done is not known: look before you ask again. The operator's log says more.");
}

}  // namespace

class server::impl : public std::enable_shared_from_this<impl> {
 public:
    impl(asio::io_context& control, server_options o, node_view& node);
    void start();
    void stop();
    void retire();
    void hand_over() {
        socket_file_.clear();
        retire();
    }
    int descriptor() { return acceptor_.native_handle(); }
    std::size_t changes_under_way() const { return api_->changes_under_way(); }
    bool is_idle() const { return streams_.empty(); }
    void set_token(const secret_text& token);
    const std::string& address() const { return address_; }

 private:
    struct pending_action {
        explicit pending_action(asio::io_context& c) : timer(c) {}
        asio::steady_timer timer;
        std::optional<api_answer> answer;
    };
    // Their bytes are tokens and private keys at times: no buffer of theirs is freed as it is.
    using wiping = wiping_allocator<char>;
    using body = http::basic_string_body<char, std::char_traits<char>, wiping>;
    using request = http::request<body, http::basic_fields<wiping>>;
    using response = http::response<body>;

    static awaitable<void> accept_all(std::shared_ptr<impl> self);
    static awaitable<void> serve(std::shared_ptr<impl> self, std::shared_ptr<stream> s);
    static awaitable<void> serve_requests(impl& self, stream& s);
    static std::uint64_t body_limit(const impl& self, const request& r);
    static api_answer ask(impl& self, const request& r, int fd);
    // What answers an action. Let go without an answer, it answers that the program failed: an exception on the way took it along.
    // Weak: the node may keep the callback for longer than the io_context lives.
    struct promised_answer {
        explicit promised_answer(std::weak_ptr<pending_action> w) : waiting(std::move(w)) {}
        promised_answer(const promised_answer&) = delete;
        ~promised_answer();
        void keep(api_answer a);
        std::weak_ptr<pending_action> waiting;
    };
    static void begin_action(const impl& self, const std::shared_ptr<pending_action>& pending, const api_answer& slow);
    static awaitable<api_answer> run_action(impl& self, const api_answer& slow);
    static awaitable<void> hold_back(impl& self, std::chrono::milliseconds time);
    static response to_response(const api_answer& a, const request& r, bool keep_alive);
    static response refusal(const error_code& ec);

    asio::io_context& control_;
    server_options options_;
    node_view& node_;
    acceptor_type acceptor_;
    asio::steady_timer pause_;
    std::string address_, socket_file_;
    std::shared_ptr<api> api_;   // what is under way keeps it
    std::set<std::shared_ptr<stream>> streams_;
    std::set<std::shared_ptr<pending_action>> actions_;
    bool retired_ = false;  // accepts no more
    bool stopped_ = false;  // and answers no more
};

server::impl::impl(asio::io_context& control, server_options o, node_view& node)
    : control_(control), options_(std::move(o)), node_(node), acceptor_(control), pause_(control) {
    const auto wanted = net::parse_address(options_.address);
    if (!wanted)
        throw std::runtime_error(fmt::format(
            "[admin] address {}: not an IP address with a port, nor unix:PATH", options_.address));
    const int fd = options_.socket >= 0 ? options_.socket : listen_at(options_.address, *wanted);
    const auto bound = bound_address(fd);
    if (wanted->is_unix())
        socket_file_ = reinterpret_cast<const sockaddr_un*>(wanted->get())->sun_path;
    address_ = wanted->is_unix() ? wanted->to_string() : bound.to_string();
    acceptor_.assign(protocol(bound.family(), 0), fd);
    api_ = std::make_shared<api>(node, api::options{.token_hash = hash_of(std::exchange(options_.token, {})),
                                    .open_metrics = is_local(*wanted),
                                    .metrics_every = options_.metrics_every});
}

void server::impl::set_token(const secret_text& token) {
    if (token.empty()) return;
    node_.memory().token_hash = hash_of(token);
    api_->set_token_hash(node_.memory().token_hash);
}

void server::impl::start() {
    if (api_->token_hash().empty()) api_->set_token_hash(node_.memory().token_hash);
    node_.memory().token_hash = api_->token_hash();
    api_->look_at_tenants();
    asio::co_spawn(control_, accept_all(shared_from_this()), asio::detached);
}

void server::impl::retire() {
    if (std::exchange(retired_, true)) return;
    error_code ignored;
    acceptor_.close(ignored);
    pause_.cancel();
    if (!socket_file_.empty()) ::unlink(socket_file_.c_str());
}

void server::impl::stop() {
    if (std::exchange(stopped_, true)) return;
    retire();
    api_->stop();
    for (const auto& s : streams_)
        s->close();
    for (const auto& a : actions_)
        a->timer.cancel();
}

awaitable<void> server::impl::accept_all(std::shared_ptr<impl> self) {
    while (!self->retired_) {
        auto [ec, socket] = co_await self->acceptor_.async_accept(as_tuple(use_awaitable));
        if (self->retired_) co_return;
        if (ec) {
            static log::limiter often(1);
            std::uint64_t suppressed = 0;
            if (often.allow(&suppressed)) log::warn("admin: accept: {}", ec.message());
            self->pause_.expires_after(accept_pause);
            co_await self->pause_.async_wait(as_tuple(use_awaitable));
            continue;
        }
        if (self->streams_.size() >= self->options_.connections) {
            constexpr std::string_view busy =
                "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: "
                "0\r\n\r\n";
            [[maybe_unused]] const auto sent = ::send(socket.native_handle(), busy.data(),
                                                      busy.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
            continue;
        }
        auto s = std::make_shared<stream>(std::move(socket));
        self->streams_.insert(s);
        asio::co_spawn(self->control_, serve(self, s), asio::detached);
    }
}

awaitable<void> server::impl::serve(std::shared_ptr<impl> self, std::shared_ptr<stream> s) {
    try {
        co_await serve_requests(*self, *s);
    } catch (const std::exception& e) {
        log::error("admin: {}", e.what());
    }
    self->streams_.erase(s);
    error_code ignored;
    s->socket().shutdown(asio::socket_base::shutdown_both, ignored);
    s->close();
}

awaitable<void> server::impl::serve_requests(impl& self, stream& s) {
    beast::basic_flat_buffer<wiping> buffer(2 * head_limit_bytes);
    for (bool keep_alive = true; keep_alive && !self.stopped_;) {
        http::request_parser<body, wiping> parser;
        parser.header_limit(head_limit_bytes);
        s.expires_after(self.options_.deadline);
        auto [ec, bytes] = co_await http::async_read_header(s, buffer, parser, as_tuple(use_awaitable));
        if (!ec && !parser.is_done()) {
            const auto limit = body_limit(self, parser.get());
            parser.body_limit(limit);
            s.expires_after(self.options_.deadline + time_for(std::min(parser.content_length().value_or(limit), limit)));
            std::tie(ec, bytes) = co_await http::async_read(s, buffer, parser, as_tuple(use_awaitable));
        }
        response out;
        std::shared_ptr<void> turn;
        if (ec) {
            if (bytes == 0 || ec == beast::error::timeout || self.stopped_) co_return;
            if (ec.category() != make_error_code(http::error::bad_method).category()) co_return;
            out = refusal(ec);
            keep_alive = false;
        } else {
            const auto& r = parser.get();
            keep_alive = r.keep_alive();
            auto answer = ask(self, r, s.socket().native_handle());
            if (answer.action) answer = co_await run_action(self, answer);
            if (answer.held_back.count() != 0) co_await hold_back(self, answer.held_back);
            if (self.stopped_) co_return;
            keep_alive = keep_alive && !self.retired_;
            out = to_response(answer, r, keep_alive);
            turn = std::move(answer.turn);
            wipe(answer.body);
        }
        s.expires_after(self.options_.deadline + time_for(out.body().size()));
        const auto [write_ec, written] =
            co_await http::async_write(s, out, as_tuple(use_awaitable));
        if (write_ec) co_return;
    }
}

std::uint64_t server::impl::body_limit(const impl& self, const request& r) {
    const auto target = r.target(), authorization = r[http::field::authorization];
    return self.api_->body_limit({target.data(), target.size()}, {authorization.data(), authorization.size()});
}

// Each request has an id, which its answer carries and the audit log.
api_answer server::impl::ask(impl& self, const request& r, int fd) {
    const auto text = [&r](http::field f) {
        const auto v = r[f];
        return std::string_view(v.data(), v.size());
    };
    const auto method = r.method_string(), target = r.target();
    const auto key = r["Idempotency-Key"];
    const auto client = peer_of(fd), request_id = random_hex(request_id_bytes);
    api_answer answer;
    try {
        answer = self.api_->answer({.method = {method.data(), method.size()},
                                         .target = {target.data(), target.size()},
                                         .authorization = text(http::field::authorization),
                                         .if_none_match = text(http::field::if_none_match),
                                         .if_match = text(http::field::if_match),
                                         .content_type = text(http::field::content_type),
                                         .body = r.body(),
                                         .idempotency_key = {key.data(), key.size()},
                                         .client = client,
                                         .request_id = request_id});
    } catch (const std::exception& e) {
        log::error("admin: {}", e.what());
        answer = program_failed();
    }
    answer.fields.emplace_back("X-Request-Id", request_id);
    return answer;
}

void server::impl::promised_answer::keep(api_answer a) {
    const auto p = std::exchange(waiting, {}).lock();
    if (!p) return;
    p->answer = std::move(a);
    p->timer.cancel();
}

server::impl::promised_answer::~promised_answer() {
    if (!waiting.expired()) keep(program_failed());
}

void server::impl::begin_action(const impl& self, const std::shared_ptr<pending_action>& pending, const api_answer& slow) {
    const auto promise = std::make_shared<promised_answer>(pending);
    try {
        slow.action([promise, api = self.api_](api_answer a) { promise->keep(std::move(a)); });
    } catch (const std::exception& e) {
        log::error("admin: {}", e.what());
        promise->keep(program_failed());
    }
}

awaitable<api_answer> server::impl::run_action(impl& self, const api_answer& slow) {
    const auto pending = std::make_shared<pending_action>(self.control_);
    pending->timer.expires_after(self.options_.action_deadline);
    begin_action(self, pending, slow);
    if (!pending->answer) {
        self.actions_.insert(pending);
        co_await pending->timer.async_wait(as_tuple(use_awaitable));
        self.actions_.erase(pending);
    }
    if (!pending->answer) co_return slow;
    pending->answer->fields.insert(pending->answer->fields.end(), slow.fields.begin(), slow.fields.end());
    co_return std::move(*pending->answer);
}

awaitable<void> server::impl::hold_back(impl& self, std::chrono::milliseconds time) {
    const auto pending = std::make_shared<pending_action>(self.control_);
    pending->timer.expires_after(time);
    self.actions_.insert(pending);
    co_await pending->timer.async_wait(as_tuple(use_awaitable));
    self.actions_.erase(pending);
}

server::impl::response server::impl::to_response(const api_answer& a, const request& r,
                                                 bool keep_alive) {
    response out(static_cast<http::status>(a.status), r.version());
    out.set(http::field::content_type, a.content_type);
    out.set(http::field::cache_control, "no-store");
    out.set("X-Content-Type-Options", "nosniff");
    for (const auto& [name, value] : a.fields)
        out.set(name, value);
    out.keep_alive(keep_alive);
    if (a.status == 304) return out;
    out.content_length(a.body.size());
    if (r.method() != http::verb::head) out.body() = a.body;
    return out;
}

server::impl::response server::impl::refusal(const error_code& ec) {
    unsigned status = 400;
    std::string_view type = "bad-request";
    if (ec == http::error::header_limit) status = 431, type = "head-too-large";
    if (ec == http::error::buffer_overflow) status = 431, type = "head-too-large";
    if (ec == http::error::body_limit) status = 413, type = "body-too-large";
    request none;
    none.version(11);
    return to_response(api_problem(status, type, "The request is not understood", ec.message()),
                       none, false);
}

server::server(asio::io_context& control, server_options options, node_view& node)
    : impl_(std::make_shared<impl>(control, std::move(options), node)) {}

server::~server() {
    impl_->stop();
}

bool server::is_idle() const {
    return impl_->is_idle();
}

void server::start() {
    impl_->start();
}

void server::stop() {
    impl_->stop();
}

void server::retire() {
    impl_->retire();
}

void server::hand_over() {
    impl_->hand_over();
}

std::size_t server::changes_under_way() const {
    return impl_->changes_under_way();
}

int server::descriptor() const {
    return impl_->descriptor();
}

void server::set_token(const secret_text& token) {
    impl_->set_token(token);
}

std::string server::address() const {
    return impl_->address();
}

}  // namespace gatehouse::admin
