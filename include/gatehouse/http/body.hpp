// Message bodies: where they end. Decodes none/length/chunked/until-close in place; writes chunk
// heads. Own chunk framing: strict (edge rules), trailers dropped. Pure; one thread an object.
#pragma once

#include <cstddef>
#include <cstdint>
#include <gatehouse/http/head.hpp>
#include <string_view>

namespace gatehouse::http {

class body_decoder {
 public:
    void start(body_kind kind, std::uint64_t content_length) noexcept;
    struct step {
        std::size_t consumed = 0;  // of the input; call again with the rest while progress is made
        std::string_view data;     // body bytes to pass on, a view into the input; may be empty
        bool done = false;         // the body (and its trailers) ended after `consumed`
        const char* error = nullptr;  // framing broken; a short sentence
    };
    // One piece at a time: data is contiguous; returns with consumed == 0 and no data when it needs
    // more.
    step next(std::string_view input) noexcept;
    bool done() const noexcept;
    // The peer closed: right for until_close (then done), truncation for the rest. True when in
    // order.
    bool finish() noexcept;
    body_kind kind() const noexcept { return kind_; }
    // length: what is still to come; 0 otherwise.
    std::uint64_t remaining() const noexcept { return kind_ == body_kind::length ? remaining_ : 0; }

 private:
    enum class at : std::uint8_t {
        size,
        size_digits,
        extension,
        extension_quoted,
        extension_escape,
        size_lf,
        data,
        data_cr,
        data_lf,
        trailer_start,
        trailer_name,
        trailer_value,
        trailer_lf,
        end_lf,
        done,
        broken,
    };
    const char* frame(std::string_view input, std::size_t& i) noexcept;
    const char* size_byte(char c) noexcept;
    const char* extension_byte(char c) noexcept;
    const char* trailer_byte(char c) noexcept;
    const char* size_ended() noexcept;

    body_kind kind_ = body_kind::none;
    at at_ = at::done;
    std::uint64_t remaining_ = 0;
    std::uint32_t extension_bytes_ = 0, trailer_bytes_ = 0;
    std::uint8_t digits_ = 0;
};

// "1a2b\r\n" into `out`; returns the length. `bytes` > 0.
inline constexpr std::size_t chunk_head_capacity = 18;
std::size_t write_chunk_head(char (&out)[chunk_head_capacity], std::uint64_t bytes) noexcept;
inline constexpr std::string_view chunk_tail = "\r\n";
inline constexpr std::string_view last_chunk = "0\r\n\r\n";

// What stands before and behind a piece of a chunked body, the end of the body with the last one.
// Both are empty for an empty piece that is not the last.
struct chunk_frame {
    chunk_frame(std::string_view data, bool last) noexcept {
        if (data.empty()) {
            tail = last ? last_chunk : std::string_view{};
            return;
        }
        head_bytes = write_chunk_head(head_storage, data.size());
        tail = last ? std::string_view("\r\n0\r\n\r\n") : chunk_tail;
    }
    std::string_view head() const noexcept { return {head_storage, head_bytes}; }
    char head_storage[chunk_head_capacity];
    std::size_t head_bytes = 0;
    std::string_view tail;
};

}  // namespace gatehouse::http
