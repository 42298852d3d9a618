// The admin API without HTTP: a request's method, target and fields to an answer. Not here:
// connections (server.cpp). Control thread.
#pragma once

#include <gatehouse/admin/node_view.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "access.hpp"
#include "json.hpp"
#include "turns.hpp"

namespace gatehouse::admin {

struct api_request {
    std::string_view method, target, authorization, if_none_match;
    std::string_view if_match = {}, content_type = {}, body = {};
    std::string_view idempotency_key = {};
    std::string_view client = {}, request_id = {};  // whose address, and what it is called in the audit log
};

struct api_answer {
    unsigned status = 200;
    std::string content_type = "application/json";
    std::string body;
    std::vector<std::pair<std::string, std::string>> fields;  // ETag, Allow, WWW-Authenticate
    // Set: what answers later. The server runs it and sends what it calls back with, or this
    // answer when that takes too long.
    std::function<void(std::function<void(api_answer)>)> action;
    std::chrono::milliseconds held_back{0};  // until it is sent
    std::shared_ptr<void> turn;              // which lasts until it is sent
};

api_answer api_problem(unsigned status, std::string_view type, std::string_view title,
                       std::string_view detail);

struct asked_change;
struct people;
struct people_wish;

class api {
 public:
    struct options {
        std::string token_hash;     // seal::sha256 of the token in [admin] token_file
        bool open_metrics = false;  // bound to loopback or a Unix socket: no token for /metrics
        std::chrono::milliseconds metrics_every{1'000};
    };
    api(node_view& node, options o);
    api_answer answer(const api_request& r);
    // How many bytes of body a request may have, by its head.
    std::uint64_t body_limit(std::string_view target, std::string_view authorization) const;
    // Gives tenants their series; done once before any traffic, they count from 0.
    void look_at_tenants();
    // What waits for its turn is let go of; the caller has no answer to send any more.
    void stop() {
        people_turns_.stop();
        copy_turns_.stop();
    }
    // Requests that are not answered yet and may change something.
    std::size_t changes_under_way() const noexcept { return static_cast<std::size_t>(changes_.use_count()) - 1; }
    const std::string& token_hash() const noexcept { return options_.token_hash; }
    void set_token_hash(std::string hash) { options_.token_hash = std::move(hash); }

 private:
    struct parsed;
    struct endpoint;
    static const std::vector<endpoint>& endpoints();
    static std::optional<std::size_t> page_limit(const parsed& p);
    std::optional<identity> identify(std::string_view authorization) const;
    // Itself or a tenant below it; of the platform's, any, be there one or not.
    bool in_family(std::string_view id, const identity& who) const;
    // As admin::before_tenant(), of a tenant that may not be there.
    std::optional<identity> before_tenant(std::string_view id, const identity& who) const;
    api_answer unauthorized(const api_request& r);
    api_answer health(const parsed&);
    api_answer ready(const parsed&);
    api_answer metrics(const parsed&);
    api_answer openapi(const parsed&);
    api_answer node(const parsed&);
    api_answer certificates(const parsed&);
    api_answer tenants(const parsed&);
    struct listing;
    bool read_page(listing& l) const;
    void read_on(const std::shared_ptr<listing>& l, const std::function<void(api_answer)>& done);
    api_answer list_answer(listing& l) const;
    api_answer tenant(const parsed&);
    api_answer effective(const parsed&);
    api_answer usage(const parsed&);
    api_answer create(const parsed&);
    api_answer update(const parsed&);
    api_answer suspend(const parsed&);
    api_answer reactivate(const parsed&);
    api_answer remove(const parsed&);
    api_answer migrate(const parsed&);
    api_answer audit(const parsed&);
    api_answer platform_audit(const parsed&);
    api_answer audit_of(const std::string& id, const parsed&);
    api_answer audit_verify(const parsed&);
    asked_change asked(registry::tenant_change::verb what, const parsed&) const;
    api_answer change(asked_change asked, const identity& who);
    std::optional<api_answer> done_before(const registry::tenant_change& c, const identity& who) const;
    api_answer change_and_ask(registry::tenant_change c, std::vector<std::string> hosts, const identity& who);
    api_answer create_child(const parsed&);
    api_answer update_own(const parsed&);
    api_answer ask_for_deletion(const parsed&);
    std::vector<std::string> waiting_hosts(const std::string& tenant) const;
    json::object row_for(const identity& who, const registry::tenant_row& r) const;
    using people_then = std::function<void(const people&, std::function<void(api_answer)>)>;
    void read_people(const std::string& tenant, const people_then& then, const std::function<void(api_answer)>& done);
    api_answer with_people(const std::string& tenant, people_then then);
    api_answer change_people(const std::string& tenant, people_then then);
    api_answer in_turn(const identity& who, api_answer a);
    void keep_people(people_wish wish, const registry::author& by, unsigned status, const std::function<void(api_answer)>& done);
    api_answer users(const parsed&);
    api_answer set_user(const parsed&);
    api_answer remove_user(const parsed&);
    api_answer workspaces(const parsed&);
    api_answer workspace(const parsed&);
    api_answer set_workspace(const parsed&);
    api_answer remove_workspace(const parsed&);
    api_answer grants(const parsed&);
    api_answer set_grant(const parsed&);
    api_answer remove_grant(const parsed&);
    std::vector<std::string> granted_to(const identity& who) const;  // tenants
    api_answer keep_grants(registry::access_change c, json::object shown, unsigned status);
    api_answer export_archive(const parsed&);
    api_answer import_archive(const parsed&);
    api_answer make_backup(const parsed&);
    api_answer backups(const parsed&);
    api_answer read_backup(const parsed&);
    api_answer restore(const parsed&);
    struct import_work;
    void take_archive(const std::shared_ptr<import_work>& w);
    void look_at_what_is_here(const std::shared_ptr<import_work>& w);
    void change_by_archive(const std::shared_ptr<import_work>& w);
    void set_state_by_archive(const std::shared_ptr<import_work>& w);
    void put_certificates(const std::shared_ptr<import_work>& w);
    void finish_import(const std::shared_ptr<import_work>& w);
    void keep_imported_usage(const std::shared_ptr<import_work>& w);
    api_answer put_certificate(const parsed&);
    api_answer remove_certificate(const parsed&);
    void note_certificate(const std::string& tenant, const std::string& host, const std::string& action, const registry::author& by,
                          const std::function<void(api_answer)>& done);
    bool has_host(const std::string& tenant, const std::string& host) const;
    api_answer whoami(const parsed&);
    api_answer tokens(const parsed&);
    api_answer create_token(const parsed&);
    api_answer revoke_token(const parsed&);
    api_answer requests(const parsed&);
    std::optional<registry::request> find_request(const parsed&) const;
    api_answer approve(const parsed&);
    api_answer refuse(const parsed&);
    api_answer prove(const parsed&);
    json::object request_json(const registry::request& r) const;
    api_answer once_loaded(const std::string& host, const parsed&, api_answer (api::*run)(const parsed&));
    api_answer explain(const parsed&);
    api_answer reload(const parsed&);
    api_answer start_upgrade(const parsed&);
    api_answer upgrade_state(const parsed&);
    api_answer unless_handing_over(const endpoint& e, const parsed& p);
    api_answer publish(const parsed&);
    api_answer diff(const parsed&);
    api_answer pools(const parsed&);
    api_answer pool(const parsed&);
    api_answer drain(const parsed&);
    api_answer enable(const parsed&);
    api_answer set_drained(const parsed&, drain_wish);

    node_view& node_;
    options options_;
    wrong_tokens wrong_;
    turns people_turns_;   // by tenant
    turns copy_turns_;     // by the caller's tenant or the platform's token: each copy is in memory whole until it is sent
    const std::shared_ptr<int> changes_ = std::make_shared<int>(0);   // held by each that is under way
};

// The OpenAPI 3.1 document of all the above.
const std::string& openapi_document();

}  // namespace gatehouse::admin
