#include "upgrade.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <gatehouse/base/log.hpp>
#include <gatehouse/base/units.hpp>

namespace gatehouse::server {

namespace json = boost::json;

upgrade::upgrade(dependencies d) : d_(std::move(d)), timer_(d_.control) {}

std::string upgrade::start(std::chrono::milliseconds patience) {
    if (status_.under_way()) return fmt::format("an upgrade is under way already, to process {}", status_.pid);
    if (status_.at == step::done) return fmt::format("process {} serves already, this one is ending", status_.pid);
    status_ = {.at = step::starting, .pid = 0, .from = ::getpid(), .version = {}, .why = {}};
    log::info("upgrade: {} is started, and has {} to get ready", program::own().path, to_text(patience));
    patience_ = patience;
    wait();
    d_.sockets([this](std::vector<int> fds) { launch(std::move(fds)); });
    return {};
}

void upgrade::wait() {
    timer_.expires_after(patience_);
    timer_.async_wait([this](const boost::system::error_code& ec) {
        if (ec || timer_.expiry() > std::chrono::steady_clock::now()) return;   // cancelled, or set anew in the same turn
        abandon(fmt::format("process {} {} within {} (timeouts.upgrade)", status_.pid,
                            status_.at == step::switching ? "did not serve" : "was not ready", to_text(patience_)));
    });
}

void upgrade::launch(std::vector<int> sockets) {
    std::string why = "the node ended meanwhile";
    int fd = -1;
    if (status_.at == step::starting) why = next_.start(d_.lock(), sockets, fd);
    for (const int s : sockets) ::close(s);
    if (!why.empty()) return abandon(why);
    status_.pid = next_.pid();
    talk_ = std::make_unique<talk>(d_.control, fd, [this](const json::object& o) { said(o); }, [this] { ended(); });
}

void upgrade::said(const json::object& o) {
    const auto text = [&o](std::string_view key) {
        const json::value* v = o.if_contains(key);
        return v != nullptr && v->is_string() ? std::string(v->get_string()) : std::string();
    };
    const std::string word = text("step");
    if (word == "failed") {
        abandon(fmt::format("process {}: {}", status_.pid, text("why")));
    } else if (word == "prepared" && status_.at == step::starting) {
        status_.version = text("version");
        status_.at = step::pausing;
        d_.pause([this] {
            if (status_.at != step::pausing) return;
            status_.at = step::loading;
            json::object state = d_.state();
            state["step"] = "take";
            state["pid"] = status_.from;
            talk_->say(state);
        });
    } else if (word == "ready" && status_.at == step::loading) {
        status_.at = step::switching;
        d_.let_go();
        wait();
        talk_->say({{"step", "go"}});
    } else if (word == "serving" && status_.at == step::switching) {
        status_.at = step::done;
        timer_.cancel();
        log::info("upgrade: process {} serves; this one finishes what it has", status_.pid);
        d_.handed_over();
    }
}

void upgrade::ended() {
    abandon(fmt::format("process {} ended before it was ready; the log says why, or try: gatehouse check", status_.pid));
}

void upgrade::abandon(const std::string& why) {
    if (!status_.under_way()) return;
    const bool paused = status_.holds_changes();
    timer_.cancel();
    next_.kill();
    talk_.reset();
    status_.at = step::failed;
    status_.why = why;
    log::error("upgrade: given up, this node goes on: {}", why);
    if (paused) d_.go_on();
}

void upgrade::say(const json::object& o) {
    if (talk_) talk_->say(o);
}

}  // namespace gatehouse::server
