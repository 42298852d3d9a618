#include <catch2/catch.hpp>
#include <gatehouse/http/body.hpp>
#include <gatehouse/http/problem_document.hpp>

using namespace gatehouse;
using namespace gatehouse::http;

namespace {

struct answered {
    response_head head;
    std::string raw, body;
    std::string field_of(std::string_view name) const {
        for (const field& f : head.fields)
            if (f.name == name) return std::string(f.value);
        return "(none)";
    }
};

// Reads our own answer back through the gate that judges upstreams.
std::unique_ptr<answered> answer(const own_answer& a) {
    auto r = std::make_unique<answered>();
    write_problem(r->raw, a);
    head_scan scan;
    const auto o = parse_response(r->raw, scan, {}, a.head_request, false, r->head);
    REQUIRE(o.what == parse_outcome::kind::complete);
    r->body = r->raw.substr(o.consumed);
    return r;
}

bool has(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("problem documents in JSON") {
    own_answer a;
    a.problem = problem::rate_limited;
    a.detail = "too \"fast\"\n";
    a.request_id = "r1";
    a.date = "D";
    a.extra_fields = "RateLimit: x\r\n";
    a.retry_after_s = 7;
    a.keep_alive = true;
    const auto r = answer(a);
    CHECK(r->head.status == 429);
    CHECK(r->head.keep_alive);
    CHECK(r->field_of("Content-Type") == "application/problem+json");
    CHECK(r->field_of("Cache-Control") == "no-store");
    CHECK(r->field_of("Retry-After") == "7");
    CHECK(r->field_of("RateLimit") == "x");
    CHECK(r->field_of("X-Request-Id") == "r1");
    CHECK(r->field_of("Date") == "D");
    CHECK(r->head.content_length == r->body.size());
    CHECK(has(r->body, "{\"type\":\"urn:gatehouse:rate-limited\",\"title\":\""));
    CHECK(has(r->body, "\"status\":429,\"detail\":\"too \\\"fast\\\"\\n\",\"request_id\":\"r1\"}"));
}

TEST_CASE("every problem makes a whole response") {
    for (int i = 1; i <= static_cast<int>(problem::loop); ++i) {
        for (const bool html : {false, true}) {
            own_answer a;
            a.problem = static_cast<problem>(i);
            a.prefers_html = html;
            a.keep_alive = true;
            const auto r = answer(a);
            const problem_row& p = row(a.problem);
            INFO(p.type);
            CHECK(r->head.status == p.status);
            CHECK(r->head.content_length == r->body.size());
            CHECK(r->head.keep_alive == !p.closes);
            CHECK((r->field_of("Retry-After") != "(none)") == p.retry_after);
            CHECK((r->field_of("Allow") != "(none)") == (p.status == 405));
            CHECK(r->body.size() <= 8 * 1024);
        }
    }
}

TEST_CASE("the page is escaped and asks nobody else") {
    tenant::branding branding{.logo = "https://cdn.example/l.png?a=\"><script>",
                              .color = "#0a5",
                              .support = "mailto:h@a.example"};
    own_answer a;
    a.problem = problem::unknown_host;
    a.prefers_html = true;
    a.detail = "of programs alone";
    a.message = "<script>alert(1)</script>";
    a.tenant_name = "A & <B>";
    a.branding = &branding;
    const auto r = answer(a);
    CHECK(r->field_of("Content-Type") == "text/html; charset=utf-8");
    CHECK(r->field_of("Content-Security-Policy") ==
          "default-src 'none'; img-src https:; style-src 'unsafe-inline'");
    CHECK_FALSE(has(r->body, "<script"));
    CHECK(has(r->body, "&lt;script&gt;alert(1)"));
    CHECK_FALSE(has(r->body, "of programs alone"));
    CHECK(has(r->body, "A &amp; &lt;B&gt;"));
    CHECK(has(r->body, "https://cdn.example/l.png"));
    CHECK(has(r->body, "#0a5"));
    CHECK(has(r->body, "mailto:h@a.example"));
    branding = {.logo = "http://cdn.example/l.png",
                .color = "red;}body{display:none",
                .support = "javascript:alert(1)"};
    const auto refused = answer(a);
    for (const char* part : {"cdn.example", "display:none", "javascript:"})
        CHECK_FALSE(has(refused->body, part));
    branding.logo = "https://" + std::string(9000, 'a');
    CHECK(answer(a)->body.size() <= 8 * 1024);
    const std::string long_name(20000, '&');
    a.tenant_name = long_name;
    CHECK(answer(a)->body.size() <= 8 * 1024);
    // A tenant's message may be 2048 bytes, each of which may need six: then it is ours again.
    const std::string long_message(2048, '"');
    a.message = long_message;
    const auto own = answer(a);
    CHECK(own->body.size() <= 8 * 1024);
    CHECK(has(own->body, english()->page(problem::unknown_host).text));
}

TEST_CASE("the page is in a language and says when it is over") {
    own_answer a;
    a.problem = problem::tenant_maintenance;
    a.prefers_html = true;
    a.language = german().get();
    a.request_id = "r1";
    a.back_unix_s = 1'796'094'000;  // 2026-12-01 03:00
    const auto r = answer(a);
    CHECK(r->field_of("Content-Language") == "de");
    CHECK(r->field_of("Vary") == "Accept, Accept-Language");
    CHECK(has(r->body, "<html lang=\"de\">"));
    CHECK(has(r->body, "<h1>Dieser Dienst wird gerade gewartet</h1>"));
    CHECK(has(r->body, "Voraussichtlich wieder da: <bdi>2026-12-01 03:00 UTC</bdi>"));
    CHECK(has(r->body, "Anfrage <bdi>r1</bdi>"));
    const auto zone_of = [](const char* rule) {
        std::string header = "TZif2" + std::string(15, '\0') + std::string(16, '\0') + std::string("\0\0\0\1\0\0\0\4", 8);
        const std::string type(6 + 4, '\0');
        return time_zone::parse(header + type + header + type + "\n" + rule + "\n");
    };
    for (const auto& [rule, shown] : {std::pair{"CET-1CEST,M3.5.0,M10.5.0/3", "2026-12-01 04:00 UTC+01:00"}, {"<-0330>3:30", "2026-11-30 23:30 UTC-03:30"}, {"UTC0", "2026-12-01 03:00 UTC"}}) {
        const auto zone = zone_of(rule);
        REQUIRE(zone);
        a.zone = &*zone;
        CHECK(has(answer(a)->body, std::string("<bdi>") + shown + "</bdi>"));
    }
    a.zone = nullptr;
    a.message = "Um drei geht es weiter";
    CHECK(has(answer(a)->body, "<p dir=\"auto\">Um drei geht es weiter</p>"));
    // Programs read English, whatever people read, and the tenant's words.
    a.prefers_html = false;
    const auto document = answer(a);
    CHECK(document->field_of("Content-Language") == "(none)");
    CHECK(has(document->body, "This service is under maintenance"));
    CHECK(has(document->body, "\"detail\":\"Um drei geht es weiter\""));

    auto arabic = begin_language("ar");
    for (page_text& page : arabic.pages)
        page = {.title = std::string(200, '&'), .text = std::string(600, '<')};
    arabic.back = arabic.request = arabic.support = std::string(100, '"');
    const tenant::branding branding{.logo = "https://a.example/" + std::string(900, '&'),
                                    .color = "#123456",
                                    .support = "mailto:a@a.example"};
    a.prefers_html = true;
    a.branding = &branding;
    a.language = &arabic;
    a.message = {};
    const auto largest = answer(a);
    CHECK(has(largest->body, "<html lang=\"ar\" dir=\"rtl\">"));
    CHECK(largest->body.size() <= 8 * 1024);
}

TEST_CASE("which language a page is in") {
    std::vector<language_ptr> more;
    for (const char* tag : {"fr", "pt-BR"})
        more.push_back(std::make_shared<const language>(begin_language(tag)));
    const auto all = with_built_in(more);
    struct row {
        const char *accept, *preferred, *chosen;
    };
    const row rows[] = {
        {"", "", "en"},
        {"", "de", "de"},
        {"", "de-AT", "de"},
        {"", "xx", "en"},
        {"", "pt", "pt-br"},
        {"de", "fr", "de"},
        {"DE-ch", "fr", "de"},
        {"nl, sv", "fr", "fr"},
        {"nl, en;q=0.5", "fr", "en"},
        {"fr;q=0.3, en;q=0.7", "de", "en"},
        {"en, de", "fr", "en"},
        {"en;q=0.8, *;q=0.9", "fr", "fr"},
        {"en;q=0.8, *;q=0.5", "fr", "en"},
        {"en;q=0, de;q=0", "fr", "fr"},
        {"*", "de", "de"},
        {"pt-PT", "de", "pt-br"},
        {",;q=,;;=, -", "de", "de"},
        {"de;q=abc", "fr", "de"},
    };
    for (const row& x : rows) {
        INFO(x.accept << " / " << x.preferred);
        CHECK(choose_language(all, x.accept, x.preferred).tag == x.chosen);
    }
    std::string many;
    for (int i = 0; i < 31; ++i) many += "xx,";
    CHECK(choose_language(all, many + "de", "fr").tag == "de");
    CHECK(choose_language(all, many + "xx,de", "fr").tag == "fr");
    std::string deep = "de";
    while (deep.size() < 60) deep += "-a";
    CHECK(choose_language(all, deep, "fr").tag == "fr");
}

TEST_CASE("answers to HEAD, closing ones, and redirects") {
    own_answer a;
    a.problem = problem::not_found;
    a.head_request = true;
    const auto r = answer(a);
    CHECK(r->body.empty());
    CHECK(r->head.content_length > 0);
    CHECK_FALSE(r->head.keep_alive);
    a.hsts_field = "Strict-Transport-Security: max-age=9\r\n";
    CHECK(answer(a)->field_of("Strict-Transport-Security") == "max-age=9");
    a.hsts_field = "max-age=9";
    CHECK(answer(a)->field_of("Strict-Transport-Security") == "max-age=9");

    std::string out;
    write_redirect(
        out, {.status = 307, .location = "https://a.example/x", .request_id = "r", .date = "D"});
    CHECK(out ==
          "HTTP/1.1 307 Temporary Redirect\r\nLocation: https://a.example/x\r\nContent-Length: "
          "0\r\nDate: D\r\nX-Request-Id: r\r\n\r\n");
    out.clear();
    const std::string ready = "X-Request-Id: r\r\nStrict-Transport-Security: max-age=1\r\n";
    write_redirect(out, {.location = "/",
                         .request_id = "r",
                         .hsts_field = "Strict-Transport-Security: max-age=1\r\n",
                         .extra_fields = ready});
    CHECK(out == "HTTP/1.1 308 Permanent Redirect\r\nLocation: /\r\nContent-Length: 0\r\n" + ready +
                     "\r\n");
    out.clear();
    write_redirect(out, {.location = "/a\r\nEvil: 1", .keep_alive = false});
    CHECK(out ==
          "HTTP/1.1 308 Permanent Redirect\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
}

TEST_CASE("who gets a page") {
    for (const char* accept :
         {"text/html", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8",
          "TEXT/HTML", "text/*", "application/json;q=0.5, text/html", "text/html, */*",
          "text/html;level=1;q=0.9, application/json;q=0.8",
          "application/problem+json;q=0.3,text/html;q=0.301"}) {
        INFO(accept);
        CHECK(prefers_html(accept));
    }
    for (const char* accept :
         {"", "*/*", "application/json", "application/json, text/html",
          "text/html;q=0.5, application/json", "text/html;q=0", "text/html;q=0.000",
          "application/*", "text/html;q=0.2, */*;q=0.3", "image/png", "text/plain", ",,,", ";;q"}) {
        INFO(accept);
        CHECK_FALSE(prefers_html(accept));
    }
}

TEST_CASE("dates") {
    CHECK(http_date(0) == "Thu, 01 Jan 1970 00:00:00 GMT");
    CHECK(http_date(784111777) == "Sun, 06 Nov 1994 08:49:37 GMT");
    CHECK(http_date(1709210096) == "Thu, 29 Feb 2024 12:34:56 GMT");
    CHECK(http_date(253402300799) == "Fri, 31 Dec 9999 23:59:59 GMT");
    CHECK(http_date(-5) == "Thu, 01 Jan 1970 00:00:00 GMT");
}
