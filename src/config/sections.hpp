// The readers of the sections, one function a section, and what several of them share.
// Not here: how a key is read (table_reader.hpp). One thread at a time.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "table_reader.hpp"

namespace gatehouse::config {

// --- the main file ---
void read_node(table_reader& root, node_settings& out);
void read_listeners(table_reader& root, std::vector<listener_settings>& out);
void read_admin(table_reader& root, admin_settings& out);
void read_timeouts(table_reader& root, timeout_settings& out);
void read_node_limits(table_reader& root, limit_settings& out);
void read_log(table_reader& root, log_settings& out);
void read_platform(table_reader& root, platform_settings& out);
void read_backup(table_reader& root, const std::string& state_dir, backup_settings& out);
void read_registry(table_reader& root, registry_settings& out);
void read_regions(table_reader& root, std::vector<region_settings>& out);
// `own_certificates`: false where they come from elsewhere than certs_dir.
void read_tls(table_reader& root, tls_settings& out, bool own_certificates);
void read_languages(table_reader& root, std::vector<language_ptr>& out);  // of a published platform
void read_plans(table_reader& root, std::vector<tenant::plan>& out);
void read_pools(table_reader& root, std::vector<tenant::pool>& out);

// --- shared with the tenants' files ---
void read_limits(table_reader& in, tenant::limits& out);  // the keys of one limits table
void read_upstream_timeouts(table_reader& in, tenant::upstream_timeouts& out);
// A duration of whole seconds.
bool read_seconds(table_reader& in, std::string_view key, std::chrono::seconds& out, duration_bounds b);
void read_branding(table_reader& in, tenant::branding& out);
// Reads `key` in lower case. What is no host name is told and left out.
std::string lower_host(const std::string& value, const place& where, wildcard w);
// "unix:PATH" with the path made absolute; false when it is too long for a socket (told).
bool absolute_unix(std::string& address, const document& doc, const place& where);

// --- a tenant's file ---
struct tenant_context {
    std::string_view platform_domain;
    std::string_view context_prefix;
};
void read_routes(table_reader& root, const tenant_context& ctx,
                 std::optional<std::vector<tenant::route>>& out);
void read_tenant(table_reader& root, const tenant_context& ctx, tenant::tenant& out);
void read_templates(table_reader& root, const tenant_context& ctx, std::vector<tenant::tenant>& out);

}  // namespace gatehouse::config
