// The thread that writes what the rings hold. The sink is never waited on without a bound: what it
// does not take stays in the rings, what it refuses is counted as lost.
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <gatehouse/base/log.hpp>
#include <gatehouse/proxy/access_log.hpp>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace gatehouse::proxy {
namespace {

using clock = std::chrono::steady_clock;
constexpr int tick_ms = 100;
constexpr auto stop_limit = std::chrono::seconds(1);

std::string_view front(const iovec& piece, std::size_t bytes) noexcept {
    return {static_cast<const char*>(piece.iov_base), std::min(bytes, piece.iov_len)};
}

std::uint64_t count_lines(std::string_view s) noexcept {
    std::uint64_t n = 0;
    for (std::size_t at = s.find('\n'); at != s.npos; at = s.find('\n', at + 1))
        ++n;
    return n;
}

// Bytes behind the last line's end.
std::size_t unfinished_bytes(std::string_view s) noexcept {
    const std::size_t end = s.rfind('\n');
    return end == s.npos ? s.size() : s.size() - end - 1;
}

}  // namespace

// What the writer's thread and the log share; outlives the log when a write hangs in the kernel.
struct access_log::writer {
    enum class outcome : std::uint8_t { done, blocked, failed };

    const int wake_fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    std::mutex mutex;  // rings, next, enabled, finished; never held over a write
    std::condition_variable finished_changed;
    std::vector<std::unique_ptr<access_ring>> rings;
    std::vector<std::unique_ptr<access_sink>> next;  // to be taken, one after the other; null: off
    bool enabled = false;
    bool finished = false;
    std::atomic<bool> stopping{false}, reopening{false};
    std::atomic<std::uint64_t> written{0}, lost{0};
    std::thread thread;

    // The thread's own.
    std::vector<access_ring*> known_rings;
    std::unique_ptr<access_sink> sink;  // null: off
    std::string rest;                   // of the line that the sink ends inside
    std::size_t begun_bytes = 0;        // of that line, in the sink already
    int failing = 0;                    // the errno that was told; 0: lines are taken

    ~writer() {
        if (wake_fd >= 0) ::close(wake_fd);
    }
    void wake() const noexcept;
    void run();
    void look_around();
    std::unique_ptr<access_sink> open_again() const;
    void change_sink(std::unique_ptr<access_sink> fresh);
    outcome write_all();
    outcome write_rest();
    outcome write_ring(access_ring& ring);
    void keep_rest(access_ring& ring);
    void tell_recovery();
    outcome refused(ssize_t result);
    void give_up_rest();
    void discard_all();
    void wait(outcome last) const noexcept;
    void finish();
};

void access_log::writer::wake() const noexcept {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto ignored = ::write(wake_fd, &one, sizeof one);
}

// What others have asked for since.
void access_log::writer::look_around() {
    std::vector<std::unique_ptr<access_sink>> fresh;
    {
        const std::lock_guard lock(mutex);
        fresh.swap(next);
        if (known_rings.size() != rings.size()) {
            known_rings.clear();
            for (const auto& ring : rings)
                known_rings.push_back(ring.get());
        }
    }
    for (auto& f : fresh) {
        write_all();
        change_sink(std::move(f));
    }
    if (!reopening.exchange(false) || !fresh.empty() || !sink || !sink->is_file()) return;
    write_all();  // first, so that what comes once the new file is there is in it
    if (auto again = open_again()) change_sink(std::move(again));
}

std::unique_ptr<access_sink> access_log::writer::open_again() const {
    error_code ec;
    auto again = access_sink::open(sink->path(), ec);
    if (!again)
        log::error("access log {}: cannot be opened again: {}; going on with the old file",
                   sink->path(), ec.message());
    return again;
}

// Lines committed before were written where they went, but for what that sink did not take at once.
void access_log::writer::change_sink(std::unique_ptr<access_sink> fresh) {
    give_up_rest();
    sink = std::move(fresh);
    failing = 0;
}

access_log::writer::outcome access_log::writer::write_all() {
    if (!sink) return outcome::done;
    const std::uint64_t before = written;
    outcome o = write_rest();
    for (std::size_t i = 0; i < known_rings.size() && o == outcome::done; ++i)
        o = write_ring(*known_rings[i]);
    // Only then: a full disk takes the beginning of a line again and again.
    if (o != outcome::failed && written != before) tell_recovery();
    return o;
}

access_log::writer::outcome access_log::writer::write_rest() {
    while (!rest.empty()) {
        const iovec piece{rest.data(), rest.size()};
        const ssize_t n = sink->write(&piece, 1);
        if (n <= 0) return refused(n);
        const auto bytes = static_cast<std::size_t>(n);
        written += count_lines(front(piece, bytes));
        begun_bytes += bytes;
        rest.erase(0, bytes);
    }
    return outcome::done;
}

// What comes meanwhile is for the next tick, so that no ring keeps the others waiting.
access_log::writer::outcome access_log::writer::write_ring(access_ring& ring) {
    for (;;) {
        const access_ring::pieces pieces = ring.readable();
        const std::size_t length = pieces[0].iov_len + pieces[1].iov_len;
        if (length == 0) return outcome::done;
        const ssize_t n = sink->write(pieces.data(), pieces[1].iov_len == 0 ? 1 : 2);
        if (n <= 0) return refused(n);
        const auto bytes = static_cast<std::size_t>(n);
        const std::string_view first = front(pieces[0], bytes),
                               second = front(pieces[1], bytes - first.size());
        written += count_lines(first) + count_lines(second);
        begun_bytes = unfinished_bytes(second);
        if (begun_bytes == second.size()) begun_bytes += unfinished_bytes(first);
        ring.consume(bytes);
        if (bytes == length) return outcome::done;
        if (begun_bytes != 0) keep_rest(ring);
        if (const outcome o = write_rest(); o != outcome::done) return o;
    }
}

// The line that was cut leaves the ring, which then begins with a whole one.
void access_log::writer::keep_rest(access_ring& ring) {
    for (const iovec& piece : ring.readable()) {
        const std::string_view text = front(piece, piece.iov_len);
        const std::size_t end = text.find('\n');
        rest += text.substr(0, end == text.npos ? end : end + 1);
        if (end != text.npos) break;
    }
    ring.consume(rest.size());
}

void access_log::writer::tell_recovery() {
    if (std::exchange(failing, 0) == 0) return;
    log::info("access log {}: lines are written again; {} were lost", sink->path(), lost.load());
}

// The sink said no: it is full for now, or its disk is, or its reader is gone.
access_log::writer::outcome access_log::writer::refused(ssize_t result) {
    const int error = result < 0 ? errno : EIO;
    if (error == EAGAIN || error == EWOULDBLOCK || error == EINTR) return outcome::blocked;
    if (!rest.empty() && sink->take_back(begun_bytes)) {
        rest.clear();
        ++lost;
    }
    discard_all();
    if (std::exchange(failing, error) != error)
        log::error(
            "access log {}: {}; lines are lost until it can be written: make room or "
            "change log.access and reload",
            sink->path(), std::generic_category().message(error));
    return outcome::failed;
}

// The sink is left: it does not end inside a line where that can be helped.
void access_log::writer::give_up_rest() {
    if (rest.empty()) return;
    sink->take_back(begun_bytes);
    rest.clear();
    ++lost;
}

void access_log::writer::discard_all() {
    for (access_ring* ring : known_rings) {
        const access_ring::pieces pieces = ring->readable();
        for (const iovec& piece : pieces) {
            if (sink) lost += count_lines(front(piece, piece.iov_len));
        }
        ring->consume(pieces[0].iov_len + pieces[1].iov_len);
    }
}

void access_log::writer::wait(outcome last) const noexcept {
    pollfd fds[2] = {{.fd = wake_fd, .events = POLLIN, .revents = 0},
                     {.fd = sink ? sink->descriptor() : -1, .events = POLLOUT, .revents = 0}};
    ::poll(fds, last == outcome::blocked ? 2 : 1, sink ? tick_ms : -1);
    std::uint64_t ignored = 0;
    [[maybe_unused]] const auto n = ::read(wake_fd, &ignored, sizeof ignored);
}

void access_log::writer::run() {
    sigset_t all;
    sigfillset(&all);
    // Signals are control's; SIGPIPE is an error code here.
    pthread_sigmask(SIG_BLOCK, &all, nullptr);
    pthread_setname_np(pthread_self(), "access-log");
    clock::time_point give_up_at = clock::time_point::max();
    for (;;) {
        // Read before writing: what was committed before stop() is then in this pass or the next.
        const bool last = stopping.load(std::memory_order_acquire);
        if (last && give_up_at == clock::time_point::max()) give_up_at = clock::now() + stop_limit;
        look_around();
        const outcome o = write_all();
        if (last && (o != outcome::blocked || clock::now() >= give_up_at)) break;
        wait(o);
    }
    finish();
}

void access_log::writer::finish() {
    give_up_rest();
    discard_all();
    const std::lock_guard lock(mutex);
    finished = true;
    finished_changed.notify_all();
}

access_log::access_log(const std::string& path) : writer_(std::make_shared<writer>()) {
    if (writer_->wake_fd < 0)
        throw std::system_error(errno, std::generic_category(), "access log: eventfd");
    if (path != "off" && !path.empty()) {
        error_code ec;
        auto sink = access_sink::open(path, ec);
        if (!sink) throw std::system_error(ec, "access log " + path);
        take(std::move(sink));
    }
    // Also without a sink: a reload that brings one must not fail for want of a thread.
    writer_->thread = std::thread([shared = writer_] { shared->run(); });
}

access_log::~access_log() {
    stop();
}

access_ring* access_log::make_ring() {
    const std::lock_guard lock(writer_->mutex);
    writer_->rings.push_back(std::make_unique<access_ring>(writer_->enabled, writer_->wake_fd));
    return writer_->rings.back().get();
}

void access_log::take(std::unique_ptr<access_sink> next) {
    auto& w = *writer_;
    const std::lock_guard lock(w.mutex);
    w.enabled = next != nullptr;
    w.next.push_back(std::move(next));
    for (const auto& ring : w.rings)
        ring->enable(w.enabled);
    w.wake();
}

void access_log::reopen() noexcept {
    writer_->reopening = true;
    writer_->wake();
}

void access_log::stop() noexcept {
    auto& w = *writer_;
    if (!w.thread.joinable()) return;
    w.stopping.store(true, std::memory_order_release);
    w.wake();
    std::unique_lock lock(w.mutex);
    const bool ended = w.finished_changed.wait_for(
        lock, stop_limit + std::chrono::milliseconds(200), [&w] { return w.finished; });
    lock.unlock();
    if (ended)
        w.thread.join();
    else
        w.thread.detach();  // stuck in the kernel; it owns what it touches
}

std::uint64_t access_log::lines_written() const noexcept {
    return writer_->written.load();
}

std::uint64_t access_log::lines_lost() const noexcept {
    return writer_->lost.load();
}

}  // namespace gatehouse::proxy
