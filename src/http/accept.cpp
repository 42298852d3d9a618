// Accept, as far as the choice between an HTML page and JSON needs it (RFC 9110 12.5.1), and
// Accept-Language (12.5.4).
#include <algorithm>
#include <gatehouse/http/problem_document.hpp>

#include "chars.hpp"

namespace gatehouse::http {
namespace {

// Thousandths; a malformed weight counts as 1, as an absent one does.
int weight_of(std::string_view parameters) noexcept {
    while (!parameters.empty()) {
        const auto end = parameters.find(';');
        const std::string_view one = chars::trim(parameters.substr(0, end));
        if (one.size() >= 3 && chars::to_lower(one[0]) == 'q' && one[1] == '=') {
            int q = one[2] == '0' ? 0 : 1000;
            for (std::size_t i = 4, unit = 100; q < 1000 && i < one.size() && i < 7;
                 ++i, unit /= 10)
                if (chars::is(one[i], chars::digit)) q += (one[i] - '0') * static_cast<int>(unit);
            return q;
        }
        if (end == std::string_view::npos) break;
        parameters.remove_prefix(end + 1);
    }
    return 1000;
}

// Nobody reads more languages; somebody may send more.
constexpr int language_ranges_max = 32;

struct preference {
    int rank = 0;  // how exactly a range named the type: 0 not at all, 1 */*, 2 type/*, 3 in full
    int weight = 0;
    void offer(int new_rank, int new_weight) noexcept {
        if (new_rank < rank) return;
        weight = new_rank == rank ? std::max(weight, new_weight) : new_weight;
        rank = new_rank;
    }
};

}  // namespace

bool prefers_html(std::string_view accept) noexcept {
    preference html, json;
    chars::for_each_element(accept, [&](std::string_view element) {
        const auto semicolon = element.find(';');
        const std::string_view range = chars::trim(element.substr(0, semicolon));
        const int weight =
            semicolon == std::string_view::npos ? 1000 : weight_of(element.substr(semicolon + 1));
        if (range == "*/*") {
            html.offer(1, weight);
            json.offer(1, weight);
        } else if (chars::same(range, "text/*")) {
            html.offer(2, weight);
        } else if (chars::same(range, "application/*")) {
            json.offer(2, weight);
        } else if (chars::same(range, "text/html") || chars::same(range, "application/xhtml+xml")) {
            html.offer(3, weight);
        } else if (chars::same(range, "application/json") ||
                   chars::same(range, "application/problem+json")) {
            json.offer(3, weight);
        }
        return true;
    });
    if (html.rank < 2 || html.weight == 0) return false;
    return html.weight > json.weight || (html.weight == json.weight && html.rank > json.rank);
}

const language& choose_language(const std::vector<language_ptr>& all, std::string_view accept_language,
                                std::string_view preferred) noexcept {
    const language* own = find_language(all, preferred);
    if (own == nullptr) own = find_language(all, "en");
    const language* best = own;
    int best_weight = 0, ranges = 0;
    chars::for_each_element(accept_language, [&](std::string_view element) {
        if (++ranges > language_ranges_max) return false;
        const auto semicolon = element.find(';');
        const std::string_view range = chars::trim(element.substr(0, semicolon));
        const int weight =
            semicolon == std::string_view::npos ? 1000 : weight_of(element.substr(semicolon + 1));
        const language* found = range == "*" ? own : find_language(all, range);
        if (found != nullptr && weight > best_weight) {
            best = found;
            best_weight = weight;
        }
        return true;
    });
    return *best;
}

}  // namespace gatehouse::http
