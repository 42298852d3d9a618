// The HTML form of an answer of the gate's own: one self-contained page in one language, everything
// escaped, at most 8 KiB.
#pragma once

#include <gatehouse/http/problem_document.hpp>
#include <string>

namespace gatehouse::http {

std::string problem_page(const own_answer& a);

}  // namespace gatehouse::http
