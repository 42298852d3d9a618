// Names of what a worker counts. Pure; any thread.
#include <gatehouse/proxy/counters.hpp>

namespace gatehouse::proxy {

const char* name(handshake_failure f) noexcept {
    switch (f) {
        case handshake_failure::unknown_name:
            return "unknown_name";
        case handshake_failure::timeout:
            return "timeout";
        case handshake_failure::other:
            break;
    }
    return "other";
}

const char* name(relay_failure f) noexcept {
    switch (f) {
        case relay_failure::unreachable:
            return "unreachable";
        case relay_failure::timeout:
            return "timeout";
        case relay_failure::limit:
            return "limit";
        case relay_failure::too_large:
            return "too_large";
        case relay_failure::twice:
            break;
    }
    return "twice";
}

}  // namespace gatehouse::proxy
