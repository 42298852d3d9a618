// A page of the certificates of a folder by name, put together in small turns on pool threads: of
// 100,000 files each page reads the names of all and the leaves of its own.
#pragma once

#include <cstddef>
#include <functional>
#include <gatehouse/tls/certificates.hpp>
#include <optional>
#include <string>
#include <vector>

namespace gatehouse::tls {

struct listing {
    std::string certs_dir, after;
    std::size_t limit = 0;
    // The row of a file that needs no reading.
    std::function<std::optional<certificate_row>(const std::string& file)> in_memory;
    certificate_source::executor run_in_pool;
    std::function<void(certificate_page)> done;
};
void list_folder(listing l);

// Of rows in order.
certificate_page page_of(std::vector<certificate_row> rows, const std::string& after,
                         std::size_t limit);

}  // namespace gatehouse::tls
