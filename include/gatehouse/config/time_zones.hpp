// The time zones of this machine (package tzdata), by name: "Europe/Berlin". Any thread; the first call reads the files,
// so it is a start's. Others of a later tzdata are known after a restart.
#pragma once

#include <gatehouse/base/time_zone.hpp>
#include <string_view>

namespace gatehouse::config {

// Null: there is none of this name. Never freed.
const time_zone* find_time_zone(std::string_view name);

}  // namespace gatehouse::config
