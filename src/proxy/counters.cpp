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

}  // namespace gatehouse::proxy
