// Work that goes one after another where it has the same key: what the next one reads is what the one before has left.
// Control thread.
#pragma once

#include <deque>
#include <functional>
#include <gatehouse/base/log.hpp>
#include <map>
#include <memory>
#include <string>
#include <utility>

namespace gatehouse::admin {

class turns {
 public:
    using turn = std::shared_ptr<void>;   // lasts until its last copy is gone
    void take(const std::string& key, std::function<void(turn)> work) {
        if (lines_->stopped) return;
        auto& line = lines_->by_key[key];
        line.push_back(std::move(work));
        if (line.size() == 1) begin(lines_, key);
    }
    // What waits is let go of, and nothing is begun any more: what it works on may be gone when the turns under way end.
    void stop() {
        lines_->stopped = true;
        lines_->by_key.clear();
    }

 private:
    struct lines {
        std::map<std::string, std::deque<std::function<void(turn)>>> by_key;   // the first of each has the turn
        bool stopped = false;
    };

    static void begin(const std::shared_ptr<lines>& all, const std::string& key) {
        const turn t(nullptr, [all, key](void*) { end(all, key); });
        try {
            std::exchange(all->by_key[key].front(), nullptr)(t);
        } catch (const std::exception& e) {
            log::error("admin: {}", e.what());
        }
    }
    static void end(const std::shared_ptr<lines>& all, const std::string& key) {
        if (all->stopped) return;
        const auto at = all->by_key.find(key);
        at->second.pop_front();
        if (at->second.empty())
            all->by_key.erase(at);
        else
            begin(all, key);
    }

    std::shared_ptr<lines> lines_ = std::make_shared<lines>();
};

}  // namespace gatehouse::admin
