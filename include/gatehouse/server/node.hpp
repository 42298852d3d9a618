// Runs a node: the composition root's one door.
#pragma once

#include <gatehouse/config/settings.hpp>
#include <string>

namespace gatehouse::server {

// Serves until SIGTERM or SIGINT; SIGHUP re-reads `settings_file`, SIGUSR1 reopens the access log.
// The exit code: 0 after an orderly drain, 1 when it could not start (the reason is in the log).
int serve(const config::settings& settings, const std::string& settings_file);

}  // namespace gatehouse::server
