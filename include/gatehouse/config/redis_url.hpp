// Where Redis is and as whom to speak to it, as one URL of the configuration says. Pure; any
// thread.
#pragma once

#include <cstdint>
#include <gatehouse/base/secret.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse::config {

struct redis_url {
    struct server {
        std::string host;  // a name or an address, without brackets
        std::uint16_t port = 0;
        bool operator==(const server&) const = default;
    };
    std::vector<server> servers;  // one; with `master` the sentinels; none with `path`
    std::string path;             // of a Unix socket
    std::string master;           // the name the sentinels know the master by; empty: no sentinels
    std::string user;
    secret_text password;         // of the server, not of the sentinels; empty: none
    std::uint32_t database = 0;
    bool operator==(const redis_url&) const = default;
};

// redis://[[USER]:PASSWORD@]HOST[:PORT][/DB]
// unix:PATH[?db=N]  or  unix:PATH?user=USER&password=PASSWORD&db=N   (PATH is absolute)
// redis+sentinel://[[USER]:PASSWORD@]HOST[:PORT],...,HOST[:PORT]/MASTER[/DB]   (at most 16)
// USER and PASSWORD are percent-decoded; the ports default to 6379 and 26379. Otherwise `trouble`
// says why not, without showing what may be a secret.
std::optional<redis_url> parse_redis_url(std::string_view text, std::string& trouble);

}  // namespace gatehouse::config
