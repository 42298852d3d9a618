// Heads: parsing with the gate against Beast's basic_parser storing views without one, and writing
// both heads anew. Results: docs/decisions/0002-own-head-parser.md.
#include <benchmark/benchmark.h>

#include <boost/asio/impl/src.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/src.hpp>
#include <gatehouse/http/forward.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace gatehouse::http;
namespace beast = boost::beast;

const std::string browser_request =
    "GET /shop/items/4711?sort=price&page=2 HTTP/1.1\r\n"
    "Host: acme.localhost:8443\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/126.0.0.0 Safari/537.36\r\n"
    "Accept: "
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/"
    "*;q=0.8\r\n"
    "Accept-Encoding: gzip, deflate, br, zstd\r\n"
    "Accept-Language: en-GB,en-US;q=0.9,en;q=0.8,de;q=0.7\r\n"
    "Cache-Control: max-age=0\r\n"
    "Connection: keep-alive\r\n"
    "Cookie: session=4f1b0c9d2e7a4b6f8c3d5e1a9b7c2d4e; theme=dark; "
    "_ga=GA1.1.1234567890.1712345678; consent=yes\r\n"
    "Referer: https://acme.localhost:8443/shop/items?sort=price\r\n"
    "Sec-Ch-Ua: \"Not/A)Brand\";v=\"8\", \"Chromium\";v=\"126\", \"Google Chrome\";v=\"126\"\r\n"
    "Sec-Ch-Ua-Mobile: ?0\r\n"
    "Sec-Fetch-Dest: document\r\n"
    "Sec-Fetch-Mode: navigate\r\n"
    "Sec-Fetch-Site: same-origin\r\n"
    "Upgrade-Insecure-Requests: 1\r\n"
    "\r\n";
const std::string short_request = "GET / HTTP/1.1\r\nHost: acme.localhost:8080\r\n\r\n";
const std::string origin_response =
    "HTTP/1.1 200 OK\r\n"
    "Server: nginx/1.24.0\r\n"
    "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
    "Content-Type: text/html; charset=utf-8\r\n"
    "Content-Length: 1024\r\n"
    "Connection: keep-alive\r\n"
    "Cache-Control: private, max-age=0\r\n"
    "ETag: \"66a1f2b0-400\"\r\n"
    "Set-Cookie: session=4f1b0c9d2e7a4b6f8c3d5e1a9b7c2d4e; Path=/; HttpOnly; Secure; "
    "SameSite=Lax\r\n"
    "Vary: Accept-Encoding\r\n"
    "\r\n";

const std::string& request_of(const benchmark::State& state) {
    return state.range(0) == 0 ? short_request : browser_request;
}

void parse(const std::string& raw, request_head& head) {
    head_scan scan;
    const parse_outcome o = parse_request(raw, scan, {}, head);
    if (o.what != parse_outcome::kind::complete) std::abort();
}

void bm_parse_request(benchmark::State& state) {
    const std::string& raw = request_of(state);
    request_head head;
    for (auto _ : state) {
        parse(raw, head);
        benchmark::DoNotOptimize(head.fields.data());
        benchmark::ClobberMemory();
    }
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(raw.size()));
}
BENCHMARK(bm_parse_request)->Arg(0)->Arg(1);

// What the gate would have to be put on top of: views of each field, nothing judged.
class view_parser : public beast::http::basic_parser<true> {
 public:
    explicit view_parser(std::vector<std::pair<beast::string_view, beast::string_view>>& fields)
        : fields_(fields) {}

 private:
    using code = beast::error_code;
    using text = beast::string_view;
    void on_request_impl(beast::http::verb, text method, text target, int, code&) override {
        fields_.emplace_back(method, target);
    }
    void on_response_impl(int, text, int, code&) override {}
    void on_field_impl(beast::http::field, text name, text value, code&) override {
        fields_.emplace_back(name, value);
    }
    void on_header_impl(code&) override {}
    void on_body_init_impl(const boost::optional<std::uint64_t>&, code&) override {}
    std::size_t on_body_impl(text body, code&) override { return body.size(); }
    void on_chunk_header_impl(std::uint64_t, text, code&) override {}
    std::size_t on_chunk_body_impl(std::uint64_t, text body, code&) override { return body.size(); }
    void on_finish_impl(code&) override {}

    std::vector<std::pair<beast::string_view, beast::string_view>>& fields_;
};

void bm_parse_request_beast_views(benchmark::State& state) {
    const std::string& raw = request_of(state);
    std::vector<std::pair<beast::string_view, beast::string_view>> fields;
    for (auto _ : state) {
        fields.clear();
        view_parser parser(fields);
        beast::error_code ec;
        parser.put(boost::asio::buffer(raw), ec);
        if (ec || !parser.is_header_done()) std::abort();
        benchmark::DoNotOptimize(fields.data());
        benchmark::ClobberMemory();
    }
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(raw.size()));
}
BENCHMARK(bm_parse_request_beast_views)->Arg(0)->Arg(1);

void bm_parse_response(benchmark::State& state) {
    response_head head;
    for (auto _ : state) {
        head_scan scan;
        const parse_outcome o = parse_response(origin_response, scan, {}, false, false, head);
        if (o.what != parse_outcome::kind::complete) std::abort();
        benchmark::DoNotOptimize(head.fields.data());
        benchmark::ClobberMemory();
    }
}
BENCHMARK(bm_parse_response);

request_forwarding forwarding_of(const request_head& head) {
    request_forwarding f;
    f.target = head.path_and_query;
    f.host = head.authority;
    f.client_ip = "192.0.2.17";
    f.scheme = "https";
    f.original_host = head.authority;
    f.listener_port = 8443;
    f.context_prefix = "X-Tenant-";
    f.context_fields = "X-Tenant-Id: acme\r\nX-Tenant-Plan: pro\r\nX-Tenant-Region: eu-west\r\n";
    f.via = "1.1 gatehouse (0123456789abcdef)";
    f.request_id = "0af7651916cd43dd8448eb211c80319c";
    f.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    return f;
}

void bm_write_upstream_request(benchmark::State& state) {
    request_head head;
    parse(request_of(state), head);
    std::string out;
    for (auto _ : state) {
        out.clear();
        if (!apply_connection(head, "X-Tenant-") ||
            via_loops(head, "gatehouse", "0123456789abcdef"))
            std::abort();
        write_upstream_request(out, head, forwarding_of(head));
        benchmark::DoNotOptimize(out.data());
        benchmark::ClobberMemory();
    }
}
BENCHMARK(bm_write_upstream_request)->Arg(0)->Arg(1);

void bm_write_client_response(benchmark::State& state) {
    response_head head;
    head_scan scan;
    if (parse_response(origin_response, scan, {}, false, false, head).what !=
        parse_outcome::kind::complete)
        std::abort();
    response_forwarding f;
    f.date = "Sun, 06 Nov 1994 08:49:37 GMT";
    f.extra_fields = "X-Request-Id: 0af7651916cd43dd8448eb211c80319c\r\n";
    std::string out;
    for (auto _ : state) {
        out.clear();
        apply_connection(head);
        f.framing = client_framing(head, false, 1);
        write_client_response(out, head, f);
        benchmark::DoNotOptimize(out.data());
        benchmark::ClobberMemory();
    }
}
BENCHMARK(bm_write_client_response);

}  // namespace
