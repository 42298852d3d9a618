// Requests that move a tenant to another pool, and their answers. Pure.
#pragma once

#include <gatehouse/admin/migration.hpp>
#include <optional>
#include <string_view>

#include "api.hpp"

namespace gatehouse::admin {

struct asked_migration {
    migration_wish wish;
    std::optional<api_answer> wrong;  // set: the request is not understood
};
asked_migration read_migration(std::string_view tenant, std::string_view content_type, std::string_view body);
api_answer answer_of(const migration_wish& w, const migration_answer& a);

}  // namespace gatehouse::admin
