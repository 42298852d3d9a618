// What outlives a request and must end when its tenant is suspended or deleted: tunnels and event
// streams. Checked a few times a second, when the directory has changed. The loop's thread alone.
#pragma once

#include <cstdint>
#include <functional>
#include <gatehouse/tenant/directory.hpp>
#include <string>

namespace gatehouse::proxy {

class live_entry {
   public:
    using close_callback = void (*)(void* context);   // only cancels things
    live_entry() = default;
    ~live_entry();
    live_entry(const live_entry&) = delete;
    live_entry& operator=(const live_entry&) = delete;

   private:
    friend class live_list;
    std::string tenant_id_;
    close_callback close_ = nullptr;
    void* context_ = nullptr;
    live_entry* previous_ = nullptr;
    live_entry* next_ = nullptr;
};

class live_list {
   public:
    explicit live_list(const tenant::directory& d);
    // False: the tenant may not run any more; the entry is not added.
    bool add(live_entry& e, std::string tenant_id, tenant::utc_time now, live_entry::close_callback close, void* context);
    void sweep(tenant::utc_time now);   // ends what may no longer run
    void close_all();   // drain's end
    void close_if(const std::function<bool(const std::string& tenant_id)>& chosen);

   private:
    bool may_run(const std::string& tenant_id, tenant::utc_time now) const;

    const tenant::directory& directory_;
    std::uint64_t seen_generation_ = 0;
    live_entry head_;
};

}  // namespace gatehouse::proxy
