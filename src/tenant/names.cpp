#include <gatehouse/tenant/names.hpp>

namespace gatehouse::tenant {

std::string_view name(life l) noexcept {
    switch (l) {
        case life::provisioning:
            return "provisioning";
        case life::active:
            return "active";
        case life::suspended:
            return "suspended";
        case life::deleting:
            break;
    }
    return "deleting";
}

std::string_view name(suspension s) noexcept {
    switch (s) {
        case suspension::none:
            return "";
        case suspension::billing:
            return "billing";
        case suspension::abuse:
            return "abuse";
        case suspension::legal:
            return "legal";
        case suspension::maintenance:
            break;
    }
    return "maintenance";
}

std::string_view name(residency r) noexcept {
    return r == residency::strict ? "strict" : "preferred";
}

std::string_view name(recurrence r) noexcept {
    constexpr std::string_view names[] = {"",         "day",    "monday",   "tuesday", "wednesday",
                                          "thursday", "friday", "saturday", "sunday"};
    return names[static_cast<std::size_t>(r)];
}

std::string_view name(redis_loss r) noexcept {
    switch (r) {
        case redis_loss::share:
            return "share";
        case redis_loss::open:
            return "open";
        case redis_loss::closed:
            break;
    }
    return "closed";
}

std::string_view name(balance b) noexcept {
    switch (b) {
        case balance::round_robin:
            return "round_robin";
        case balance::least_requests:
            return "least_requests";
        case balance::random2:
            return "random2";
        case balance::hash:
            break;
    }
    return "hash";
}

}  // namespace gatehouse::tenant
