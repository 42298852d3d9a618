// Runs an operator's own program between two steps of a verb, and ends it when its time is over or the verb
// is interrupted. One thread.
#pragma once

#include <chrono>
#include <string>
#include <utility>
#include <vector>

namespace gatehouse::cli {

// Empty: it ended with 0 in time; else a sentence. `command` goes to /bin/sh, with these variables in its
// environment and our standard streams; what it started is killed with it.
std::string run_hook(const std::string& command, const std::vector<std::pair<std::string, std::string>>& environment,
                     std::chrono::milliseconds patience);

}  // namespace gatehouse::cli
