// Texts of the project's error codes, stages and sides.
#include <cerrno>
#include <gatehouse/base/error.hpp>
#include <string>

namespace gatehouse {
namespace {

// Boost's base class has no virtual destructor; categories are never deleted.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"
class category final : public boost::system::error_category {
 public:
    const char* name() const noexcept override { return "gatehouse"; }

    std::string message(int value) const override {
        switch (static_cast<errc>(value)) {
            case errc::end_of_stream:
                return "end of stream";
            case errc::timeout:
                return "timed out";
            case errc::cancelled:
                return "cancelled";
            case errc::client_gone:
                return "the client went away";
            case errc::tls_failed:
                return "TLS failed";
            case errc::truncated:
                return "the stream ended inside a message";
            case errc::bad_message:
                return "malformed message";
            case errc::too_large:
                return "too large";
            case errc::not_found:
                return "not found";
            case errc::not_ready:
                return "not ready";
            case errc::refused:
                return "refused";
        }
        return "unknown error";
    }
};
#pragma GCC diagnostic pop

}  // namespace

const boost::system::error_category& gatehouse_category() noexcept {
    static const category instance;
    return instance;
}

bool is_own_want(const error_code& ec) noexcept {
    if (ec.category() != boost::system::system_category()) return false;
    switch (ec.value()) {
        case EMFILE:
        case ENFILE:
        case ENOBUFS:
        case ENOMEM:
        case EADDRNOTAVAIL:
            return true;
        default:
            return false;
    }
}

std::string_view name(stage s) noexcept {
    switch (s) {
        case stage::accept:
            return "accept";
        case stage::hello:
            return "hello";
        case stage::head:
            return "head";
        case stage::framing:
            return "framing";
        case stage::resolve:
            return "resolve";
        case stage::guard:
            return "guard";
        case stage::route:
            return "route";
        case stage::admit:
            return "admit";
        case stage::forward:
            return "forward";
        case stage::answer:
            return "answer";
        case stage::settle:
            return "settle";
    }
    return "unknown";
}

std::string_view name(side s) noexcept {
    switch (s) {
        case side::client:
            return "client";
        case side::upstream:
            return "upstream";
        case side::gateway:
            return "gateway";
    }
    return "unknown";
}

}  // namespace gatehouse
