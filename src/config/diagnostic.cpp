// How a mistake in a document is told.
#include <algorithm>
#include <gatehouse/base/log.hpp>
#include <gatehouse/config/load.hpp>

namespace gatehouse::config {

std::string to_text(const diagnostic& d) {
    std::string out = d.file;
    if (d.line != 0) out += ':' + std::to_string(d.line);
    out += ": ";
    if (!d.key.empty()) out += d.key + ": ";
    out += d.message;
    if (!d.advice.empty()) out += "; " + d.advice;
    return log::one_line(out);
}

bool has_errors(const std::vector<diagnostic>& diagnostics) noexcept {
    return std::any_of(diagnostics.begin(), diagnostics.end(),
                       [](const diagnostic& d) { return d.severity == severity::error; });
}

}  // namespace gatehouse::config
