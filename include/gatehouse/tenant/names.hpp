// The words for a tenant's enumerated settings, as files write them. Pure; any thread.
#pragma once

#include <gatehouse/tenant/model.hpp>
#include <string_view>

namespace gatehouse::tenant {

std::string_view name(life l) noexcept;
std::string_view name(suspension s) noexcept;   // empty for none
std::string_view name(residency r) noexcept;
std::string_view name(recurrence r) noexcept;   // empty for none
std::string_view name(redis_loss r) noexcept;
std::string_view name(balance b) noexcept;

}  // namespace gatehouse::tenant
