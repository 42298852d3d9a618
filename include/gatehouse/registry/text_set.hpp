// A few texts in order, each once: most often one, which needs no memory of its own.
#pragma once

#include <algorithm>
#include <boost/container/small_vector.hpp>
#include <gatehouse/base/shared_text.hpp>

namespace gatehouse::registry {

class text_set {
 public:
    bool insert(const shared_text& t) {
        const auto at = std::lower_bound(texts_.begin(), texts_.end(), t);
        if (at != texts_.end() && *at == t) return false;
        texts_.insert(at, t);
        return true;
    }
    bool erase(std::string_view t) {
        const auto at = std::lower_bound(texts_.begin(), texts_.end(), t);
        if (at == texts_.end() || *at != t) return false;
        texts_.erase(at);
        return true;
    }
    bool contains(std::string_view t) const {
        return std::binary_search(texts_.begin(), texts_.end(), t);
    }
    bool empty() const noexcept { return texts_.empty(); }
    std::size_t size() const noexcept { return texts_.size(); }
    auto begin() const noexcept { return texts_.begin(); }
    auto end() const noexcept { return texts_.end(); }
    const shared_text& front() const { return texts_.front(); }

 private:
    boost::container::small_vector<shared_text, 1> texts_;
};

}  // namespace gatehouse::registry
