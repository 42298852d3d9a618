// Widths are counted in code points.
#include "table.hpp"

#include <algorithm>

namespace gatehouse::cli {
namespace {

std::size_t width(std::string_view s) noexcept {
    return static_cast<std::size_t>(std::count_if(
        s.begin(), s.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

void append_row(std::string& out, const std::vector<std::string>& cells,
                const std::vector<std::size_t>& widths) {
    std::string line;
    for (std::size_t i = 0; i < cells.size(); ++i) {
        line += cells[i];
        if (i + 1 < cells.size()) line.append(widths[i] - width(cells[i]) + 2, ' ');
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
}

}  // namespace

std::string table(const std::vector<std::string>& heads,
                  const std::vector<std::vector<std::string>>& rows) {
    std::vector<std::size_t> widths;
    for (const auto& h : heads)
        widths.push_back(width(h));
    std::vector<std::vector<std::string>> cells;
    for (const auto& row : rows) {
        auto& clean = cells.emplace_back();
        for (std::size_t i = 0; i < heads.size(); ++i) {
            clean.push_back(i < row.size() ? printable(row[i]) : std::string());
            widths[i] = std::max(widths[i], width(clean[i]));
        }
    }
    std::string out;
    append_row(out, heads, widths);
    for (const auto& row : cells)
        append_row(out, row, widths);
    return out;
}

std::string csv(const std::vector<std::string>& heads, const std::vector<std::vector<std::string>>& rows) {
    std::string out;
    const auto append = [&out](const std::vector<std::string>& cells) {
        for (std::size_t i = 0; i < cells.size(); ++i) {
            if (i > 0) out += ',';
            const bool quoted = cells[i].find_first_of(",\"\r\n") != std::string::npos;
            if (quoted) out += '"';
            for (const char c : cells[i])
                out.append(c == '"' ? 2 : 1, c);
            if (quoted) out += '"';
        }
        out += "\r\n";
    };
    append(heads);
    for (const auto& row : rows)
        append(row);
    return out;
}

std::string printable(std::string_view s) {
    std::string out;
    for (std::size_t i = 0; i < s.size(); ++i) {
        const auto c = static_cast<unsigned char>(s[i]);
        const auto next = i + 1 < s.size() ? static_cast<unsigned char>(s[i + 1]) : 0;
        if (c == 0xc2 && next >= 0x80 && next < 0xa0) {  // C1 controls, in UTF-8
            out += '?';
            ++i;
        } else {
            out += c < 0x20 || c == 0x7f ? '?' : s[i];
        }
    }
    return out;
}

std::string joined(const std::vector<std::string>& parts, std::string_view between) {
    std::string out;
    for (const auto& p : parts) {
        if (!out.empty()) out += between;
        out += p;
    }
    return out;
}

}  // namespace gatehouse::cli
