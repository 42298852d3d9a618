// What our own HTML pages say, in one language: a title and an explanation for each problem, and a few
// fixed words. Not the page itself (http/problem_page.cpp). Plain text, escaped where it is shown.
// Values, immutable once made; any thread.
#pragma once

#include <array>
#include <gatehouse/base/problem.hpp>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse {

struct page_text {
    std::string title;  // one short sentence
    std::string text;   // what it means for the reader and what to do
    bool operator==(const page_text&) const = default;
};

struct language {
    std::string tag = "en";  // BCP 47, lower case: "de", "pt-br"
    bool right_to_left = false;
    std::string request;     // before the request's id
    std::string support;     // the link to support
    std::string back;        // before the time when it is over
    std::array<page_text, static_cast<std::size_t>(problem::loop) + 1> pages;

    const page_text& page(problem p) const noexcept { return pages[static_cast<std::size_t>(p)]; }
    page_text& page(problem p) noexcept { return pages[static_cast<std::size_t>(p)]; }
    bool operator==(const language&) const = default;
};
using language_ptr = std::shared_ptr<const language>;

// Compiled in.
const language_ptr& english();
const language_ptr& german();

// The name of a problem's page in a language's file: its type, and for a suspension the reason behind
// it ("tenant-suspended-billing").
std::string page_name(problem p);

// What a language's file begins with, so that it may leave things out: the built-in one of that tag,
// otherwise English with the tag and the direction of its script.
language begin_language(std::string_view tag);

// Those of files and the built-in ones that no file replaces: English is always there.
std::vector<language_ptr> with_built_in(const std::vector<language_ptr>& by_file);

// The one that serves `wanted` best (RFC 4647 3.4 lookup, then any of the same language: "pt" takes
// "pt-br"); case does not matter. Null: none.
const language* find_language(const std::vector<language_ptr>& all, std::string_view wanted) noexcept;

}  // namespace gatehouse
