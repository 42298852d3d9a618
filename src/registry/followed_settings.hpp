// A follower's settings: its own, with what all nodes share as it was published. Blocks.
#pragma once

#include <gatehouse/registry/documents.hpp>
#include <optional>
#include <string>

namespace gatehouse::registry {

// Files that the settings name are put into `files_dir`. Nothing: `text` is not to be taken, and why.
std::optional<config::settings> followed_settings(const std::string& text, const config::settings& own,
                                                  const region_keys& keys, const std::string& files_dir, std::string& why);

}  // namespace gatehouse::registry
