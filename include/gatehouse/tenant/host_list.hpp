// Host names in one block of memory, in their order. Immutable; any thread.
#pragma once

#include <cstddef>
#include <gatehouse/base/shared_text.hpp>
#include <initializer_list>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse::tenant {

class host_list {
 public:
    host_list() = default;
    host_list(const std::vector<std::string>& hosts) : lines_(joined(hosts)) {}
    host_list(std::initializer_list<std::string_view> hosts) : lines_(joined(hosts)) {}

    class iterator {
     public:
        using iterator_category = std::forward_iterator_tag;
        using value_type = std::string_view;
        using difference_type = std::ptrdiff_t;
        using pointer = const std::string_view*;
        using reference = std::string_view;

        iterator() = default;
        explicit iterator(std::string_view rest) noexcept : rest_(rest) {}
        std::string_view operator*() const noexcept { return rest_.substr(0, rest_.find('\n')); }
        iterator& operator++() noexcept {
            rest_.remove_prefix(rest_.find('\n') + 1);
            return *this;
        }
        iterator operator++(int) noexcept {
            const iterator before = *this;
            ++*this;
            return before;
        }
        // Of one list.
        bool operator==(const iterator& other) const noexcept {
            return rest_.size() == other.rest_.size();
        }

     private:
        std::string_view rest_;
    };
    // Views hold as long as a copy of the list does.
    iterator begin() const noexcept { return iterator(lines_.view()); }
    iterator end() const noexcept { return iterator(); }
    bool empty() const noexcept { return lines_.empty(); }
    std::size_t size() const noexcept {
        return static_cast<std::size_t>(std::distance(begin(), end()));
    }
    std::string_view front() const noexcept { return *begin(); }
    friend bool operator==(const host_list& a, const host_list& b) noexcept {
        return a.lines_ == b.lines_;
    }

 private:
    // No host name has a line's end in it.
    template <class List>
    static shared_text joined(const List& hosts) {
        std::string lines;
        for (const auto& host : hosts)
            lines.append(host).append("\n");
        return shared_text(lines);
    }
    shared_text lines_;
};

}  // namespace gatehouse::tenant
