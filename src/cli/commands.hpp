// The verbs; each gives its exit code.
#pragma once

#include <gatehouse/cli/run.hpp>

#include "options.hpp"

namespace gatehouse::cli {

// The settings' file: --config, or the first of the usual places that is there; empty: none.
std::string find_config(const options& o);

int run_serve(const options& o, serve_function serve);
int run_check(const options& o);
int run_explain(const options& o);
int run_reload(const options& o);
int run_upgrade(const options& o);
int run_tenant_list(const options& o);
int run_tenant_show(const options& o);
int run_tenant_tree(const options& o);
int run_tenant_usage(const options& o);
int run_tenant_create(const options& o);
int run_tenant_update(const options& o);
int run_tenant_suspend(const options& o);
int run_tenant_reactivate(const options& o);
int run_tenant_delete(const options& o);
int run_tenant_export(const options& o);
int run_tenant_import(const options& o);
int run_tenant_backup(const options& o);
int run_tenant_backups(const options& o);
int run_tenant_restore(const options& o);
int run_cert_add(const options& o);
int run_cert_remove(const options& o);
int run_tenant_migrate(const options& o);
int run_user_list(const options& o);
int run_user_set(const options& o);
int run_user_remove(const options& o);
int run_tenant_requests(const options& o);
int run_tenant_approve(const options& o);
int run_tenant_refuse(const options& o);
int run_tenant_prove(const options& o);
int run_tenant_grants(const options& o);
int run_tenant_grant(const options& o);
int run_tenant_revoke_grant(const options& o);
int run_workspace_list(const options& o);
int run_workspace_set(const options& o);
int run_workspace_remove(const options& o);
int run_token_create(const options& o);
int run_token_list(const options& o);
int run_token_revoke(const options& o);
int run_audit_show(const options& o);
int run_audit_verify(const options& o);
int run_cert_list(const options& o);
int run_pool_list(const options& o);
int run_pool_drain(const options& o);
int run_pool_enable(const options& o);
int run_registry_publish(const options& o);
int run_registry_diff(const options& o);
int run_completion(const options& o);
int run_version(const options& o);

}  // namespace gatehouse::cli
