#include <fmt/format.h>
#include <algorithm>
#include <charconv>
#include <cstring>
#include <gatehouse/store/tar.hpp>

namespace gatehouse::store {
namespace {

constexpr std::size_t block_bytes = 512, name_bytes = 100, most_files = 10'000;
constexpr std::size_t mode_at = 100, size_at = 124, size_digits = 11, time_at = 136, sum_at = 148, sum_bytes = 8, type_at = 156, magic_at = 257;
constexpr std::uint64_t largest_file = 1ULL << 32;

bool is_plain_name(std::string_view name) noexcept {
    if (name.empty() || name.size() > name_bytes || name.front() == '/' || name.find('\0') != name.npos) return false;
    for (std::size_t begin = 0; begin <= name.size();) {
        const auto end = std::min(name.find('/', begin), name.size());
        const auto part = name.substr(begin, end - begin);
        if (part.empty() || part == "." || part == "..") return false;
        begin = end + 1;
    }
    return true;
}

void put(std::string& block, std::size_t at, std::string_view text) {
    block.replace(at, text.size(), text);
}

// Over the block as if its own field were blanks.
unsigned sum_of(std::string_view block) noexcept {
    unsigned sum = 0;
    for (std::size_t i = 0; i < block_bytes; ++i)
        sum += i >= sum_at && i < sum_at + sum_bytes ? ' ' : static_cast<unsigned char>(block[i]);
    return sum;
}

std::string head_of(const tar_file& f, std::int64_t modified) {
    std::string block(block_bytes, '\0');
    put(block, 0, f.name);
    put(block, mode_at, "0000600");
    put(block, 108, "0000000");
    put(block, 116, "0000000");
    put(block, size_at, fmt::format("{:011o}", f.bytes.size()));
    put(block, time_at, fmt::format("{:011o}", std::max<std::int64_t>(modified, 0)));
    block[type_at] = '0';
    put(block, magic_at, std::string_view("ustar\00000", 8));
    put(block, sum_at, fmt::format("{:06o}", sum_of(block)));
    block[sum_at + 7] = ' ';
    return block;
}

// Digits up to a blank or a null.
std::optional<std::uint64_t> octal(std::string_view field) noexcept {
    const auto begin = field.find_first_not_of(' ');
    if (begin == field.npos) return std::nullopt;
    field.remove_prefix(begin);
    std::uint64_t n = 0;
    const auto [end, ec] = std::from_chars(field.data(), field.data() + field.size(), n, 8);
    if (ec != std::errc{} || (end != field.data() + field.size() && *end != ' ' && *end != '\0')) return std::nullopt;
    return n;
}

std::size_t padded(std::size_t bytes) noexcept {
    return (bytes + block_bytes - 1) / block_bytes * block_bytes;
}

}  // namespace

std::string to_tar(const std::vector<tar_file>& files, std::int64_t modified) {
    std::string out;
    std::size_t bytes = 2 * block_bytes;
    for (const auto& f : files)
        bytes += block_bytes + padded(f.bytes.size());
    out.reserve(bytes);
    for (const auto& f : files) {
        out += head_of(f, modified);
        out += f.bytes;
        out.append(padded(f.bytes.size()) - f.bytes.size(), '\0');
    }
    out.append(2 * block_bytes, '\0');
    return out;
}

std::optional<std::vector<tar_file>> from_tar(std::string_view archive, std::string& why) {
    std::vector<tar_file> out;
    while (archive.size() >= block_bytes) {
        const auto head = archive.substr(0, block_bytes);
        if (head.find_first_not_of('\0') == head.npos) return out;
        if (head.substr(magic_at, 5) != "ustar" || octal(head.substr(sum_at, sum_bytes)) != sum_of(head)) {
            why = out.empty() ? "it is no tar archive" : fmt::format("it is damaged behind {}", out.back().name);
            return std::nullopt;
        }
        const std::string name(head.substr(0, std::min(head.find('\0'), name_bytes)));
        const auto size = octal(head.substr(size_at, size_digits + 1));
        if (!is_plain_name(name) || (head[type_at] != '0' && head[type_at] != '\0') || !size || *size > largest_file) {
            why = fmt::format("it holds \"{}\", which is no plain file of an export", name.size() > name_bytes ? "" : name);
            return std::nullopt;
        }
        archive.remove_prefix(block_bytes);
        if (archive.size() < padded(*size) || out.size() == most_files) {
            why = out.size() == most_files ? "it holds too many files" : fmt::format("it ends within {}", name);
            return std::nullopt;
        }
        out.push_back({.name = name, .bytes = std::string(archive.substr(0, *size))});
        archive.remove_prefix(padded(*size));
    }
    why = out.empty() ? "it is no tar archive" : fmt::format("it is cut off behind {}", out.back().name);
    return std::nullopt;
}

}  // namespace gatehouse::store
