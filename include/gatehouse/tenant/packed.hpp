// A tenant as a row of bytes: what is kept of each, in memory and in central.db, until somebody
// asks for its settings. Not its TOML, which people write. Pure; immutable, any thread.
#pragma once

#include <atomic>
#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <cstdint>
#include <gatehouse/tenant/model.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace gatehouse::tenant {

// What is asked of tenants before their settings are needed. Views into the packed tenant.
struct brief {
    std::string_view id, label, name, parent, plan, region;   // as declared
    life state = life::active;
    std::optional<utc_time> until;
    std::string_view min_tls_version, client_ca_file;
    std::string_view redirects;  // for redirect_target()
};

class packed {
 public:
    packed(const packed&) = delete;
    packed& operator=(const packed&) = delete;

    std::string_view bytes() const noexcept { return {text(), size_}; }
    tenant unpack() const;
    brief look() const noexcept;
    bool operator==(const packed& other) const noexcept { return bytes() == other.bytes(); }

    friend void intrusive_ptr_add_ref(const packed* p) noexcept {
        p->references_.fetch_add(1, std::memory_order_relaxed);
    }
    friend void intrusive_ptr_release(const packed* p) noexcept {
        if (p->references_.fetch_sub(1, std::memory_order_acq_rel) == 1) destroy(p);
    }

 private:
    packed() = default;
    static boost::intrusive_ptr<const packed> make(std::string_view bytes);
    static void destroy(const packed* p) noexcept;
    const char* text() const noexcept { return reinterpret_cast<const char*>(this + 1); }
    friend boost::intrusive_ptr<const packed> pack(const tenant& t);
    friend boost::intrusive_ptr<const packed> packed_from(std::string_view bytes);

    mutable std::atomic<std::uint32_t> references_{0};
    std::uint32_t size_ = 0;
};
using packed_ptr = boost::intrusive_ptr<const packed>;

// Equal tenants give equal bytes.
packed_ptr pack(const tenant& t);
// What packed::bytes() gave, in this program or another; null: not such bytes, or made by a program
// that knows more. What is not null can be unpacked.
packed_ptr packed_from(std::string_view bytes);

// Where requests for `host` are to go by the tenant's redirect_hosts; empty: nowhere else.
std::string_view redirect_target(const brief& b, std::string_view host) noexcept;

}  // namespace gatehouse::tenant
