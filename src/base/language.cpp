#include <algorithm>
#include <gatehouse/base/language.hpp>
#include <gatehouse/base/text.hpp>

namespace gatehouse {
namespace {

// Languages whose script runs from right to left where the tag names no script (ISO 639), and such
// scripts (ISO 15924).
constexpr std::array<std::string_view, 11> right_to_left_languages{"ar", "arc", "ckb", "dv", "fa", "he",
                                                                   "ps", "sd",  "ug",  "ur", "yi"};
constexpr std::array<std::string_view, 7> right_to_left_scripts{"adlm", "arab", "hebr", "nkoo",
                                                                "rohg", "syrc", "thaa"};

constexpr std::size_t tag_bytes_max = 35;  // RFC 5646 4.4.1

template <std::size_t N>
bool is_one_of(std::string_view s, const std::array<std::string_view, N>& list) noexcept {
    return std::find(list.begin(), list.end(), s) != list.end();
}

bool is_right_to_left(std::string_view tag) noexcept {
    const std::size_t dash = tag.find('-');
    if (dash != tag.npos) {
        const std::string_view second = tag.substr(dash + 1, tag.find('-', dash + 1) - dash - 1);
        if (second.size() == 4) return is_one_of(second, right_to_left_scripts);
    }
    return is_one_of(tag.substr(0, dash), right_to_left_languages);
}

std::string_view primary(std::string_view tag) noexcept {
    return tag.substr(0, tag.find('-'));
}

}  // namespace

std::string page_name(problem p) {
    std::string out(row(p).type);
    if (p == problem::suspended_billing) out += "-billing";
    if (p == problem::suspended_abuse) out += "-abuse";
    if (p == problem::suspended_legal) out += "-legal";
    return out;
}

language begin_language(std::string_view tag) {
    const bool is_german = iequals(tag, german()->tag);
    language out = is_german ? *german() : *english();
    out.tag = to_lower(tag);
    out.right_to_left = is_right_to_left(out.tag);
    return out;
}

std::vector<language_ptr> with_built_in(const std::vector<language_ptr>& by_file) {
    std::vector<language_ptr> out = by_file;
    for (const language_ptr& own : {english(), german()}) {
        const bool replaced = std::any_of(by_file.begin(), by_file.end(),
                                          [&](const language_ptr& l) { return l->tag == own->tag; });
        if (!replaced) out.push_back(own);
    }
    return out;
}

const language* find_language(const std::vector<language_ptr>& all, std::string_view wanted) noexcept {
    if (wanted.size() > tag_bytes_max) return nullptr;
    for (std::string_view range = wanted; !range.empty();) {
        for (const language_ptr& l : all)
            if (iequals(l->tag, range)) return l.get();
        const std::size_t dash = range.rfind('-');
        if (dash == range.npos) break;
        range = range.substr(0, dash);
    }
    for (const language_ptr& l : all)
        if (!wanted.empty() && iequals(primary(l->tag), primary(wanted))) return l.get();
    return nullptr;
}

}  // namespace gatehouse
