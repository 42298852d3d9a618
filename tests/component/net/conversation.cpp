#include "conversation.hpp"

#include <array>
#include <catch2/catch.hpp>
#include <gatehouse/net/buffer.hpp>

namespace gatehouse::net::test {

static constexpr const char* site = "gate.example";
static constexpr std::array<std::size_t, 3> request_bytes{10, 5'000, 300'000};
static constexpr std::array<std::size_t, 3> answer_bytes{400'000, 1, 70'000};

tls_pair::tls_pair() {
    folder.write("ca.pem", ca.pem());
    policy.sites[site] = {.certificate = tls::test::parsed(ca.issue_for(site).pem()),
                          .tenant = "acme",
                          .tls_policy = "default",
                          .client_ca = nullptr};
    server_context =
        std::make_unique<tls::server_context>(tls::server_context::options{}, policy, keys);
    client_context = std::make_unique<tls::upstream_context>(tenant::upstream_tls{
        .ca_file = folder.file("ca.pem"), .server_name = {}, .client_cert_file = {}});
}

SSL* tls_pair::server(void* connection) {
    return server_context->make(connection);
}
SSL* tls_pair::client() const {
    return client_context->make(site);
}

namespace {

std::int64_t soon(stream& s) {
    return s.owner_loop().now_ns() + 4000 * ms;
}

task<error_code> read_exactly(stream& s, std::size_t bytes, interruption* by, bool& right) {
    buffer in(s.owner_loop().buffers());
    const std::string wanted = pattern(bytes);
    std::size_t got = 0;
    while (got < bytes) {
        in.clear();
        in.reserve(buffer_pool::small_bytes);
        if (by) by->next(s.owner_loop());
        const io_result r =
            co_await s.read_some(in.free_space(), std::min(in.free_bytes(), bytes - got), soon(s));
        if (r.ec) co_return r.ec;
        right = right && std::string_view(in.free_space(), r.bytes) ==
                             std::string_view(wanted).substr(got, r.bytes);
        got += r.bytes;
    }
    co_return error_code{};
}

task<error_code> shake(stream& s, SSL* ssl) {
    if (!ssl) co_return error_code{};
    s.start_tls(ssl);
    co_return co_await s.handshake(soon(s), nullptr, 0);
}

task<error_code> client_side(stream& s, SSL* ssl, interruption& by, bool& right) {
    by.next(s.owner_loop());
    error_code ec = co_await shake(s, ssl);
    if (ec) co_return ec;
    for (std::size_t i = 0; i < request_bytes.size(); ++i) {
        const std::string request = pattern(request_bytes[i]);
        by.next(s.owner_loop());
        const io_result sent = co_await s.write(std::string_view(request).substr(0, 5),
                                                std::string_view(request).substr(5), {}, soon(s));
        if (sent.ec) co_return sent.ec;
        ec = co_await read_exactly(s, answer_bytes[i], &by, right);
        if (ec) co_return ec;
    }
    s.shutdown_write();
    char byte = 0;
    by.next(s.owner_loop());
    const io_result end = co_await s.read_some(&byte, 1, soon(s));
    co_return end.ec == errc::end_of_stream ? error_code{} : end.ec;
}

task<error_code> server_side(stream& s, SSL* ssl, bool& right) {
    error_code ec = co_await shake(s, ssl);
    if (ec) co_return ec;
    for (std::size_t i = 0; i < request_bytes.size(); ++i) {
        ec = co_await read_exactly(s, request_bytes[i], nullptr, right);
        if (ec) co_return ec;
        const std::string answer = pattern(answer_bytes[i]);
        const io_result sent = co_await s.write(answer, soon(s));
        if (sent.ec) co_return sent.ec;
    }
    char byte = 0;
    const io_result end = co_await s.read_some(&byte, 1, soon(s));
    s.shutdown_write();
    co_return end.ec == errc::end_of_stream ? error_code{} : end.ec;
}

}  // namespace

task<void> talk_client(std::unique_ptr<stream>& s, SSL* ssl, interruption& by, talk_result& out) {
    bool right = true;
    out.client = co_await client_side(*s, ssl, by, right);
    co_await by.ended();
    CHECK(right);
    out.complete = !out.client;
    s.reset();
}

task<void> talk_server(std::unique_ptr<stream>& s, SSL* ssl, talk_result& out) {
    bool right = true;
    out.server = co_await server_side(*s, ssl, right);
    CHECK(right);
    s.reset();
}

}  // namespace gatehouse::net::test
