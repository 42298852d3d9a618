#include <fmt/format.h>
#include <charconv>
#include <ctime>
#include <gatehouse/registry/backup_stamp.hpp>
#include <string_view>

namespace gatehouse::registry {
namespace {

constexpr std::string_view suffix = ".tar", asked_suffix = "-asked.tar";
constexpr const char* time_format = "%Y%m%dT%H%M%SZ";

std::optional<std::uint64_t> number(std::string_view text) {
    std::uint64_t n = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), n);
    if (ec != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return n;
}

}  // namespace

std::string compact_time(std::int64_t unix_s) {
    const std::time_t t = unix_s;
    std::tm tm{};
    gmtime_r(&t, &tm);
    char out[32];
    return {out, std::strftime(out, sizeof out, time_format, &tm)};
}

std::string backup_name(const backup_stamp& s) {
    return fmt::format("{}-r{}-a{}{}", compact_time(s.made_at), s.revision, s.audit_rows, s.asked ? asked_suffix : suffix);
}

std::optional<backup_stamp> stamp_of(const std::string& name) {
    std::tm tm{};
    const char* end = ::strptime(name.c_str(), time_format, &tm);
    if (end == nullptr) return std::nullopt;
    std::string_view rest(end);
    if (!rest.starts_with("-r") || !rest.ends_with(suffix)) return std::nullopt;
    const bool asked = rest.ends_with(asked_suffix);
    rest.remove_prefix(2);
    rest.remove_suffix(asked ? asked_suffix.size() : suffix.size());
    const auto dash = rest.find("-a");
    if (dash == rest.npos) return std::nullopt;
    const auto revision = number(rest.substr(0, dash)), rows = number(rest.substr(dash + 2));
    if (!revision || !rows) return std::nullopt;
    return backup_stamp{.made_at = ::timegm(&tm), .revision = *revision, .audit_rows = *rows, .asked = asked};
}

}  // namespace gatehouse::registry
