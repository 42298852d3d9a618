// Two host_tables and the platform. Order of every change: publish, then move the generation.
#include <gatehouse/tenant/directory.hpp>

#include "host_table.hpp"

namespace gatehouse::tenant {
namespace {

struct table_key {
    key_kind kind;
    std::string_view text;
};

table_key key_of(std::string_view host) noexcept {
    if (host.starts_with("*.")) return {key_kind::wildcard, host.substr(2)};
    return {key_kind::exact, host};
}

}  // namespace

struct directory::table : host_table {};

directory::directory()
    : hosts_(std::make_unique<table>()),
      tenants_(std::make_unique<table>()),
      platform_(new platform_ptr(std::make_shared<const platform>())) {}

directory::~directory() {
    delete platform_.load(std::memory_order_relaxed);
}

const record_ptr* directory::find_host(std::string_view host) const noexcept {
    if (const record_ptr* exact = hosts_->find(key_kind::exact, host)) return exact;
    if (!hosts_->has_wildcards()) return nullptr;
    const auto dot = host.find('.');
    if (dot == 0 || dot == std::string_view::npos) return nullptr;
    return hosts_->find(key_kind::wildcard, host.substr(dot + 1));
}

const record_ptr* directory::find_tenant(std::string_view id) const noexcept {
    return tenants_->find(key_kind::exact, id);
}

// An exact name that is not in memory goes before a wildcard that is.
bool directory::must_load_host(std::string_view host) const noexcept {
    if (all_hosts_ == nullptr || hosts_->find(key_kind::exact, host) != nullptr) return false;
    if (all_hosts_->has(host)) return true;
    return all_hosts_->has_wildcard(host) && find_host(host) == nullptr;
}

bool directory::must_load_tenant(std::string_view id) const noexcept {
    return all_ids_ != nullptr && find_tenant(id) == nullptr && all_ids_->has(id);
}

void directory::set_names(const host_index* hosts, const host_index* ids) {
    all_hosts_ = hosts;
    all_ids_ = ids;
}

void directory::set_stale(bool stale) {
    if (stale_.exchange(stale, std::memory_order_acq_rel) != stale) generation_.fetch_add(1, std::memory_order_release);
}

const platform_ptr& directory::current_platform() const noexcept {
    return *platform_.load(std::memory_order_acquire);
}

std::size_t directory::host_count() const noexcept { return hosts_->size(); }

void directory::put(record_ptr r) {
    const record_ptr* found = tenants_->find(key_kind::exact, r->id);
    const record_ptr before = found != nullptr ? *found : nullptr;
    for (const std::string_view host : r->hosts) {
        const table_key key = key_of(host);
        hosts_->set(key.kind, key.text, r, retired_);
    }
    if (before && before != r) drop_hosts(*before);
    tenants_->set(key_kind::exact, r->id, r, retired_);
    const bool lived = before && before->tenant, lives = r->tenant != nullptr;
    if (lives && !lived) tenants_count_.fetch_add(1, std::memory_order_relaxed);
    if (lived && !lives) tenants_count_.fetch_sub(1, std::memory_order_relaxed);
    generation_.fetch_add(1, std::memory_order_release);
}

// Only what still points at this very record: a name may be another tenant's, or the newer
// record's.
void directory::drop_hosts(const record& of) {
    for (const std::string_view host : of.hosts) {
        const table_key key = key_of(host);
        const record_ptr* found = hosts_->find(key.kind, key.text);
        if (found != nullptr && found->get() == &of) hosts_->erase(key.kind, key.text, retired_);
    }
}

void directory::remove(std::string_view id) {
    const record_ptr* found = tenants_->find(key_kind::exact, id);
    if (found == nullptr) return;
    const record_ptr before = *found;
    drop_hosts(*before);
    tenants_->erase(key_kind::exact, before->id, retired_);
    if (before->tenant) tenants_count_.fetch_sub(1, std::memory_order_relaxed);
    generation_.fetch_add(1, std::memory_order_release);
}

void directory::set_platform(platform_ptr p) {
    if (!p) p = std::make_shared<const platform>();
    auto fresh = std::make_unique<const platform_ptr>(std::move(p));
    retired_.emplace_back(std::shared_ptr<const platform_ptr>(
        platform_.exchange(fresh.release(), std::memory_order_acq_rel)));
    generation_.fetch_add(1, std::memory_order_release);
}

void directory::visit(void (*f)(void*, const record_ptr&), void* ctx) const {
    tenants_->for_each([&](const record_ptr& r) { f(ctx, r); });
}

void directory::retire(std::vector<std::shared_ptr<const void>> others) {
    for (auto& one : others)
        retired_.push_back(std::move(one));
}

std::vector<std::shared_ptr<const void>> directory::take_retired() {
    return std::exchange(retired_, {});
}

}  // namespace gatehouse::tenant
