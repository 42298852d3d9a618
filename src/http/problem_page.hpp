// The HTML form of an answer of the gate's own: one self-contained page, everything escaped.
#pragma once

#include <gatehouse/http/problem_document.hpp>
#include <string>

namespace gatehouse::http {

std::string problem_page(const own_answer& a);

}  // namespace gatehouse::http
