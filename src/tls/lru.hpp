// A bounded map from text to a value that forgets what was used longest ago. Not thread-safe.
#pragma once

#include <cstddef>
#include <gatehouse/base/text.hpp>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace gatehouse::tls {

template <class Value>
class lru {
 public:
    struct node {
        std::string name;
        Value value;
    };

    static constexpr int refusals = 16;

    explicit lru(std::size_t capacity) : capacity_(capacity == 0 ? 1 : capacity) {}

    // Moves it to the front. No allocation.
    Value* find(std::string_view name) noexcept {
        const auto at = index_.find(name);
        if (at == index_.end()) return nullptr;
        nodes_.splice(nodes_.begin(), nodes_, at->second);
        return &at->second->value;
    }

    // It stays where it is.
    const Value* peek(std::string_view name) const noexcept {
        const auto at = index_.find(name);
        return at == index_.end() ? nullptr : &at->second->value;
    }

    bool contains(std::string_view name) const noexcept {
        return index_.find(name) != index_.end();
    }

    // `may_go(value)` is asked about the oldest; a no moves it to the front. After a few refusals
    // the oldest goes all the same, so that the bound holds.
    template <class MayGo>
    Value& put(std::string_view name, Value value, MayGo may_go) {
        if (Value* old = find(name)) return *old = std::move(value);
        if (nodes_.size() >= capacity_) make_room(may_go);
        nodes_.push_front(node{std::string(name), std::move(value)});
        index_.emplace(nodes_.front().name, nodes_.begin());
        return nodes_.front().value;
    }
    Value& put(std::string_view name, Value value) {
        return put(name, std::move(value), [](const Value&) { return true; });
    }

    void erase(std::string_view name) {
        const auto at = index_.find(name);
        if (at == index_.end()) return;
        const auto where = at->second;
        index_.erase(at);
        nodes_.erase(where);
    }

    template <class Predicate>
    void erase_if(Predicate goes) {
        for (auto i = nodes_.begin(); i != nodes_.end();) {
            if (!goes(std::as_const(i->name), std::as_const(i->value))) {
                ++i;
                continue;
            }
            index_.erase(i->name);
            i = nodes_.erase(i);
        }
    }

    // What is over the new bound goes as if there had to be room for more.
    template <class MayGo>
    void set_capacity(std::size_t capacity, MayGo may_go) {
        capacity_ = capacity == 0 ? 1 : capacity;
        while (nodes_.size() > capacity_)
            make_room(may_go);
    }

    void clear() {
        index_.clear();
        nodes_.clear();
    }
    std::size_t size() const noexcept { return nodes_.size(); }
    const std::list<node>& nodes() const noexcept { return nodes_; }  // newest use first

 private:
    template <class MayGo>
    void make_room(MayGo may_go) {
        for (int i = 0; i < refusals && !may_go(std::as_const(nodes_.back().value)); ++i)
            nodes_.splice(nodes_.begin(), nodes_, std::prev(nodes_.end()));
        index_.erase(nodes_.back().name);
        nodes_.pop_back();
    }

    std::size_t capacity_;
    std::list<node> nodes_;
    // Keys are views of the names in the nodes, whose addresses stay.
    std::unordered_map<std::string_view, typename std::list<node>::iterator, text_hash> index_;
};

}  // namespace gatehouse::tls
