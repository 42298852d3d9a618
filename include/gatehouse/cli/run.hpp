// The command line: reads the arguments, runs one verb, gives its exit code. Not here: serving,
// which main hands in. One thread; prints to standard output, complaints to standard error.
#pragma once

#include <gatehouse/config/settings.hpp>
#include <string>

namespace gatehouse::cli {

inline constexpr int done = 0, refused = 1, usage = 2;  // exit codes

using serve_function = int (*)(const config::settings& s, const std::string& settings_file);

int run(int argc, const char* const* argv, serve_function serve);

}  // namespace gatehouse::cli
