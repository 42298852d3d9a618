// Tenants of the API as a publisher left them in Redis. Blocking, with no node running.
#pragma once

#include <boost/json/object.hpp>
#include <gatehouse/config/settings.hpp>
#include <map>
#include <string>
#include <vector>

namespace gatehouse::registry {

struct published_copy {
    std::map<std::string, boost::json::object> documents;  // by id, under the keys of a tenant's file
    std::vector<std::string> left;                         // "ID: why" of those that are not taken
    std::string why_not;                                   // set: Redis did not tell all
};

// Only what is signed under a key that this node holds, and was made by the API.
published_copy read_published(const config::settings& s);

}  // namespace gatehouse::registry
