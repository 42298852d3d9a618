// Text to tree, and the list of what is wrong with it.
#include "document.hpp"

#include <algorithm>
#include <cstdlib>
#include <gatehouse/base/secret.hpp>
#include <gatehouse/base/text.hpp>

namespace gatehouse::config {
namespace {

namespace fs = std::filesystem;

// Skips one string literal of any of TOML's four kinds; `i` is at its opening quote and ends
// behind its closing one (or at the end of the text).
void skip_string(std::string_view text, std::size_t& i) {
    const char quote = text[i];
    const std::string_view triple = quote == '"' ? "\"\"\"" : "'''";
    const bool multi_line = text.substr(i, 3) == triple;
    i += multi_line ? 3 : 1;
    while (i < text.size()) {
        if (text[i] == '\\' && quote == '"') {
            i += 2;
        } else if (multi_line ? text.substr(i, 3) == triple : text[i] == quote) {
            i += multi_line ? 3 : 1;
            while (multi_line && i < text.size() && text[i] == quote)
                ++i;  // """" ends with a quote
            return;
        } else if (!multi_line && text[i] == '\n') {
            return;  // unclosed: the parser stops here
        } else {
            ++i;
        }
    }
    i = text.size();
}

// The line of the first key with more than `dots_max` dots, 0 when there is none. The parser has
// no bound of its own there, and trees are destroyed recursively.
std::uint32_t line_of_deep_key(std::string_view text, unsigned dots_max) {
    std::uint32_t line = 1;
    unsigned dots = 0;
    std::size_t i = 0;
    while (i < text.size()) {
        const char c = text[i];
        if (c == '"' || c == '\'') {
            const std::size_t from = i;
            skip_string(text, i);
            i = std::min(i, text.size());
            line += static_cast<std::uint32_t>(
                std::count(text.begin() + static_cast<std::ptrdiff_t>(from),
                           text.begin() + static_cast<std::ptrdiff_t>(i), '\n'));
            continue;
        }
        if (c == '#') {
            i = std::min(text.find('\n', i), text.size());
            continue;
        }
        if (c == '.') {
            if (++dots > dots_max) return line;
        } else if (c == '\n' || c == '=' || c == ',' || c == '{') {
            dots = 0;
        }
        if (c == '\n') ++line;
        ++i;
    }
    return 0;
}

bool is_name_char(char c, bool first) noexcept {
    return c == '_' || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') ||
           (!first && c >= '0' && c <= '9');
}

// The length of "${NAME}" at the front of `text`; 0 when it is none.
std::size_t reference_length(std::string_view text) noexcept {
    if (!text.starts_with("${")) return 0;
    std::size_t i = 2;
    while (i < text.size() && is_name_char(text[i], i == 2))
        ++i;
    return i > 2 && i < text.size() && text[i] == '}' ? i + 1 : 0;
}

}  // namespace

document::document(std::string file_name) : file(std::move(file_name)) {
    std::error_code ec;
    const fs::path whole = fs::absolute(file, ec);
    folder = (ec ? fs::path(file) : whole).lexically_normal().parent_path();
}

std::string document::absolute(std::string_view path) const {
    return (folder / fs::path(path)).lexically_normal().string();
}

std::vector<diagnostic> document::take_diagnostics() {
    std::stable_sort(diagnostics.begin(), diagnostics.end(),
                     [](const diagnostic& a, const diagnostic& b) { return a.line < b.line; });
    return std::move(diagnostics);
}

void place::error(std::string message, std::string advice) const {
    doc_->diagnostics.push_back(
        {severity::error, doc_->file, line_, path_, std::move(message), std::move(advice)});
}

void place::warning(std::string message, std::string advice) const {
    doc_->diagnostics.push_back(
        {severity::warning, doc_->file, line_, path_, std::move(message), std::move(advice)});
}

void place::refuse_if_shared(const std::string& secret_file) const {
    if (doc_->look_at_files && others_may_read(secret_file))
        error("others than its owner may read " + secret_file, "chmod 600 " + secret_file + ", and make a new secret where others did");
}

void place::warn_if_shared(const std::string& secret_file) const {
    if (doc_->look_at_files && others_may_read(secret_file))
        warning("others than its owner may read " + secret_file, "chmod 600 " + secret_file);
}

std::optional<toml::table> parse_toml(std::string_view text, std::size_t bytes_max, document& doc) {
    constexpr unsigned key_dots_max = 32;
    if (text.size() > bytes_max) {
        place(doc, 0, {})
            .error("is larger than " + std::to_string(bytes_max) + " bytes", "split it");
        return std::nullopt;
    }
    if (const std::uint32_t line = line_of_deep_key(text, key_dots_max); line != 0) {
        place(doc, line, {}).error("a key is nested too deeply", "use the documented keys alone");
        return std::nullopt;
    }
    try {
        return toml::parse(text, doc.file);
    } catch (const toml::parse_error& e) {
        place(doc, e.source().begin.line, {})
            .error("is not TOML: " + std::string(e.description()), "see https://toml.io/en/v1.0.0");
        return std::nullopt;
    }
}

std::optional<std::string> substitute(std::string_view text, std::string* missing) {
    std::string out;
    while (!text.empty()) {
        if (text.starts_with("$${")) {
            out += "${";
            text.remove_prefix(3);
            continue;
        }
        const std::size_t length = reference_length(text);
        if (length == 0) {
            out += text.front();
            text.remove_prefix(1);
            continue;
        }
        const std::string name(text.substr(2, length - 3));
        const char* value = std::getenv(name.c_str());
        if (value == nullptr) {
            if (missing != nullptr) *missing = name;
            return std::nullopt;
        }
        out += value;
        text.remove_prefix(length);
    }
    return out;
}

std::string shown(std::string_view value) {
    constexpr std::size_t shown_max = 80;
    if (value.size() <= shown_max) return '"' + json_escape(value) + '"';
    return '"' + json_escape(value.substr(0, shown_max)) + "...\"";
}

}  // namespace gatehouse::config
