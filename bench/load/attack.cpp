/* A tenant that misbehaves, over TLS at 127.0.0.1. Says "ready" when it is under way, goes on for
   SECONDS more, and ends with a line of JSON that tells what it was answered.

   attack handshakes PORT HOST CLIENTS SECONDS
       Each client without a pause: connect, full handshake, one GET, close.
   attack cold PORT HOSTS CLIENTS SECONDS FIRST
       The same for www.customer-N.example of make_certs, N from FIRST on in turn, below HOSTS.
   attack drip PORT HOST CONNECTIONS SECONDS
       A head a byte a second on each connection, without an end; who is closed comes back.
   attack bodies PORT HOST CLIENTS SECONDS
       Each client in turn: sends 10 MiB to /up, gets 10 MiB from /big.
   attack slow PORT HOST CONNECTIONS SECONDS
       Each connection asks for /slow again as soon as it is answered, after a second if with an
   error. */
#include "tls_load.hpp"

#include <vector>

namespace {

class attack : public load::actor {
 public:
    attack(int port, std::string host, std::size_t connections)
        : engine_(port, *this), all_(connections), host_(std::move(host)) {
        for (std::size_t i = 0; i < all_.size(); ++i) {
            all_[i].number = i;
            all_[i].host = host_;
        }
    }
    /// Until the attack is under way.
    virtual void begin() { open_all(0); }
    virtual void go_on_until(std::int64_t end_ns) { engine_.wait(end_ns); }

    void run(double seconds) {
        begin();
        load::say_ready();
        go_on_until(load::now_ns() + static_cast<std::int64_t>(seconds * 1e9));
        std::printf("%s\n", answers_.text().c_str());
    }

    void answered(load::connection&, int status) override { answers_.add(status); }
    void lost(load::connection& c) override {
        answers_.add(0);
        engine_.open(c);
    }

 protected:
    void open_all(std::int64_t pause_ns) {
        for (load::connection& c : all_) {
            engine_.open(c);
            engine_.wait(load::now_ns() + pause_ns);
        }
    }

    load::engine engine_;
    std::vector<load::connection> all_;
    std::string host_;
    load::tally answers_;
};

class handshakes : public attack {
 public:
    /// `hosts` 0: always the same.
    handshakes(int port, std::string host, std::size_t clients, long hosts, long first)
        : attack(port, std::move(host), clients), hosts_(hosts), next_(first) {
        for (load::connection& c : all_)
            name(c);
    }
    void opened(load::connection& c) override {
        engine_.send(c, load::get(c.host, "/", "Connection: close\r\n"));
    }
    void answered(load::connection& c, int status) override {
        attack::answered(c, status);
        engine_.close(c);
        name(c);
        engine_.open(c);
    }
    void lost(load::connection& c) override {
        name(c);
        attack::lost(c);
    }

 private:
    void name(load::connection& c) {
        if (hosts_ == 0) return;
        char host[64];
        std::snprintf(host, sizeof host, "www.customer-%06ld.example", next_++ % hosts_);
        c.host = host;
    }

    long hosts_, next_;
};

class drip : public attack {
 public:
    using attack::attack;
    void begin() override { open_all(2'000'000); }
    void go_on_until(std::int64_t end_ns) override {
        const std::int64_t pause = 1'000'000'000 / static_cast<std::int64_t>(all_.size());
        std::int64_t next = load::now_ns();
        for (std::size_t i = 0; next < end_ns && !load::ended; i = (i + 1) % all_.size()) {
            engine_.wait(next += pause);
            load::connection& c = all_[i];
            if (c.at == load::connection::phase::closed) {
                engine_.open(c);
            } else if (c.at == load::connection::phase::open) {
                static const std::string_view text = "GET / HTTP/1.1\r\nX-Slow: ";
                engine_.send(c, sent_[i] < text.size() ? text.substr(sent_[i], 1) : "a");
                ++sent_[i];
            }
        }
    }
    void opened(load::connection& c) override { sent_[c.number] = 0; }
    void lost(load::connection& c) override {
        sent_[c.number] = 0;
        answers_.add(0);  // go_on_until opens it at its next turn
    }

 private:
    std::vector<std::size_t> sent_ = std::vector<std::size_t>(all_.size());
};

class bodies : public attack {
 public:
    using attack::attack;
    void opened(load::connection& c) override { ask(c); }
    void answered(load::connection& c, int status) override {
        attack::answered(c, status);
        ask(c);
    }

 private:
    void ask(load::connection& c) {
        constexpr std::size_t body_bytes = 10 * 1024 * 1024;
        sends_[c.number] = !sends_[c.number];
        if (!sends_[c.number]) return engine_.send(c, load::get(host_, "/big"));
        engine_.send(c,
                     "POST /up HTTP/1.1\r\nHost: " + host_ +
                         "\r\nContent-Length: " + std::to_string(body_bytes) + "\r\n\r\n",
                     body_bytes);
    }

    std::vector<bool> sends_ = alternating();
    std::vector<bool> alternating() const {
        std::vector<bool> out(all_.size());
        for (std::size_t i = 0; i < out.size(); i += 2)
            out[i] = true;
        return out;
    }
};

class slow : public attack {
 public:
    using attack::attack;
    void begin() override {
        open_all(2'000'000);
        go_on_until(load::now_ns() + 500'000'000);
    }
    void go_on_until(std::int64_t end_ns) override {
        while (load::now_ns() < end_ns && !load::ended) {
            engine_.wait(std::min(end_ns, load::now_ns() + 10'000'000));
            for (load::connection& c : all_)
                if (again_ns_[c.number] != 0 && load::now_ns() >= again_ns_[c.number]) ask_again(c);
        }
    }
    void opened(load::connection& c) override { engine_.send(c, load::get(host_, "/slow")); }
    void answered(load::connection& c, int status) override {
        attack::answered(c, status);
        if (status == 200) return opened(c);
        again_ns_[c.number] = load::now_ns() + 1'000'000'000;
    }
    void lost(load::connection& c) override {
        answers_.add(0);
        again_ns_[c.number] = load::now_ns() + 1'000'000'000;
    }

 private:
    void ask_again(load::connection& c) {
        again_ns_[c.number] = 0;
        if (c.at == load::connection::phase::closed) return engine_.open(c);
        opened(c);
    }

    std::vector<std::int64_t> again_ns_ =
        std::vector<std::int64_t>(all_.size());  // 0: asked, or being opened
};

}  // namespace

int main(int argc, char** argv) {
    const std::string_view kind = argc > 1 ? argv[1] : "";
    if (argc != (kind == "cold" ? 7 : 6)) {
        std::fprintf(stderr, "usage: see the head of attack.cpp\n");
        return 2;
    }
    load::prepare();
    const int port = std::atoi(argv[2]);
    const auto count = static_cast<std::size_t>(std::atol(argv[4]));
    const double seconds = std::atof(argv[5]);
    if (kind == "handshakes") handshakes(port, argv[3], count, 0, 0).run(seconds);
    if (kind == "cold")
        handshakes(port, "", count, std::atol(argv[3]), std::atol(argv[6])).run(seconds);
    if (kind == "drip") drip(port, argv[3], count).run(seconds);
    if (kind == "bodies") bodies(port, argv[3], count).run(seconds);
    if (kind == "slow") slow(port, argv[3], count).run(seconds);
}
