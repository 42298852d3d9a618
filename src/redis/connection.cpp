#include "connection.hpp"

#include <hiredis/async.h>
#include <hiredis/hiredis.h>

#include <exception>
#include <new>
#include <vector>

namespace gatehouse::redis {

namespace asio = boost::asio;

// What hiredis calls. Nothing here calls hiredis, Asio's waits or the owner, and nothing throws.
struct connection::hooks {
    static connection& self(void* p) noexcept { return *static_cast<connection*>(p); }

    static void add_read(void* p) noexcept { self(p).want_read_ = true; }
    static void del_read(void* p) noexcept { self(p).want_read_ = false; }
    static void add_write(void* p) noexcept { self(p).want_write_ = true; }
    static void del_write(void* p) noexcept { self(p).want_write_ = false; }

    // The last moment at which context and descriptor are there; hiredis closes both after it.
    static void cleanup(void* p) noexcept {
        connection& c = self(p);
        if (c.context_ == nullptr) return;
        try {
            c.why_ = c.context_->c.errstr;
            if (c.descriptor_.is_open()) c.descriptor_.release();
        } catch (const std::exception&) {
            c.out_of_memory_ = true;
        }
        c.context_ = nullptr;
    }

    static void on_connect(const redisAsyncContext* context, int status) noexcept {
        if (status == REDIS_OK) self(context->data).connected_ = true;
    }

    // Null: the context is being freed with this command unanswered.
    static void on_reply(redisAsyncContext* context, void* built, void*) noexcept {
        if (built == nullptr) return;
        connection& c = self(context->data);
        c.builder_.complete();
        try {
            c.replies_.push_back(std::move(*static_cast<reply*>(built)));
        } catch (const std::bad_alloc&) {
            c.out_of_memory_ = true;
        }
    }
};

connection::connection(asio::io_context& io, std::uint64_t reply_bytes_max,
                       std::function<void()> on_progress)
    : descriptor_(io), on_progress_(std::move(on_progress)), builder_(reply_bytes_max) {}

connection::~connection() {
    close();
}

std::string connection::open(const config::redis_url::server& s) {
    context_ = s.port == 0 ? ::redisAsyncConnectUnix(s.host.c_str())
                           : ::redisAsyncConnect(s.host.c_str(), s.port);
    if (context_ == nullptr) return "no memory for a connection";
    if (context_->err != 0) {
        const std::string why = context_->c.errstr;
        free_context();
        return why;
    }
    boost::system::error_code ec;
    descriptor_.assign(context_->c.fd, ec);
    if (ec) {
        free_context();
        return ec.message();
    }
    context_->data = this;
    context_->ev.data = this;
    context_->ev.addRead = &hooks::add_read;
    context_->ev.delRead = &hooks::del_read;
    context_->ev.addWrite = &hooks::add_write;
    context_->ev.delWrite = &hooks::del_write;
    context_->ev.cleanup = &hooks::cleanup;
    builder_.attach(*context_->c.reader);
    ::redisAsyncSetConnectCallback(context_, &hooks::on_connect);
    arm();
    return {};
}

bool connection::write(command c) {
    if (context_ == nullptr) return false;
    std::vector<const char*> texts;
    std::vector<std::size_t> sizes;
    texts.reserve(c.size());
    sizes.reserve(c.size());
    for (const std::string_view part : c) {
        texts.push_back(part.empty() ? "" : part.data());
        sizes.push_back(part.size());
    }
    if (::redisAsyncCommandArgv(context_, &hooks::on_reply, nullptr, static_cast<int>(c.size()),
                                texts.data(), sizes.data()) != REDIS_OK)
        return false;
    builder_.expect();
    arm();
    return true;
}

// No callback of hiredis is running whenever the owner may call this, so it frees at once.
void connection::close() noexcept {
    on_progress_ = nullptr;
    if (context_ != nullptr) free_context();
}

// Ends in hooks::cleanup where that is set.
void connection::free_context() noexcept {
    redisAsyncContext* const context = context_;
    ::redisAsyncFree(context);
    context_ = nullptr;
}

std::string connection::why() const {
    if (builder_.too_large()) return "a reply is larger than the limit";
    if (builder_.unasked()) return "a reply without a command: " + builder_.unasked_text();
    if (out_of_memory_) return "out of memory";
    return why_.empty() ? "the connection ended" : why_;
}

void connection::run(handle* h) {
    h(context_);
    if (context_ != nullptr && (out_of_memory_ || !builder_.within_bound(*context_->c.reader)))
        free_context();
    if (context_ != nullptr) arm();
    // A copy: the owner may close this connection, and with it this function, from within.
    if (const auto tell = on_progress_) tell();
}

void connection::arm() {
    using asio::posix::stream_descriptor;
    if (want_read_ && !waits_read_) {
        waits_read_ = true;
        descriptor_.async_wait(stream_descriptor::wait_read,
                               [self = shared_from_this()](boost::system::error_code ec) {
                                   self->waits_read_ = false;
                                   if (!ec && !self->ended()) self->run(&::redisAsyncHandleRead);
                               });
    }
    if (want_write_ && !waits_write_) {
        waits_write_ = true;
        descriptor_.async_wait(stream_descriptor::wait_write,
                               [self = shared_from_this()](boost::system::error_code ec) {
                                   self->waits_write_ = false;
                                   if (ec || self->ended()) return;
                                   if (self->want_write_) self->run(&::redisAsyncHandleWrite);
                               });
    }
}

}  // namespace gatehouse::redis
