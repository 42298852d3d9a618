// TXT records of a name (RFC 1035), from the system's resolver or one that is named. A stub: it believes its resolver,
// whose way to it is to be trusted. Blocking, 5 s at most: any thread but control and workers.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace gatehouse::net {

struct txt_answer {
    std::vector<std::string> records;  // each record's strings as one (RFC 7208, section 3.3)
    std::string why;                   // non-empty: there are none, or they are not known; a clause
};

// resolver: "127.0.0.1:53", IPv4; empty: those of /etc/resolv.conf.
txt_answer find_txt(const std::string& name, const std::string& resolver);

// What a message says of `name`, by way of CNAME records too. Pure.
txt_answer read_txt(std::string_view message, std::string_view name);

}  // namespace gatehouse::net
