// The public face: hands everything to the working side.
#include "service_impl.hpp"

namespace gatehouse::registry {

service::service(config::settings settings, dependencies d)
    : impl_(std::make_shared<impl>(std::move(settings), std::move(d))) {}
service::~service() {
    impl_->stop();
}

void service::set_settings(config::settings settings) {
    impl_->set_settings(std::move(settings));
}
void service::start(std::function<void(error_code, std::string)> ready) {
    impl_->start(std::move(ready));
}
void service::apply_settings(config::settings settings, std::function<void(change_report)> done) {
    impl_->apply_settings(std::move(settings), std::move(done));
}
void service::reload(bool force, std::function<void(change_report)> done) {
    impl_->reload(force, std::move(done));
}
void service::change(tenant_change c, std::function<void(change_answer)> done) {
    impl_->change(std::move(c), std::move(done));
}
void service::copy(std::string tenant, std::function<void(tenant_copy)> done) {
    impl_->copy(std::move(tenant), std::move(done));
}
void service::change_access(access_change c, std::function<void(std::string)> done) {
    impl_->change_access(std::move(c), std::move(done));
}
void service::set_drained(tenant::drained_endpoints put, std::vector<tenant::endpoint_name> drop,
                          std::function<void(std::string)> done) {
    impl_->set_drained({.put = std::move(put), .drop = std::move(drop)}, std::move(done));
}
void service::keep_quotas(std::vector<limit::quota_use> used,
                          std::function<void(std::string why_not)> done) {
    impl_->keep_quotas(std::move(used), std::move(done));
}
void service::with_usage(std::function<void(store::usage_store&)> job, std::function<void()> done) {
    impl_->with_usage(std::move(job), std::move(done));
}
void service::with_tenant_data(std::function<void(tenant_data&)> job, std::function<void()> done) {
    impl_->with_tenant_data(std::move(job), std::move(done));
}
void service::pause(std::function<void()> paused) {
    impl_->pause(std::move(paused));
}
void service::resume() {
    impl_->resume();
}
void service::unlock() {
    impl_->unlock();
}
int service::lock_descriptor() const {
    return impl_->lock_descriptor();
}
void service::begin_beside(int lock_fd) {
    impl_->begin_beside(lock_fd);
}
void service::take_over() {
    impl_->take_over();
}
void service::stop() {
    impl_->stop();
}

tenant_page service::page(std::string_view after, std::size_t limit, const tenant_filter& filter) const {
    return impl_->known().page(after, limit, filter, impl_->settings().platform.default_plan);
}
std::size_t service::quarantined_count() const {
    return impl_->known().quarantined_count();
}
const tenant_row* service::find(std::string_view id) const {
    return impl_->known().find(id);
}
std::uint64_t service::revision() const {
    return impl_->revision();
}
bool service::ready() const {
    return impl_->ready();
}
const std::string& service::fleet_id() const {
    return impl_->fleet_id();
}
const tenant::drained_endpoints& service::drained() const {
    return impl_->drained();
}
const access_list& service::access() const {
    return impl_->access();
}
const config::settings& service::settings() const {
    return impl_->settings();
}
const std::string& service::held() const {
    return impl_->held();
}
const std::string& service::trouble() const {
    return impl_->trouble();
}

}  // namespace gatehouse::registry
