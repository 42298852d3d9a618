#include <gatehouse/proxy/live.hpp>

namespace gatehouse::proxy {

live_entry::~live_entry() {
    if (!next_) return;
    previous_->next_ = next_;
    next_->previous_ = previous_;
}

live_list::live_list(const tenant::directory& d) : directory_(d) { head_.next_ = head_.previous_ = &head_; }

bool live_list::add(live_entry& e, std::string tenant_id, tenant::utc_time now, live_entry::close_callback close,
                    void* context) {
    if (!may_run(tenant_id, now)) return false;
    e.tenant_id_ = std::move(tenant_id);
    e.close_ = close;
    e.context_ = context;
    e.next_ = &head_;
    e.previous_ = head_.previous_;
    head_.previous_->next_ = &e;
    head_.previous_ = &e;
    return true;
}

static bool is_served(const tenant::brief& t, tenant::utc_time now) {
    if (t.state == tenant::life::active) return true;
    return t.state == tenant::life::suspended && t.until && now >= *t.until;
}

// The tenant and each of its ancestors must be there and active.
bool live_list::may_run(const std::string& tenant_id, tenant::utc_time now) const {
    constexpr int ancestors_limit = 8;
    std::string_view id = tenant_id;
    for (int i = 0; i <= ancestors_limit && !id.empty(); ++i) {
        const tenant::record_ptr* r = directory_.find_tenant(id);
        if (!r || !(*r)->tenant) return false;
        const tenant::brief t = (*r)->tenant->look();
        if (!is_served(t, now)) return false;
        id = t.parent;
    }
    return true;
}

void live_list::sweep(tenant::utc_time now) {
    const std::uint64_t generation = directory_.generation();
    if (generation == seen_generation_) return;
    seen_generation_ = generation;
    for (live_entry* e = head_.next_; e != &head_; e = e->next_) {
        if (!may_run(e->tenant_id_, now)) e->close_(e->context_);
    }
}

void live_list::close_all() {
    for (live_entry* e = head_.next_; e != &head_; e = e->next_) e->close_(e->context_);
}

void live_list::close_if(const std::function<bool(const std::string&)>& chosen) {
    for (live_entry* e = head_.next_; e != &head_; e = e->next_) {
        if (chosen(e->tenant_id_)) e->close_(e->context_);
    }
}

}  // namespace gatehouse::proxy
