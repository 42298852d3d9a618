// The verbs and their help, by CLI11.
#include "options.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <gatehouse/base/units.hpp>
#include <gatehouse/cli/run.hpp>
#include <iostream>

namespace gatehouse::cli {
namespace {

constexpr const char* description =
    "Gatehouse, a reverse proxy and TLS gateway whose first-class object is the tenant.";

constexpr const char* footer = R"(Examples:
  gatehouse check --config conf/gatehouse.toml
      Looks at the settings and every tenant file, and says what a start would complain about.
  gatehouse serve --config conf/gatehouse.toml
      Runs a node in the foreground. SIGHUP reloads, SIGUSR1 reopens the access log,
      SIGUSR2 upgrades, SIGTERM drains and ends.
  gatehouse explain https://shop.acme.example/api/v1?x=1 --client 192.0.2.7
      Which tenant, route and upstream a request would get, or why it would be refused.
  gatehouse tenant create acme --plan pro --pool shared --host shop.acme.example
      Makes a tenant, in service at once; gatehouse tenant suspend acme --reason billing takes it out.
  gatehouse tenant migrate acme --to pool:acme-dedicated --hold 30s --hook ./copy-data.sh
      Moves it to backends of its own without a failed request; --rollback brings it back.
  gatehouse tenant list --parent pixel --json
      The client tenants of pixel, for programs.
  gatehouse tenant usage acme --from 2026-11-01 --to 2026-11-30 --csv
      What acme used in each hour of a month, for a spreadsheet.
  gatehouse audit show acme
      Who changed what of acme, and from where.
  gatehouse pool drain shared 127.0.0.1:9001 --wait 30s
      Takes an application out for a deployment; gatehouse pool enable brings it back.
  gatehouse upgrade
      After the program was replaced on the disk: the new one takes over, no request is lost.
  gatehouse reload --force
      Reads all files again, and goes on with a mass removal that is held back.

The settings are --config FILE, else ./gatehouse.toml, else /etc/gatehouse/gatehouse.toml.
All verbs but serve, check, completion and version ask the running node through its admin address; explain
goes by the files where none answers.

Exit codes: 0 done, 1 refused or failed, 2 wrong usage.
Documentation: docs/ of the source, /usr/share/doc/gatehouse when installed.)";

struct command_line {
    CLI::App app{description, "gatehouse"};
    options& o;

    explicit command_line(options& out) : o(out) {
        app.require_subcommand(1);
        app.fallthrough();
        app.footer(footer);
        app.set_version_flag("--version", "gatehouse " GATEHOUSE_VERSION);
        app.add_option("-c,--config", o.config_file, "The node's settings")->type_name("FILE");
        app.add_option("--admin", o.admin_address,
                       "Where the node's admin API answers: IP:PORT or unix:PATH; default: [admin] "
                       "address of the settings")
            ->type_name("ADDRESS");
        app.add_option("--token-file", o.token_file,
                       "The admin token; default: [admin] token_file of the settings")
            ->type_name("FILE");
        app.add_flag("--json", o.json, "Print JSON instead of text");
        node_verbs();
        tenant_verbs();
        user_verbs();
        workspace_verbs();
        token_verbs();
        audit_verbs();
        pool_verbs();
        registry_verbs();
    }

    CLI::App* add(CLI::App& to, const char* name, const char* help, verb v) {
        auto* sub = to.add_subcommand(name, help);
        sub->fallthrough();
        sub->callback([this, v] { o.verb = v; });
        return sub;
    }

    void node_verbs() {
        auto* serve = add(app, "serve", "Run a node in the foreground", verb::serve);
        serve->add_option("--workers", o.workers, "Worker threads, over [node] workers")
            ->check(CLI::Range(1, 1024))
            ->type_name("N");
        auto* check = add(app, "check", "Look for mistakes in the settings and all tenant files; runs nothing",
                          verb::check);
        check->add_flag("--repair", o.repair,
                        "Before that, make a damaged central.db anew: from files, Redis,\nbackups and the tenants' databases. No node may run");
        auto* reload = add(app, "reload", "Have the node read all its files again", verb::reload);
        reload->add_flag("--force", o.force, "Go on with a mass removal that is held back");
        add(app, "upgrade",
            "Replace the running node by the program that is at its path now, without losing a request.\n"
            "The new process reads the settings, gets all listening sockets and ticket keys, and when it is ready\n"
            "serves; the old one then finishes what it has, for timeouts.drain at most. When the new one does not\n"
            "get ready within timeouts.upgrade, the old one goes on as if nothing had been: exit code 1",
            verb::upgrade);
        auto* explain = add(app, "explain",
                            "What would happen to a request, stage by stage. Asks the node; when "
                            "none answers, evaluates the files",
                            verb::explain);
        auto& q = o.question;
        explain->add_option("url", q.url, "As the client would ask: https://HOST/PATH?QUERY")
            ->required()
            ->type_name("URL");
        auto* sni = explain
                        ->add_option("--sni", q.sni,
                                     "Server name in the TLS hello; default: the URL's host")
                        ->type_name("NAME");
        explain
            ->add_flag_callback(
                "--no-sni", [&q] { q.sni = ""; }, "A TLS hello without a server name")
            ->excludes(sni);
        explain->add_option("--header", q.headers, "A header field, 'Name: value'; repeatable")
            ->allow_extra_args(false)
            ->type_name("FIELD");
        explain->add_option("--client", q.client, "The client's IP address")->type_name("IP");
        explain->add_option("--method", q.method, "GET unless said otherwise")->type_name("METHOD");
        auto* completion = add(app, "completion", "Print a script that completes verbs, options and tenants in a shell", verb::completion);
        completion->add_option("shell", o.shell, "bash or zsh")->required()->check(CLI::IsMember({"bash", "zsh"}))->type_name("SHELL");
        add(app, "version", "Print the version", verb::version);
    }

    void tenant_verbs() {
        auto* tenant = app.add_subcommand(
            "tenant", "Tenants: list, show, tree, usage, create, update, suspend, reactivate, delete, export,\n"
            "import, backup, backups, restore, migrate,"
            " requests, approve, refuse, prove, grants, grant, revoke-grant");
        tenant->require_subcommand(1);
        tenant->fallthrough();
        auto* list = add(*tenant, "list", "Tenants by id: all, or those that match all that is given", verb::tenant_list);
        const auto filter = [this, list](const char* key, const char* help, const char* type) {
            list->add_option_function<std::string>(
                    std::string("--") + key, [this, key](const std::string& value) { o.filter[key] = value; }, help)
                ->type_name(type);
        };
        filter("search", "In its id, label, name or a host, whatever the case", "TEXT");
        filter("name", "In its name, whatever the case", "TEXT");
        filter("host", "Whose host it is", "HOST");
        filter("plan", "Of this plan", "NAME");
        filter("region", "At home there, or its parent is", "NAME");
        filter("state", "provisioning, active, suspended, deleting or removed", "WORD");
        filter("label", "Of this label", "NAME");
        filter("parent", "This tenant's children alone", "ID");
        auto* show = add(*tenant, "show",
                         "One tenant: what it declares, and what is wrong with a newer version",
                         verb::tenant_show);
        show->add_option("id", o.tenant, "The tenant")->required()->type_name("ID");
        show->add_flag("--effective", o.effective,
                       "Its settings after plan, parents and platform, and where each came from");
        auto* tree = add(*tenant, "tree", "Parents and their children", verb::tenant_tree);
        tree->add_option("id", o.tenant, "Only this tenant and all below it")->type_name("ID");
        auto* used = add(*tenant, "usage", "What a tenant used, hour by hour, on all nodes", verb::tenant_usage);
        used->add_option("id", o.tenant, "The tenant")->required()->type_name("ID");
        used->add_option("--from", o.from, "2026-11-01 or 2026-11-01T05:00:00Z, UTC; default: 24 hours before --to")
            ->type_name("TIME");
        used->add_option("--to", o.to, "The same, not included, but a date includes its day; default: now")->type_name("TIME");
        used->add_flag("--csv", o.csv, "Print CSV (RFC 4180) instead of a table");
        tenant_changes(*tenant);
        auto* cert = app.add_subcommand("cert", "Certificates: list, add, remove");
        cert->require_subcommand(1);
        cert->fallthrough();
        auto* add_one = add_for_one(*cert, "add", "Give a tenant's host its certificate, in force when this returns", verb::cert_add);
        auto* remove_one = add_for_one(*cert, "remove", "Take a host's certificate away", verb::cert_remove);
        for (auto* one : {add_one, remove_one})
            one->add_option("host", o.host, "A host of the tenant's, or *.DOMAIN")->required()->type_name("HOST");
        add_one->add_option("file", o.file, "Chain and private key in PEM, the leaf first; -: standard input")->required()->type_name("FILE");
        add(*cert, "list", "All certificates: whose, until when, in memory or not, and the bad ones with why",
            verb::cert_list);
    }

    CLI::App* add_for_one(CLI::App& to, const char* name, const char* help, verb v) {
        auto* sub = add(to, name, help, v);
        sub->add_option("id", o.tenant, "The tenant")->required()->type_name("ID");
        return sub;
    }

    void tenant_changes(CLI::App& tenant) {
        auto* create = add_for_one(tenant, "create", "Make a tenant; it serves when this returns", verb::tenant_create);
        auto* update = add_for_one(tenant, "update", "Change what is given of a tenant that no file declares", verb::tenant_update);
        auto& c = o.change;
        for (auto* one : {create, update}) {
            one->add_option("--name", c.name, "What people call it")->type_name("TEXT");
            one->add_option("--label", c.label, "Its name under the platform or its parent; default: the id")->type_name("NAME");
            one->add_option("--parent", c.parent, "The tenant above it")->type_name("ID");
            one->add_option("--plan", c.plan, "One of [plans]")->type_name("NAME");
            one->add_option("--region", c.region, "Where it is at home")->type_name("NAME");
            one->add_option("--residency", c.residency, "strict: its region alone; preferred: others when none is left")
                ->type_name("WORD");
            one->add_option("--pool", c.pool, "One of [pools]")->type_name("NAME");
            one->add_option("--host", c.hosts, "A host name of its own; repeatable, these are all then")
                ->allow_extra_args(false)
                ->type_name("HOST");
            one->add_option("--document", c.document,
                            "A file with more of its keys, TOML or JSON; -: standard input. Options count before it")
                ->type_name("FILE");
        }
        create->add_option("--template", c.template_name, "One of [templates], to begin with; options and --document stand over it")->type_name("NAME");
        create->add_option("--owner", c.owner, "E-mail address of its first user")->type_name("EMAIL");
        update->add_option("--unset", c.unset, "A key to take away: hosts, limits; repeatable")
            ->allow_extra_args(false)
            ->type_name("KEY");
        auto* suspend = add_for_one(tenant, "suspend", "Take a tenant and all below it out of service, across restarts",
                                    verb::tenant_suspend);
        suspend->add_option("--reason", o.reason, "billing (402), abuse (403), legal (451) or maintenance (503)")
            ->required()
            ->check(CLI::IsMember({"billing", "abuse", "legal", "maintenance"}))
            ->type_name("WORD");
        suspend->add_option("--until", o.until, "When it ends by itself: 2026-12-01T00:00:00Z")->type_name("TIME");
        suspend->add_option("--message", o.message, "What visitors are told")->type_name("TEXT");
        auto* reactivate = add_for_one(tenant, "reactivate", "End a suspension, or a deletion within its grace",
                                       verb::tenant_reactivate);
        auto* remove = add_for_one(tenant, "delete", "Answer 410 for a grace period, then forget the tenant; no file may declare it",
                                   verb::tenant_delete);
        remove->add_flag("--recursive", o.recursive, "With all tenants below it");
        remove->add_option("--grace", o.grace, "Instead of registry.delete_grace; 0s: at once, for good")->type_name("DURATION");
        for (auto* one : {create, update, suspend, reactivate, remove}) {
            one->add_flag("--dry-run", c.dry_run, "Say what would happen, and change nothing");
            if (one != create)
                one->add_option("--if-revision", c.revision, "Only while it has this revision, as tenant show says it")
                    ->type_name("N");
        }
        tenant_requests(tenant);
        migrate_verb(tenant);
        archives(tenant);
    }

    void migrate_verb(CLI::App& tenant) {
        auto* migrate = add_for_one(tenant, "migrate",
                                    "Move a tenant, and those below it that have its pool, to another pool: its requests wait until "
                                    "none is in flight, then all go there. On any failure it stays where it is",
                                    verb::tenant_migrate);
        auto& m = o.migrate;
        migrate->add_option("--to", m.to, "Where to: pool:NAME")->type_name("POOL");
        migrate->add_flag("--rollback", m.rollback, "Back to the pool it had before its pool last changed, in the same way");
        migrate->add_option("--hold", m.hold, "How long requests wait at most, the hook included; default: 10s, up to 5m")
            ->type_name("DURATION");
        migrate->add_option("--queue", m.queue, "How many wait at most on each worker, others get 503; default: 1000")->type_name("N");
        migrate->add_option("--hook", m.hook,
                            "A command that is run here while requests wait, to copy data; it must end with 0 or the tenant stays. "
                            "GATEHOUSE_TENANT, GATEHOUSE_FROM and GATEHOUSE_TO tell it what moves")
            ->type_name("COMMAND");
        migrate->add_option("--tunnels", m.tunnels, "WebSockets and event streams that are open: keep (default) or close")
            ->check(CLI::IsMember({"keep", "close"}))
            ->type_name("WORD");
        migrate->add_option("--shadow", m.shadow,
                            "Move nothing: send such a part of the node's GET and HEAD requests to the pool too, and report how its "
                            "answers differ")
            ->type_name("PERCENT");
        migrate->add_option("--for", m.mirror_for, "With --shadow, how long; default: 30s, up to 100s")->type_name("DURATION");
    }

    void tenant_requests(CLI::App& tenant) {
        auto* list = add(tenant, "requests", "What tenants' admins asked for: hosts, deletion", verb::tenant_requests);
        list->add_option("id", o.tenant, "Of this tenant alone")->type_name("ID");
        auto* approve = add_for_one(tenant, "approve", "Give a tenant the host it asked for, or delete it as it asked", verb::tenant_approve);
        auto* refuse = add_for_one(tenant, "refuse", "Take a tenant's request off the list", verb::tenant_refuse);
        for (auto* one : {approve, refuse})
            one->add_option("what", o.what, "The host, or: deletion")->required()->type_name("WHAT");
        add_for_one(tenant, "prove", "Look for the TXT record that proves a host, as tenant requests shows it, and route the host", verb::tenant_prove)
            ->add_option("host", o.what, "The host it asked for")
            ->required()
            ->type_name("HOST");
        grants(tenant);
    }

    void grants(CLI::App& tenant) {
        add_for_one(tenant, "grants", "What a tenant lets other tenants' tokens do with it", verb::tenant_grants);
        auto* give = add_for_one(tenant, "grant", "Let another tenant's tokens see this one, with at most that role; none below it", verb::tenant_grant);
        auto* take = add_for_one(tenant, "revoke-grant", "End a grant, from the next request on", verb::tenant_revoke_grant);
        for (auto* one : {give, take})
            one->add_option("--to", o.grantee, "Whose tokens")->required()->type_name("ID");
        give->add_option("--role", o.role, "tenant-viewer or tenant-admin")
            ->required()
            ->check(CLI::IsMember({"tenant-viewer", "tenant-admin"}))
            ->type_name("ROLE");
        give->add_option("--expires", o.expires_in, "12h, 30d; without it the grant holds until it is revoked")->type_name("DURATION");
    }

    void workspace_verbs() {
        auto* workspace = app.add_subcommand("workspace", "Groups of a tenant's users: list, set, remove");
        workspace->require_subcommand(1);
        workspace->fallthrough();
        add_for_one(*workspace, "list", "A tenant's workspaces, or the members of one", verb::workspace_list)
            ->add_option("workspace", o.workspace, "This one's members")
            ->type_name("WORKSPACE");
        auto* set = add_for_one(*workspace, "set", "Make a workspace, or give one another name or other members", verb::workspace_set);
        auto* remove = add_for_one(*workspace, "remove", "Remove a workspace; its members stay users", verb::workspace_remove);
        for (auto* one : {set, remove})
            one->add_option("workspace", o.workspace, "Its id, of a-z, 0-9 and '-'")->required()->type_name("WORKSPACE");
        set->add_option("--name", o.user_name, "What people call it")->type_name("TEXT");
        set->add_option("--member", o.members, "A user of the tenant and their role there: owner, admin or member; repeatable, these are all then")
            ->allow_extra_args(false)
            ->type_name("EMAIL=ROLE");
    }

    void user_verbs() {
        auto* user = app.add_subcommand("user", "People of a tenant: list, set, remove");
        user->require_subcommand(1);
        user->fallthrough();
        add_for_one(*user, "list", "Owners, admins and members", verb::user_list);
        auto* set = add_for_one(*user, "set", "Make a user, or give one another role or name", verb::user_set);
        auto* remove = add_for_one(*user, "remove", "Remove a user; the last owner stays", verb::user_remove);
        for (auto* one : {set, remove})
            one->add_option("email", o.email, "name@example.org")->required()->type_name("EMAIL");
        set->add_option("--role", o.role, "owner, admin or member")
            ->check(CLI::IsMember({"owner", "admin", "member"}))
            ->type_name("ROLE");
        set->add_option("--name", o.user_name, "What people call them")->type_name("TEXT");
    }

    void token_verbs() {
        auto* token = app.add_subcommand("token", "Tokens of the admin API: create, list, revoke");
        token->require_subcommand(1);
        token->fallthrough();
        auto* create = add(*token, "create", "Make a token and print it, this once", verb::token_create);
        create->add_option("--role", o.role, "platform-admin, platform-viewer, tenant-admin or tenant-viewer")
            ->required()
            ->check(CLI::IsMember({"platform-admin", "platform-viewer", "tenant-admin", "tenant-viewer"}))
            ->type_name("ROLE");
        create->add_option("--tenant", o.tenant, "Of a tenant's role: this tenant and all below it")->type_name("ID");
        create->add_option("--label", o.label, "What it is for")->type_name("TEXT");
        create->add_option("--expires-in", o.expires_in, "12h, 90d; without it the token holds until it is revoked")->type_name("DURATION");
        auto* list = add(*token, "list", "Tokens: whose, for what, until when; never their text", verb::token_list);
        list->add_option("--tenant", o.tenant, "Of this tenant alone")->type_name("ID");
        auto* revoke = add(*token, "revoke", "End a token, from the next request on", verb::token_revoke);
        revoke->add_option("id", o.token, "Its id, as token list shows it")->required()->type_name("ID");
    }

    void archives(CLI::App& tenant) {
        auto* out = add_for_one(tenant, "export", "All that a tenant has, as one archive to take along", verb::tenant_export);
        out->add_option("--to", o.file, "Where to; default: a new file here, named by tenant and time, or with --toml standard output, which - is")->type_name("FILE");
        out->add_flag("--keys", o.keys, "Private keys of its certificates too");
        out->add_flag("--toml", o.toml, "Its document alone, as TOML for a file of tenants_dir; with --json as JSON");
        auto* in = add(tenant, "import", "Bring in a tenant from such an archive, here or on another installation", verb::tenant_import);
        in->add_option("file", o.file, "The archive")->required()->type_name("FILE");
        in->add_option("--as", o.as, "To be called so; default: as it is called")->type_name("ID");
        in->add_flag("--replace", o.replace, "A tenant that is there becomes what the archive says");
        auto* backup = add(tenant, "backup", "Keep a copy of a tenant on the node; exit code 1 when one could not be made", verb::tenant_backup);
        auto* id = backup->add_option("id", o.tenant, "The tenant")->type_name("ID");
        backup->add_flag("--all", o.all, "Of every tenant")->excludes(id);
        add_for_one(tenant, "backups", "The copies of a tenant that the node keeps", verb::tenant_backups);
        auto* restore = add_for_one(tenant, "restore", "Make a tenant what a backup says; its audit log goes on", verb::tenant_restore);
        restore->add_option("backup", o.backup, "Its name, as tenant backups shows it; default: the newest")->type_name("NAME");
        for (auto* one : {in, restore})
            one->add_flag("--dry-run", o.change.dry_run, "Say what would happen, and change nothing");
    }

    void audit_verbs() {
        auto* audit = app.add_subcommand("audit", "Who changed what: show, verify");
        audit->require_subcommand(1);
        audit->fallthrough();
        auto* show = add(*audit, "show", "What was changed, by whom and from where; the newest first", verb::audit_show);
        show->add_option("id", o.tenant, "Of this tenant; without it, what concerns none: tokens of the platform")->type_name("ID");
        show->add_option("--last", o.last, "So many rows; default: 20")->check(CLI::Range(1, 1'000'000))->type_name("N");
        auto* verify = add(*audit, "verify", "Look for rows that were removed, altered or cut off; exit code 1 when there are any",
                           verb::audit_verify);
        verify->add_option("id", o.tenant, "Of this tenant alone")->type_name("ID");
    }

    void registry_verbs() {
        auto* registry = app.add_subcommand("registry", "The registry in Redis: publish, diff");
        registry->require_subcommand(1);
        registry->fallthrough();
        add(*registry, "publish", "Compare Redis with the registry and write what differs", verb::registry_publish);
        add(*registry, "diff", "Where Redis differs from the registry; exit code 1 when it does", verb::registry_diff);
    }

    void pool_verbs() {
        auto* pool = app.add_subcommand("pool", "Pools and their endpoints: list, drain, enable");
        pool->require_subcommand(1);
        pool->fallthrough();
        auto* list = add(*pool, "list", "Endpoints and how they are", verb::pool_list);
        list->add_option("name", o.pool, "This pool alone")->type_name("NAME");
        auto* drain = add(*pool, "drain",
                          "Send an endpoint no new requests, across restarts; those in flight and "
                          "tunnels go on",
                          verb::pool_drain);
        drain
            ->add_option_function<std::string>(
                "--wait",
                [this](const std::string& text) {
                    const auto d = parse_duration(text);
                    if (!d) throw CLI::ValidationError("--wait", text + " is no duration; write 30s");
                    o.wait = *d;
                },
                "Wait that long until nothing is in flight there; exit code 1 when something is left")
            ->type_name("DURATION");
        auto* enable =
            add(*pool, "enable", "End a drain; the share grows over slow_start", verb::pool_enable);
        for (auto* one : {drain, enable}) {
            one->add_option("name", o.pool, "The pool")->required()->type_name("NAME");
            one->add_option("address", o.endpoint, "The endpoint, as pool list shows it")
                ->required()
                ->type_name("ADDRESS");
        }
    }
};

}  // namespace

namespace {

void add_words(const CLI::App& app, const std::string& path, const std::string& common, std::vector<verb_words>& out) {
    verb_words v{.path = path, .words = common, .takes_id = false};
    const auto verbs = app.get_subcommands([](const CLI::App*) { return true; });
    for (const auto* option : app.get_options()) {
        for (const auto& name : option->get_lnames())
            if (v.words.find("--" + name + ' ') == v.words.npos) v.words += fmt::format("--{} ", name);
        v.takes_id = v.takes_id || option->get_name(true) == "id";
    }
    for (const auto* one : verbs)
        v.words += one->get_name() + ' ';
    out.push_back(std::move(v));
    for (const auto* one : verbs)
        add_words(*one, path + ' ' + one->get_name(), "--config --admin --token-file --json ", out);
}

}  // namespace

std::vector<verb_words> verb_tree() {
    options ignored;
    const command_line line(ignored);
    std::vector<verb_words> out;
    add_words(line.app, {}, {}, out);
    return out;
}

parsed_arguments parse_arguments(int argc, const char* const* argv) {
    parsed_arguments out;
    command_line line(out.options);
    try {
        line.app.parse(argc, argv);
    } catch (const CLI::ParseError& e) {
        out.exit_code = line.app.exit(e, std::cout, std::cerr) == 0 ? done : usage;
    }
    return out;
}

}  // namespace gatehouse::cli
