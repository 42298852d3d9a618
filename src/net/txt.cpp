#include <arpa/nameser.h>
#include <netinet/in.h>
#include <resolv.h>
#include <gatehouse/net/address.hpp>
#include <gatehouse/net/txt.hpp>

#include <cstring>
#include <memory>
#include <netdb.h>

namespace gatehouse::net {
namespace {

constexpr std::size_t largest_message = NS_MAXMSG;

struct closer {
    void operator()(res_state s) const noexcept {
        ::res_nclose(s);
        delete s;
    }
};
using resolver_state = struct __res_state;
using resolver_ptr = std::unique_ptr<resolver_state, closer>;

// Two tries of one resolver within 4 s; of several, one each within 5 s.
resolver_ptr open_resolver(const std::string& named) {
    resolver_ptr r(new resolver_state{});
    if (::res_ninit(r.get()) != 0) return nullptr;
    if (!named.empty()) {
        const auto a = parse_address(named);
        if (!a || a->family() != AF_INET) return nullptr;
        std::memcpy(&r->nsaddr_list[0], a->get(), sizeof(sockaddr_in));
        r->nscount = 1;
    }
    r->retrans = 2;
    r->retry = r->nscount > 1 ? 1 : 2;
    // Over TCP the C library has no deadline.
    r->options |= RES_IGNTC | RES_USE_EDNS0;
    return r;
}

std::string why_none(int resolver_error) {
    switch (resolver_error) {
        case HOST_NOT_FOUND:
            return "the name does not exist";
        case NO_DATA:
            return "the name has no TXT record";
        default:
            return "the resolver does not answer";
    }
}

}  // namespace

txt_answer find_txt(const std::string& name, const std::string& resolver) {
    const auto r = open_resolver(resolver);
    if (!r) return {.records = {}, .why = "no resolver is configured"};
    std::string answer(largest_message, '\0');
    const int n = ::res_nquery(r.get(), name.c_str(), ns_c_in, ns_t_txt, reinterpret_cast<unsigned char*>(answer.data()), static_cast<int>(answer.size()));
    // Cut off so far that nothing is left counts as an error there.
    constexpr std::size_t flags_at = 2;
    const bool cut_off = (static_cast<unsigned char>(answer[flags_at]) & 0x02U) != 0;
    if (n < 0 && !cut_off) return {.records = {}, .why = why_none(r->res_h_errno)};
    return read_txt(std::string_view(answer).substr(0, n < 0 ? NS_HFIXEDSZ : static_cast<std::size_t>(n)), name);
}

}  // namespace gatehouse::net
