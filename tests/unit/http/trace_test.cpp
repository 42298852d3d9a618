// Which traceparents are continued: a table after W3C Trace Context, level 1.
#include <catch2/catch.hpp>
#include <gatehouse/http/forward.hpp>
#include <gatehouse/http/trace.hpp>
#include <string>

using namespace gatehouse;
using namespace gatehouse::http;

namespace {

const std::string trace(32, '1'), parent(16, '2');
const std::string good = "00-" + trace + "-" + parent + "-01";

// What continues these fields; empty: nothing can be continued.
std::string continued(const std::string& fields) {
    const std::string raw = "GET / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n";
    head_scan scan;
    request_head head;
    REQUIRE(parse_request(raw, scan, {}, head).what == parse_outcome::kind::complete);
    REQUIRE(apply_connection(head, "X-Tenant-"));
    char out[traceparent_bytes];
    if (!continue_trace(head, out)) return {};
    CHECK(trace_id(out) == std::string_view(out, sizeof out).substr(3, 32));
    return {out, sizeof out};
}

std::string continued_value(const std::string& value) { return continued("traceparent: " + value + "\r\n"); }

}  // namespace

TEST_CASE("a valid traceparent is continued as it is") {
    CHECK(continued_value(good) == good);
    for (const std::string flags : {"00", "02", "ff"})
        CHECK(continued_value(good.substr(0, 53) + flags) == good.substr(0, 53) + flags);
    CHECK(continued("TraceParent:   " + good + " \r\n") == good);
    CHECK(continued("").empty());
}

TEST_CASE("a later version's is continued as version 00, with the one flag that is known") {
    for (const std::string version : {"01", "cc", "fe"}) {
        const std::string later = version + good.substr(2);
        CHECK(continued_value(later) == good);
        CHECK(continued_value(later + "-what-comes-then") == good);
        CHECK(continued_value(later.substr(0, 53) + "0a") == good.substr(0, 53) + "00");
        CHECK(continued_value(later.substr(0, 53) + "ab") == good.substr(0, 53) + "01");
        CHECK(continued_value(later + "x").empty());
        CHECK(continued_value(later.substr(0, 54)).empty());
    }
}

TEST_CASE("what is not valid is not continued") {
    const std::string zeros(32, '0');
    for (const std::string& bad :
         {std::string("x"), std::string(55, '0'), std::string(55, '-'), "ff" + good.substr(2), "ff" + good.substr(2) + "-more",
          good + "0", good + "-00", good.substr(0, 54), "00-" + zeros + "-" + parent + "-01", "00-" + trace + "-" + zeros.substr(16) + "-01",
          "00-" + std::string(32, 'A') + good.substr(35), "0A" + good.substr(2), good.substr(0, 54) + "g", good.substr(0, 54) + "F",
          "00-" + trace.substr(1) + "-" + parent + "-001", "00_" + good.substr(3), "0 " + good.substr(2)}) {
        INFO(bad);
        CHECK(continued_value(bad).empty());
    }
}

TEST_CASE("two of them, or one that Connection names, are none") {
    const std::string field = "traceparent: " + good + "\r\n";
    CHECK(continued(field + field).empty());
    CHECK(continued(field + "Connection: traceparent\r\n").empty());
}
