#include "published_copy.hpp"

#include <fmt/format.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <gatehouse/config/json.hpp>
#include <gatehouse/redis/client.hpp>
#include <gatehouse/registry/documents.hpp>
#include <set>

namespace gatehouse::registry {
namespace {

constexpr milliseconds connect_limit{5'000}, deadline{10'000};
constexpr std::string_view keys_a_step = "100";

// Looks through the keys, and reads what is there of tenants, some at a time.
class looker {
 public:
    looker(const config::settings& s, region_keys keys, published_copy& out)
        : settings_(s), prefix_(s.registry.redis->prefix + ":tenant:"), keys_(std::move(keys)), out_(out), timer_(io_) {}

    void run(const config::redis_url& url) {
        redis::options o;
        o.url = url;
        o.name = "gatehouse-repair";
        out_.why_not = "Redis does not answer";
        redis::client::dependencies d;
        d.on_state = [this](redis::state state, const std::string& why) {
            if (state == redis::state::up) return scan("0");
            end(fmt::format("Redis: {}", why));
        };
        redis::client client(io_, std::move(o), std::move(d));
        client_ = &client;
        timer_.expires_after(connect_limit);
        timer_.async_wait([this](const error_code& ec) {
            if (!ec && !client_->is_up()) io_.stop();
        });
        client.start();
        io_.run();
        client_ = nullptr;
    }

 private:
    void end(std::string why_not) {
        out_.why_not = std::move(why_not);
        io_.stop();
    }

    void scan(const std::string& cursor) {
        client_->send({"SCAN", cursor, "MATCH", prefix_ + '*', "COUNT", keys_a_step}, deadline, [this](result<redis::reply> r) {
            if (!r || r->items.size() != 2) return end(fmt::format("Redis: {}", r ? r->text : r.error().message()));
            read(std::move(r->items[1]), r->items[0].text);
        });
    }

    void read(redis::reply found, const std::string& next) {
        std::vector<std::string> words{"MGET"};
        for (auto& key : found.items)
            if (key.text.starts_with(prefix_)) words.push_back(std::move(key.text));
        if (words.size() == 1) return go_on(next);
        const std::vector<std::string_view> command(words.begin(), words.end());
        client_->send(command, deadline, [this, words, next](result<redis::reply> r) {
            if (!r || r->items.size() + 1 != words.size()) return end(fmt::format("Redis: {}", r ? r->text : r.error().message()));
            for (std::size_t i = 0; i < r->items.size(); ++i)
                take(words[i + 1].substr(prefix_.size()), r->items[i].text);
            go_on(next);
        });
    }

    void go_on(const std::string& cursor) {
        if (cursor == "0") return end({});
        scan(cursor);
    }

    // Read as its own region would, as far as this node has its key. A key may be seen twice.
    void take(const std::string& id, const std::string& text) {
        if (text.empty() || !seen_.insert(id).second) return;
        tenant_reading best;
        best.why = "this node holds no key of a region";
        for (const auto& [region, ring] : keys_) {
            best = read_tenant(text, id, {.region = region, .keys = ring});
            if (best.what == reading::whole) break;
        }
        if (best.what == reading::elsewhere) best.why = fmt::format("sealed for region {}, whose key this node does not hold", best.document.region);
        if (best.what != reading::whole) return out_.left.push_back(fmt::format("{}: {}", id, best.why));
        const auto& t = best.document.tenant;
        if (!t || !best.document.made_by_api) return;
        if (t->state == tenant::life::deleting) return out_.left.push_back(fmt::format("{}: it was being deleted", id));
        out_.documents[id] = config::to_json(*t);
    }

    const config::settings& settings_;
    const std::string prefix_;
    const region_keys keys_;
    published_copy& out_;
    std::set<std::string> seen_;
    boost::asio::io_context io_{1};
    boost::asio::steady_timer timer_;
    redis::client* client_ = nullptr;
};

}  // namespace

published_copy read_published(const config::settings& s) {
    published_copy out;
    auto keys = load_region_keys(s.regions, out.why_not);
    if (!out.why_not.empty()) return out;
    const auto url = config::parse_redis_url(s.registry.redis->url.view(), out.why_not);
    if (!url) return out;
    looker look(s, std::move(keys), out);
    look.run(*url);
    return out;
}

}  // namespace gatehouse::registry
