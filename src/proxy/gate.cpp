#include <gatehouse/proxy/gate.hpp>

namespace gatehouse::proxy {

static constexpr std::size_t spare_scratches = 1024;
static constexpr std::size_t kept_string_bytes = 64 * 1024;

gate::gate(net::loop& l, const tenant::directory& d, worker_counters& c, access_ring* ring, std::uint64_t seed)
    : loop(l),
      directory(d),
      counters(c),
      log(ring),
      bindings(d),
      upstreams(l),
      live(d),
      paces(l, d, bindings, c),
      holds(l, c),
      shadows(l, upstreams),
      random_state_{seed | 1, seed * 0x9e3779b97f4a7c15U + 1},
      node_prefix_(static_cast<std::uint32_t>(random())) {
    loop.on_tick([this](std::int64_t now_ns) { return paces.tick(now_ns); });
    loop.on_sweep([this](std::int64_t now_ns) {
        live.sweep(utc_now());
        paces.sweep(now_ns);
        holds.sweep(now_ns);
        shadows.sweep(now_ns);
    });
}

std::unique_ptr<scratch> gate::borrow() {
    if (spare_.empty()) return std::make_unique<scratch>(loop.buffers());
    std::unique_ptr<scratch> s = std::move(spare_.back());
    spare_.pop_back();
    return s;
}

void gate::give_back(std::unique_ptr<scratch> s) noexcept {
    if (spare_.size() >= spare_scratches) return;
    for (std::string* text : {&s->target, &s->upstream_out, &s->client_out, &s->extra_fields, &s->host_out}) {
        text->clear();
        if (text->capacity() > kept_string_bytes) text->shrink_to_fit();
    }
    s->request.clear();
    s->response.clear();
    s->upstream_in.release();
    spare_.push_back(std::move(s));
}

// xoroshiro128+ (Blackman and Vigna); not for secrets.
std::uint64_t gate::random() noexcept {
    const std::uint64_t a = random_state_[0];
    std::uint64_t b = random_state_[1];
    const std::uint64_t out = a + b;
    b ^= a;
    random_state_[0] = ((a << 24) | (a >> 40)) ^ b ^ (b << 16);
    random_state_[1] = (b << 37) | (b >> 27);
    return out;
}

static void write_hex(char* out, std::uint64_t value, std::size_t digits) noexcept {
    static constexpr char hex[] = "0123456789abcdef";
    for (std::size_t i = digits; i-- > 0; value >>= 4) out[i] = hex[value & 15];
}

void gate::write_request_id(char (&out)[request_id_bytes]) noexcept {
    write_hex(out, node_prefix_, 8);
    write_hex(out + 8, ++request_count_, 16);
}

void gate::write_traceparent(char (&out)[http::traceparent_bytes]) noexcept {
    out[0] = out[1] = '0';
    out[2] = out[35] = out[52] = '-';
    write_hex(out + 3, random(), 16);
    write_hex(out + 19, random() | 1, 16);
    write_hex(out + 36, random() | 1, 16);
    out[53] = '0';
    out[54] = (random() >> 32) % 1'000'000 < settings().traces_sampled_ppm ? '1' : '0';
}

}  // namespace gatehouse::proxy
