// SQLite's files as the backend.
#include <gatehouse/store/audit_db.hpp>
#include <gatehouse/store/central_db.hpp>
#include <gatehouse/store/tenant_db.hpp>
#include <gatehouse/store/usage_db.hpp>
#include <utility>

namespace gatehouse::store {
namespace {

class sqlite_backend final : public backend {
 public:
    explicit sqlite_backend(const std::string& state_dir) : central_(state_dir + "/central.db"), tenants_(state_dir + "/tenants") {}

    std::string name() const override { return central_; }
    std::unique_ptr<central_store> open(contents& out, failure& why, std::string* moved_to) override {
        return owned(central_db::open(central_, out, why, moved_to), why);
    }
    std::unique_ptr<central_store> open_read_only(failure& why) override { return owned(central_db::open_read_only(central_, why), why); }
    std::unique_ptr<quota_store> open_quotas(failure& why) override { return opened<quota_db>(why); }
    std::unique_ptr<usage_store> open_usage(failure& why) override { return opened<usage_db>(why); }
    std::unique_ptr<audit_store> open_audit(failure& why) override { return opened<audit_db>(why); }
    std::unique_ptr<tenant_stores> open_tenants() override { return std::make_unique<tenant_dbs>(tenants_); }

 private:
    static std::unique_ptr<central_store> owned(central_db db, const failure& why) {
        return why ? nullptr : std::make_unique<central_db>(std::move(db));
    }
    template <class Db>
    std::unique_ptr<Db> opened(failure& why) const {
        auto db = std::make_unique<Db>();
        why = db->open(central_);
        return why ? nullptr : std::move(db);
    }
    const std::string central_, tenants_;
};

}  // namespace

std::unique_ptr<backend> open_backend(const std::string& state_dir) {
    return std::make_unique<sqlite_backend>(state_dir);
}

}  // namespace gatehouse::store
