// Arguments to a verb, and the verb to an exit code.
#include <gatehouse/cli/run.hpp>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>

#include "commands.hpp"
#include "node.hpp"
#include "options.hpp"

namespace gatehouse::cli {
namespace {

int dispatch(const options& o, serve_function serve) {
    switch (o.verb) {
        case verb::serve:
            return run_serve(o, serve);
        case verb::check:
            return run_check(o);
        case verb::reload:
            return run_reload(o);
        case verb::upgrade:
            return run_upgrade(o);
        case verb::explain:
            return run_explain(o);
        case verb::tenant_list:
            return run_tenant_list(o);
        case verb::tenant_show:
            return run_tenant_show(o);
        case verb::tenant_tree:
            return run_tenant_tree(o);
        case verb::tenant_usage:
            return run_tenant_usage(o);
        case verb::tenant_create:
            return run_tenant_create(o);
        case verb::tenant_update:
            return run_tenant_update(o);
        case verb::tenant_suspend:
            return run_tenant_suspend(o);
        case verb::tenant_reactivate:
            return run_tenant_reactivate(o);
        case verb::tenant_delete:
            return run_tenant_delete(o);
        case verb::tenant_export:
            return run_tenant_export(o);
        case verb::tenant_import:
            return run_tenant_import(o);
        case verb::tenant_backup:
            return run_tenant_backup(o);
        case verb::tenant_backups:
            return run_tenant_backups(o);
        case verb::tenant_restore:
            return run_tenant_restore(o);
        case verb::cert_add:
            return run_cert_add(o);
        case verb::cert_remove:
            return run_cert_remove(o);
        case verb::tenant_migrate:
            return run_tenant_migrate(o);
        case verb::user_list:
            return run_user_list(o);
        case verb::user_set:
            return run_user_set(o);
        case verb::user_remove:
            return run_user_remove(o);
        case verb::tenant_requests:
            return run_tenant_requests(o);
        case verb::tenant_approve:
            return run_tenant_approve(o);
        case verb::tenant_refuse:
            return run_tenant_refuse(o);
        case verb::tenant_prove:
            return run_tenant_prove(o);
        case verb::tenant_grants:
            return run_tenant_grants(o);
        case verb::tenant_grant:
            return run_tenant_grant(o);
        case verb::tenant_revoke_grant:
            return run_tenant_revoke_grant(o);
        case verb::workspace_list:
            return run_workspace_list(o);
        case verb::workspace_set:
            return run_workspace_set(o);
        case verb::workspace_remove:
            return run_workspace_remove(o);
        case verb::token_create:
            return run_token_create(o);
        case verb::token_list:
            return run_token_list(o);
        case verb::token_revoke:
            return run_token_revoke(o);
        case verb::audit_show:
            return run_audit_show(o);
        case verb::audit_verify:
            return run_audit_verify(o);
        case verb::cert_list:
            return run_cert_list(o);
        case verb::pool_list:
            return run_pool_list(o);
        case verb::pool_drain:
            return run_pool_drain(o);
        case verb::pool_enable:
            return run_pool_enable(o);
        case verb::registry_publish:
            return run_registry_publish(o);
        case verb::registry_diff:
            return run_registry_diff(o);
        case verb::completion:
            return run_completion(o);
        case verb::version:
            return run_version(o);
        case verb::none:
            break;
    }
    return usage;
}

}  // namespace

int run(int argc, const char* const* argv, serve_function serve) {
    const auto arguments = parse_arguments(argc, argv);
    if (arguments.exit_code) return *arguments.exit_code;
    int code = refused;
    try {
        code = dispatch(arguments.options, serve);
    } catch (const std::exception& e) {
        complain(e.what());
    }
    // A full disk or a closed pipe behind standard output is a failure too.
    if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
        complain(std::string("standard output: ") + std::strerror(errno));
        if (code == done) code = refused;
    }
    return code;
}

}  // namespace gatehouse::cli
