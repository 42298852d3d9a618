// Feeds a head to the parser in pieces, each time at a fresh place in memory, and reads what came
// of it.
#pragma once

#include <cstring>
#include <gatehouse/http/head.hpp>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse::http::test {

using kind = parse_outcome::kind;

// A copy that ends where the allocation ends, so that a sanitizer sees any byte read beyond it.
struct exact_copy {
    explicit exact_copy(std::string_view s)
        : bytes(new char[s.size() == 0 ? 1 : s.size()]), n(s.size()) {
        if (n != 0) std::memcpy(bytes.get(), s.data(), n);
    }
    std::string_view view() const { return {bytes.get(), n}; }
    std::unique_ptr<char[]> bytes;
    std::size_t n;
};

struct seen {
    kind what = kind::need_more;
    std::size_t consumed = 0;
    problem refused = problem::none;
    std::string detail;
    std::string dump;       // of the head when complete
    std::size_t given = 0;  // bytes that had been given when the outcome came
    bool same_as(const seen& o) const {
        return what == o.what && consumed == o.consumed && refused == o.refused &&
               detail == o.detail && dump == o.dump;
    }
};

inline std::string dump_fields(const std::vector<field>& fields) {
    std::string s;
    for (const field& f : fields)
        s += "[" + std::string(f.name) + "]=[" + std::string(f.value) + "]#" +
             std::to_string(static_cast<int>(f.id)) + "\n";
    return s;
}

inline std::string dump(const request_head& h) {
    return std::string(h.method) + "|" + std::string(h.raw_target) + "|" +
           std::string(h.path_and_query) + "|" + std::to_string(h.path_bytes) + "|" +
           std::string(h.authority) + "|" + std::string(h.host) + "|" + std::to_string(h.port) +
           "|" + std::to_string(h.minor_version) + "|" + std::to_string(static_cast<int>(h.body)) +
           "|" + std::to_string(h.content_length) + "|" + std::to_string(h.keep_alive) +
           std::to_string(h.expect_continue) + std::to_string(h.is_head) +
           std::to_string(h.upgrade_websocket) + "\n" + dump_fields(h.fields);
}

inline std::string dump(const response_head& h) {
    return std::to_string(h.status) + "|" + std::string(h.reason) + "|" +
           std::to_string(h.minor_version) + "|" + std::to_string(static_cast<int>(h.body)) + "|" +
           std::to_string(h.content_length) + "|" + std::to_string(h.has_content_length) +
           std::to_string(h.keep_alive) + std::to_string(h.upgrade_websocket) +
           std::to_string(h.has_date) + "\n" + dump_fields(h.fields);
}

// `parse` is (bytes, scan, head) -> parse_outcome. `cuts` are lengths to offer, growing, the last
// the whole.
template <class Head, class Parse>
seen feed(std::string_view raw, const std::vector<std::size_t>& cuts, Parse parse) {
    Head head;
    head_scan scan;
    seen s;
    std::unique_ptr<exact_copy> last;
    for (const std::size_t cut : cuts) {
        auto now = std::make_unique<exact_copy>(raw.substr(0, cut));
        last = std::move(now);  // the bytes of the call before are gone
        const parse_outcome o = parse(last->view(), scan, head);
        s = {o.what,
             o.consumed,
             o.refused,
             o.detail,
             o.what == kind::complete ? dump(head) : std::string{},
             cut};
        if (o.what != kind::need_more) break;
    }
    return s;
}

inline std::vector<std::size_t> whole(std::string_view raw) {
    return {raw.size()};
}
inline std::vector<std::size_t> byte_by_byte(std::string_view raw) {
    std::vector<std::size_t> cuts;
    for (std::size_t i = 0; i <= raw.size(); ++i)
        cuts.push_back(i);
    return cuts;
}
inline std::vector<std::size_t> random_cuts(std::string_view raw, std::mt19937& random) {
    std::vector<std::size_t> cuts;
    std::size_t at = 0;
    while (at < raw.size()) {
        at = std::min(raw.size(), at + 1 + random() % 40);
        cuts.push_back(at);
    }
    return cuts;
}

}  // namespace gatehouse::http::test
