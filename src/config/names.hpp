// The words that enumerated settings are written with; read and written by the same tables.
#pragma once

#include <array>
#include <gatehouse/config/settings.hpp>
#include <string_view>
#include <utility>

namespace gatehouse::config::names {

template <class E>
using word = std::pair<std::string_view, E>;

using tenant::life;
inline constexpr std::array lives{
    word<life>{"provisioning", life::provisioning}, word<life>{"active", life::active},
    word<life>{"suspended", life::suspended}, word<life>{"deleting", life::deleting}};

using tenant::suspension;
inline constexpr std::array suspensions{word<suspension>{"billing", suspension::billing},
                                        word<suspension>{"abuse", suspension::abuse},
                                        word<suspension>{"legal", suspension::legal},
                                        word<suspension>{"maintenance", suspension::maintenance}};

inline constexpr std::array residencies{
    word<tenant::residency>{"preferred", tenant::residency::preferred},
    word<tenant::residency>{"strict", tenant::residency::strict}};

using tenant::recurrence;
inline constexpr std::array recurrences{
    word<recurrence>{"day", recurrence::day},
    word<recurrence>{"monday", recurrence::monday},
    word<recurrence>{"tuesday", recurrence::tuesday},
    word<recurrence>{"wednesday", recurrence::wednesday},
    word<recurrence>{"thursday", recurrence::thursday},
    word<recurrence>{"friday", recurrence::friday},
    word<recurrence>{"saturday", recurrence::saturday},
    word<recurrence>{"sunday", recurrence::sunday}};

using tenant::redis_loss;
inline constexpr std::array redis_losses{word<redis_loss>{"share", redis_loss::share},
                                         word<redis_loss>{"open", redis_loss::open},
                                         word<redis_loss>{"closed", redis_loss::closed}};

inline constexpr std::array balances{
    word<tenant::balance>{"round_robin", tenant::balance::round_robin},
    word<tenant::balance>{"least_requests", tenant::balance::least_requests},
    word<tenant::balance>{"random2", tenant::balance::random2},
    word<tenant::balance>{"hash", tenant::balance::hash}};

inline constexpr std::array wrong_regions{word<wrong_region>{"refuse", wrong_region::refuse},
                                          word<wrong_region>{"redirect", wrong_region::redirect},
                                          word<wrong_region>{"relay", wrong_region::relay}};

inline constexpr std::array underscore_choices{word<underscores>{"drop", underscores::drop},
                                               word<underscores>{"reject", underscores::reject},
                                               word<underscores>{"pass", underscores::pass}};

inline constexpr std::array levels{
    word<log::level>{"debug", log::level::debug}, word<log::level>{"info", log::level::info},
    word<log::level>{"warn", log::level::warn}, word<log::level>{"error", log::level::error}};

inline constexpr std::array logged_clients{word<logged_client>{"address", logged_client::address},
                                           word<logged_client>{"network", logged_client::network},
                                           word<logged_client>{"off", logged_client::off}};

inline constexpr std::array off_or_required{word<bool>{"off", false}, word<bool>{"required", true}};
inline constexpr std::array off_or_on{word<bool>{"off", false}, word<bool>{"on", true}};
inline constexpr std::array continue_or_restart{word<bool>{"continue", false},
                                                word<bool>{"restart", true}};
inline constexpr std::array host_proofs{word<bool>{"approval", false}, word<bool>{"dns", true}};
inline constexpr std::array publish_or_follow{word<bool>{"publish", false},
                                              word<bool>{"follow", true}};

template <class E, std::size_t N>
constexpr std::string_view name_of(const std::array<word<E>, N>& words, E value) noexcept {
    for (const auto& [text, v] : words) {
        if (v == value) return text;
    }
    return {};
}

}  // namespace gatehouse::config::names
