/* Requests at the times they were planned for, whatever became of those before: a Poisson process
   of RATE a second, the same one in every run, on kept-alive TLS connections that take turns. A
   request whose connections are all busy waits for a free one. Its time runs from when it was
   planned to the last byte of its answer, so a proxy that stalls is not asked less for it.

   open_loop PORT HOST RATE CONNECTIONS SECONDS [FILE]
       Says "ready" when all connections are open, then asks until SIGTERM, at most so many SECONDS.
       FILE: a line a request, of when it was planned (nanoseconds of CLOCK_MONOTONIC), what it
   took, and its status (0: its connection was lost, or nothing came for 3 s after the end). At the
   end: a line of JSON with statuses, and by how much the client itself was late. */
#include "tls_load.hpp"

#include <algorithm>
#include <deque>
#include <random>
#include <vector>

namespace {

class open_loop : public load::actor {
 public:
    open_loop(int port, const std::string& host, double rate, std::size_t connections,
              double seconds)
        : engine_(port, *this),
          request_(load::get(host)),
          all_(connections),
          asked_(connections),
          mean_ns_(1e9 / rate),
          seconds_(seconds) {
        for (std::size_t i = 0; i < all_.size(); ++i) {
            all_[i].number = i;
            all_[i].host = host;
        }
    }

    void run() {
        for (load::connection& c : all_)
            engine_.open(c);
        const std::int64_t latest = load::now_ns() + 5'000'000'000;
        while (idle_.size() < all_.size() && load::now_ns() < latest)
            engine_.wait(load::now_ns() + 1'000'000);
        if (idle_.empty()) load::fail("no connection could be opened");
        load::say_ready();
        ask_as_planned();
        const std::int64_t patience = load::now_ns() + 3'000'000'000;
        load::ended = 0;  // from here on wait() is to wait
        while (left_ > 0 && load::now_ns() < patience)
            engine_.wait(load::now_ns() + 1'000'000);
        for (request& r : requests_)
            if (r.took_ns < 0) r.took_ns = load::now_ns() - r.planned_ns;
    }

    void write(const char* file) const {
        FILE* f = std::fopen(file, "w");
        if (!f) load::fail(file);
        for (const request& r : requests_)
            std::fprintf(f, "%lld,%lld,%d\n", static_cast<long long>(r.planned_ns),
                         static_cast<long long>(r.took_ns), r.status);
        if (std::fclose(f) != 0) load::fail(file);
    }

    void report() const {
        load::tally statuses;
        std::vector<std::int64_t> late;
        for (const request& r : requests_) {
            statuses.add(r.status);
            if (r.late_ns >= 0) late.push_back(r.late_ns);
        }
        std::sort(late.begin(), late.end());
        std::printf("{\"answers\": %s, \"reopened\": %ld, \"client_late_p99_us\": %.1f}\n",
                    statuses.text().c_str(), reopened_,
                    late.empty() ? 0.0 : static_cast<double>(late[late.size() * 99 / 100]) / 1e3);
    }

    void opened(load::connection& c) override {
        idle_.push_back(&c);
        serve();
    }

    void answered(load::connection& c, int status) override {
        finish(c, status);
        idle_.push_back(&c);
        serve();
    }

    void lost(load::connection& c) override {
        if (!finish(c, 0)) std::erase(idle_, &c);
        ++reopened_;
        engine_.open(c);
    }

 private:
    struct request {
        std::int64_t planned_ns = 0;
        std::int64_t took_ns = -1;  // no answer yet
        std::int64_t late_ns =
            -1;  // sent so late though a connection was free; -1: it waited for one
        int status = 0;
    };

    void ask_as_planned() {
        std::mt19937_64 random(20240);
        std::exponential_distribution<double> gap(1.0 / mean_ns_);
        const std::int64_t end = load::now_ns() + static_cast<std::int64_t>(seconds_ * 1e9);
        double next = static_cast<double>(load::now_ns());
        while (!load::ended) {
            next += gap(random);
            const auto planned = static_cast<std::int64_t>(next);
            if (planned > end) return;
            engine_.wait(planned);
            if (load::ended) return;
            requests_.push_back({.planned_ns = planned});
            ++left_;
            waiting_.push_back(requests_.size() - 1);
            if (waiting_.size() == 1 && !idle_.empty())
                requests_.back().late_ns = load::now_ns() - planned;
            serve();
        }
    }

    void serve() {
        while (!waiting_.empty() && !idle_.empty()) {
            load::connection& c = *idle_.front();
            idle_.pop_front();
            asked_[c.number] = static_cast<long>(waiting_.front()) + 1;
            waiting_.pop_front();
            engine_.send(c, request_);
        }
    }

    /// False: nothing was asked on it.
    bool finish(load::connection& c, int status) {
        const long asked = std::exchange(asked_[c.number], 0);
        if (asked == 0) return false;
        request& r = requests_[static_cast<std::size_t>(asked) - 1];
        r.took_ns = load::now_ns() - r.planned_ns;
        r.status = status;
        --left_;
        return true;
    }

    load::engine engine_;
    std::string request_;
    std::vector<load::connection> all_;
    std::vector<long> asked_;  // the request on each connection, plus one; 0: none
    std::deque<load::connection*> idle_;
    std::deque<std::size_t> waiting_;
    std::vector<request> requests_;
    double mean_ns_, seconds_;
    long left_ = 0, reopened_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
    if (argc < 6 || argc > 7) {
        std::fprintf(stderr, "usage: see the head of open_loop.cpp\n");
        return 2;
    }
    load::prepare();
    open_loop l(std::atoi(argv[1]), argv[2], std::atof(argv[3]),
                static_cast<std::size_t>(std::atol(argv[4])), std::atof(argv[5]));
    l.run();
    if (argc == 7) l.write(argv[6]);
    l.report();
}
