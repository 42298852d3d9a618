#include <arpa/nameser.h>
#include <algorithm>
#include <gatehouse/base/text.hpp>
#include <gatehouse/net/txt.hpp>

namespace gatehouse::net {
namespace {

constexpr std::size_t most_records = 64;

// <character-string>s, each with its length before it.
std::string joined(const ns_rr& r) {
    std::string_view left(reinterpret_cast<const char*>(ns_rr_rdata(r)), ns_rr_rdlen(r));
    std::string out;
    while (!left.empty()) {
        const auto n = static_cast<unsigned char>(left.front());
        out += left.substr(1, n);
        left.remove_prefix(std::min<std::size_t>(1 + n, left.size()));
    }
    return out;
}

}  // namespace

txt_answer read_txt(std::string_view message, std::string_view name) {
    const txt_answer strange{.records = {}, .why = "the resolver's answer is not understood"};
    ns_msg m;
    if (message.size() > NS_MAXMSG ||
        ::ns_initparse(reinterpret_cast<const unsigned char*>(message.data()), static_cast<int>(message.size()), &m) != 0)
        return strange;
    if (ns_msg_getflag(m, ns_f_tc) != 0) return {.records = {}, .why = "the answer is cut off: leave fewer or shorter TXT records at the name"};
    txt_answer out;
    std::string owner(name);
    for (int i = 0; i < ns_msg_count(m, ns_s_an); ++i) {
        ns_rr r;
        if (::ns_parserr(&m, ns_s_an, i, &r) != 0) return strange;
        if (ns_rr_class(r) != ns_c_in || !iequals(ns_rr_name(r), owner)) continue;
        if (ns_rr_type(r) == ns_t_txt && out.records.size() < most_records) out.records.push_back(joined(r));
        if (ns_rr_type(r) != ns_t_cname) continue;
        char target[NS_MAXDNAME];
        if (::ns_name_uncompress(ns_msg_base(m), ns_msg_end(m), ns_rr_rdata(r), target, sizeof target) < 0) return strange;
        owner = target;
    }
    if (out.records.empty()) out.why = "the name has no TXT record";
    return out;
}

}  // namespace gatehouse::net
