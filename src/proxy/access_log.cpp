// The access log's formatting, its rings and the thread that writes. The sink is never waited on
// without a bound: what it does not take is kept for a moment, then counted as lost.
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <gatehouse/base/log.hpp>
#include <gatehouse/base/text.hpp>
#include <gatehouse/proxy/access_log.hpp>

#include <chrono>
#include <condition_variable>
#include <ctime>
#include <iterator>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

namespace gatehouse::proxy {
namespace {

using clock = std::chrono::steady_clock;
constexpr int idle_wait_ms = 50;
constexpr auto stop_limit = std::chrono::seconds(1);
constexpr std::size_t batch_bytes = 256 * 1024;

void append(fmt::memory_buffer& out, std::string_view s) {
    out.append(s.data(), s.data() + s.size());
}

bool plain_json(std::string_view s) noexcept {
    for (const char c : s) {
        const auto u = static_cast<unsigned char>(c);
        if (u < 0x20 || u >= 0x7f || c == '"' || c == '\\') return false;
    }
    return true;
}

void append_text(fmt::memory_buffer& out, std::string_view key, std::string_view value) {
    append(out, key);
    if (plain_json(value))
        append(out, value);
    else
        append(out, json_escape(value));
    out.push_back('"');
}

void append_number(fmt::memory_buffer& out, std::string_view key, std::uint64_t value) {
    append(out, key);
    const fmt::format_int text(value);
    out.append(text.data(), text.data() + text.size());
}

// The seconds' part changes once a second; the writer formats thousands of lines within it.
void append_time(fmt::memory_buffer& out, std::int64_t time_us) {
    struct cache {
        std::int64_t second = -1;
        char text[32]{};
        std::size_t length = 0;
    };
    static thread_local cache last;
    std::int64_t second = time_us / 1'000'000;
    std::int64_t us = time_us % 1'000'000;
    if (us < 0) us += 1'000'000, second -= 1;
    if (second != last.second) {
        const std::time_t t = second;
        std::tm tm{};
        gmtime_r(&t, &tm);
        last.length = std::strftime(last.text, sizeof last.text, "%Y-%m-%dT%H:%M:%S", &tm);
        last.second = second;
    }
    append(out, {last.text, last.length});
    fmt::format_to(std::back_inserter(out), ".{:06}Z\"", us);
}

std::string_view tls_text(std::uint8_t minor) noexcept {
    return minor == 3 ? "1.3" : minor == 2 ? "1.2" : "";
}

}  // namespace

void access_record::clear() noexcept {
    time_us = 0;
    bytes_in = bytes_out = total_us = 0;
    handshake_us = queue_us = connect_us = first_byte_us = 0;
    status = 0;
    problem = gatehouse::problem::none;
    stage = gatehouse::stage::accept;
    attempts = tls_minor = 0;
    resumed = false;
    request_id.length = tenant.length = parent.length = route.length = upstream.length = 0;
    decision.length = region.length = method.length = client.length = host.length = path.length = 0;
}

void format_record(fmt::memory_buffer& out, const access_record& r) {
    append(out, R"({"time":")");
    append_time(out, r.time_us);
    append_text(out, R"(,"request_id":")", r.request_id.view());
    append_text(out, R"(,"tenant":")", r.tenant.view());
    append_text(out, R"(,"parent":")", r.parent.view());
    append_text(out, R"(,"route":")", r.route.view());
    append_text(out, R"(,"region":")", r.region.view());
    append_text(out, R"(,"method":")", r.method.view());
    append_text(out, R"(,"host":")", r.host.view());
    append_text(out, R"(,"path":")", r.path.view());
    append_number(out, R"(,"status":)", r.status);
    append_text(out, R"(,"problem":")",
                r.problem == problem::none ? std::string_view{} : row(r.problem).type);
    append_text(out, R"(,"stage":")", name(r.stage));
    append_text(out, R"(,"decision":")", r.decision.view());
    append_text(out, R"(,"upstream":")", r.upstream.view());
    append_number(out, R"(,"attempts":)", r.attempts);
    append_number(out, R"(,"bytes_in":)", r.bytes_in);
    append_number(out, R"(,"bytes_out":)", r.bytes_out);
    append_number(out, R"(,"handshake_us":)", r.handshake_us);
    append_number(out, R"(,"queue_us":)", r.queue_us);
    append_number(out, R"(,"connect_us":)", r.connect_us);
    append_number(out, R"(,"first_byte_us":)", r.first_byte_us);
    append_number(out, R"(,"total_us":)", r.total_us);
    append_text(out, R"(,"tls":")", tls_text(r.tls_minor));
    append(out, r.resumed ? R"(,"resumed":true)" : R"(,"resumed":false)");
    append_text(out, R"(,"client":")", r.client.view());
    append(out, "}\n");
}

access_record* access_ring::begin() noexcept {
    if (!enabled_) return nullptr;
    if (!records_) records_.reset(new (std::nothrow) access_record[capacity]);
    const auto at = written_.load(std::memory_order_relaxed);
    if (at - read_seen_ >= capacity) read_seen_ = read_.load(std::memory_order_acquire);
    if (!records_ || at - read_seen_ >= capacity) {
        dropped_.store(dropped_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
        return nullptr;
    }
    auto* r = &records_[at % capacity];
    r->clear();
    return r;
}

void access_ring::commit() noexcept {
    const auto at = written_.load(std::memory_order_relaxed) + 1;
    written_.store(at, std::memory_order_release);
    // Twice a lap, so that the writer is awake before a ring that was empty is full.
    if (at % (capacity / 2) == 0 && wake_fd_ >= 0) {
        const std::uint64_t one = 1;
        [[maybe_unused]] const auto ignored = ::write(wake_fd_, &one, sizeof one);
    }
}

bool access_ring::push(const access_record& r) noexcept {
    auto* slot = begin();
    if (slot == nullptr) return false;
    *slot = r;
    commit();
    return true;
}

const access_record* access_ring::front() noexcept {
    const auto at = read_.load(std::memory_order_relaxed);
    if (at == written_seen_) written_seen_ = written_.load(std::memory_order_acquire);
    return at == written_seen_ ? nullptr : &records_[at % capacity];
}

void access_ring::pop() noexcept {
    read_.store(read_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
}

// What the writer's thread and the log share; outlives the log when a write hangs in the kernel.
struct access_log::writer {
    enum class sink : std::uint8_t { off, file, standard };
    enum class outcome : std::uint8_t { done, blocked, failed };

    std::string path;
    sink kind = sink::off;
    int fd = -1;
    int wake_fd = -1;
    bool is_socket = false;
    bool small_writes = false;  // a blocking pipe: only what a poll has promised to take

    std::mutex mutex;  // rings, finished
    std::condition_variable finished_changed;
    std::vector<std::unique_ptr<access_ring>> rings;
    bool finished = false;
    std::atomic<bool> stopping{false}, reopening{false};
    std::atomic<std::uint64_t> written{0}, lost{0};
    std::thread thread;

    // The thread's own.
    fmt::memory_buffer out;
    std::size_t sent = 0;
    bool torn = false;  // the sink ends inside a line
    std::size_t next_ring = 0;
    log::limiter complain{1};

    explicit writer(const std::string& p);
    ~writer();
    int open_file() const noexcept;
    void open_standard();
    void take_new_file() noexcept;
    bool collect();
    outcome flush() noexcept;
    void give_up(int error) noexcept;
    void wait(bool blocked) noexcept;
    void run();
};

access_log::writer::writer(const std::string& p) : path(p) {
    if (path == "off" || path.empty()) return;
    wake_fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (wake_fd < 0) throw std::system_error(errno, std::generic_category(), "access log: eventfd");
    if (path == "stdout") {
        kind = sink::standard;
        open_standard();
    } else {
        kind = sink::file;
        fd = open_file();
    }
    if (fd < 0) {
        const int error = errno;
        ::close(wake_fd);
        throw std::system_error(error, std::generic_category(), "access log " + path);
    }
}

access_log::writer::~writer() {
    if (fd >= 0) ::close(fd);
    if (wake_fd >= 0) ::close(wake_fd);
}

int access_log::writer::open_file() const noexcept {
    return ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
                  0640);
}

// Standard output is shared with whoever started us, so its flags are not ours to change: a pipe
// or terminal is opened once more, non-blocking; a socket is asked not to wait at each send.
void access_log::writer::open_standard() {
    struct stat s {};
    if (::fstat(STDOUT_FILENO, &s) != 0) return;
    is_socket = S_ISSOCK(s.st_mode);
    if (S_ISFIFO(s.st_mode) || S_ISCHR(s.st_mode)) {
        fd = ::open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
        if (fd >= 0) return;
        small_writes = true;
    }
    fd = ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
}

void access_log::writer::take_new_file() noexcept {
    if (!reopening.exchange(false) || kind != sink::file) return;
    const int fresh = open_file();
    if (fresh < 0) {
        const int error = errno;
        log::error("access log {}: cannot be opened again: {}; going on with the old file", path,
                   std::generic_category().message(error));
        return;
    }
    ::close(fd);
    fd = fresh;
    torn = false;
    // The line that was cut off goes whole into the new file.
    while (sent > 0 && out[sent - 1] != '\n')
        --sent;
}

// Formats what the rings hold, each in its turn, up to a batch. False: there was nothing.
bool access_log::writer::collect() {
    out.clear();
    sent = 0;
    const std::lock_guard lock(mutex);
    for (std::size_t n = 0; n < rings.size() && out.size() < batch_bytes; ++n) {
        auto& ring = *rings[next_ring++ % rings.size()];
        for (const auto* r = ring.front(); r != nullptr && out.size() < batch_bytes;
             r = ring.front()) {
            format_record(out, *r);
            ring.pop();
        }
    }
    return out.size() != 0;
}

access_log::writer::outcome access_log::writer::flush() noexcept {
    while (sent < out.size()) {
        if (small_writes) {
            pollfd p{.fd = fd, .events = POLLOUT, .revents = 0};
            if (::poll(&p, 1, 0) <= 0) return outcome::blocked;
        }
        const char* from = out.data() + sent;
        std::size_t n = out.size() - sent;
        if (small_writes) n = std::min<std::size_t>(n, 4096);
        if (torn) from = "\n", n = 1;
        const auto done =
            is_socket ? ::send(fd, from, n, MSG_DONTWAIT | MSG_NOSIGNAL) : ::write(fd, from, n);
        if (done < 0 && errno == EINTR) continue;
        if (done < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return outcome::blocked;
        if (done <= 0) {
            give_up(done < 0 ? errno : EIO);
            return outcome::failed;
        }
        if (torn) {
            torn = false;
            continue;
        }
        written += static_cast<std::uint64_t>(std::count(from, from + done, '\n'));
        sent += static_cast<std::size_t>(done);
    }
    return outcome::done;
}

void access_log::writer::give_up(int error) noexcept {
    const auto lines =
        static_cast<std::uint64_t>(std::count(out.data() + sent, out.data() + out.size(), '\n'));
    lost += lines;
    if (sent > 0 && out[sent - 1] != '\n') torn = true;
    sent = out.size();
    std::uint64_t suppressed = 0;
    if (complain.allow(&suppressed))
        log::error("access log {}: {}; {} lines lost so far", path,
                   std::generic_category().message(error), lost.load());
}

void access_log::writer::wait(bool blocked) noexcept {
    pollfd fds[2] = {{.fd = wake_fd, .events = POLLIN, .revents = 0},
                     {.fd = fd, .events = POLLOUT, .revents = 0}};
    ::poll(fds, blocked ? 2 : 1, idle_wait_ms);
    std::uint64_t ignored = 0;
    [[maybe_unused]] const auto n = ::read(wake_fd, &ignored, sizeof ignored);
}

void access_log::writer::run() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all,
                    nullptr);  // signals are control's; SIGPIPE is an error code here
    pthread_setname_np(pthread_self(), "access-log");
    clock::time_point give_up_at = clock::time_point::max();
    while (clock::now() < give_up_at) {
        // Read before collecting: what was pushed before stop() is then in this or the next batch.
        const bool last = stopping.load(std::memory_order_acquire);
        if (last && give_up_at == clock::time_point::max()) give_up_at = clock::now() + stop_limit;
        take_new_file();
        const bool more = sent < out.size() || collect();
        const auto result = flush();
        if (last && !more) break;
        if (!more || result == outcome::blocked) wait(result == outcome::blocked);
    }
    if (sent < out.size()) give_up(ETIMEDOUT);
    std::uint64_t left = 0;
    const std::lock_guard lock(mutex);
    for (auto& ring : rings) {
        for (; ring->front() != nullptr; ring->pop())
            ++left;
    }
    lost += left;
    finished = true;
    finished_changed.notify_all();
}

access_log::access_log(const std::string& path) : writer_(std::make_shared<writer>(path)) {
    if (writer_->kind == writer::sink::off) return;
    writer_->thread = std::thread([w = writer_] { w->run(); });
}

access_log::~access_log() {
    stop();
}

bool access_log::enabled() const noexcept {
    return writer_->kind != writer::sink::off;
}

access_ring* access_log::make_ring() {
    const std::lock_guard lock(writer_->mutex);
    writer_->rings.push_back(std::make_unique<access_ring>(enabled(), writer_->wake_fd));
    return writer_->rings.back().get();
}

void access_log::reopen() noexcept {
    if (!enabled()) return;
    writer_->reopening = true;
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto ignored = ::write(writer_->wake_fd, &one, sizeof one);
}

void access_log::stop() noexcept {
    auto& w = *writer_;
    if (!w.thread.joinable()) return;
    w.stopping.store(true, std::memory_order_release);
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto ignored = ::write(w.wake_fd, &one, sizeof one);
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
