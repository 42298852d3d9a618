// Archives, backups and certificates of tenants, and backups on a schedule. Control thread; reading, writing and
// hashing in the pool.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <gatehouse/admin/archive_store.hpp>
#include <gatehouse/config/settings.hpp>
#include <gatehouse/registry/service.hpp>
#include <gatehouse/tenant/effective.hpp>
#include <memory>
#include <string>

namespace gatehouse::server {

class archives : public admin::archive_store {
 public:
    struct parts {
        boost::asio::io_context& control;
        std::function<void(std::function<void()>)> run_in_pool;
        registry::service& registry;
        std::function<const config::settings&()> settings;
        std::function<tenant::effective_ptr(std::string_view id)> effective;
        std::function<void(const std::string& host)> certificate_changed;  // after its file is another
    };
    explicit archives(parts p);
    // From now on by [backup] every, the first time ten minutes from now at the latest; again after a reload.
    void schedule();
    void stop();

    void copy(const std::string& tenant, bool with_keys, std::function<void(admin::archive_answer)> done) override;
    void make_backup(const std::string& tenant, std::function<void(admin::backup_answer)> done) override;
    void backups(const std::string& tenant, std::function<void(admin::backups_answer)> done) override;
    void read_backup(const std::string& tenant, const std::string& name, bool with_keys, std::function<void(admin::archive_answer)> done) override;
    void keep_usage(std::vector<store::usage_row> rows, std::function<void(std::string why_not)> done) override;
    void put_certificate(const std::string& host, const secret_text& pem, std::function<void(tls::certificate_change)> done) override;
    void without_certificate(std::vector<std::string> hosts, std::function<void(std::vector<std::string>)> done) override;
    void remove_certificate(const std::string& host, std::function<void(tls::certificate_change)> done) override;

 private:
    // As server::in_pool(), with what `job` gives.
    template <class T>
    void in_pool(std::function<T()> job, std::function<void(T)> done);
    void back_up(const std::string& tenant, bool asked, std::function<void(admin::backup_answer)> done);
    std::string folder_of(const std::string& tenant) const;
    std::string why_not_here(const std::string& tenant) const;
    void wait(milliseconds time);
    void back_up_all(std::string after, std::size_t made, std::size_t failed);

    const parts parts_;
    boost::asio::steady_timer timer_;
    milliseconds every_{0};  // by which the timer runs; 0: it does not
};

}  // namespace gatehouse::server
