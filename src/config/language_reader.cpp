// Languages of the pages: one file each, or the section of a published platform.
#include <algorithm>
#include <fstream>
#include <gatehouse/base/text.hpp>

#include "sections.hpp"
#include "toml_writer.hpp"

namespace gatehouse::config {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t language_file_bytes_max = 64 * 1024;
constexpr std::size_t languages_max = 64;

template <std::size_t Bytes>
bool is_short(std::string_view s) noexcept {
    return !s.empty() && s.size() <= Bytes && is_plain_text(s);
}
constexpr text_rule word_rule{is_short<100>, "a short text", "use 1 to 100 bytes without control characters"};
constexpr text_rule title_rule{is_short<200>, "a title", "use 1 to 200 bytes without control characters"};
constexpr text_rule text_rule_of_pages{is_short<600>, "a text", "use 1 to 600 bytes without control characters"};

constexpr std::array directions{names::word<bool>{"ltr", false}, names::word<bool>{"rtl", true}};

template <class F>
void for_each_problem(F&& f) {
    for (int i = 1; i <= static_cast<int>(problem::loop); ++i)
        f(static_cast<problem>(i));
}

void read_language(table_reader& in, language& out) {
    in.choice("direction", out.right_to_left, directions);
    in.text("request", out.request, word_rule);
    in.text("support", out.support, word_rule);
    in.text("back", out.back, word_rule);
    for_each_problem([&](problem p) {
        in.section(page_name(p), [&](table_reader& page_in) {
            page_in.text("title", out.page(p).title, title_rule);
            page_in.text("text", out.page(p).text, text_rule_of_pages);
        });
    });
}

std::string text_of(const std::string& file, bool& readable) {
    // Opening a FIFO would wait for its writer.
    std::error_code ec;
    readable = fs::is_regular_file(file, ec);
    if (!readable) return {};
    std::ifstream stream(file, std::ios::binary);
    std::string text(language_file_bytes_max + 1, '\0');
    stream.read(text.data(), static_cast<std::streamsize>(text.size()));
    readable = stream.eof() || stream.gcount() > 0;
    text.resize(static_cast<std::size_t>(stream.gcount()));
    return text;
}

// Null: it cannot be used, and the document says why.
language_ptr load_language(document& doc, const std::string& tag) {
    bool readable = false;
    const std::string text = text_of(doc.file, readable);
    if (!readable) {
        place(doc, 0, {}).error("cannot be read", "make it a file that the gateway may read");
        return nullptr;
    }
    const auto table = parse_toml(text, language_file_bytes_max, doc);
    if (!table) return nullptr;
    auto out = std::make_shared<language>(begin_language(tag));
    table_reader root(doc, *table, {});
    read_language(root, *out);
    root.finish();
    return has_errors(doc.diagnostics) ? nullptr : out;
}

std::vector<std::string> language_files(const std::string& folder) {
    std::vector<std::string> out;
    std::error_code ec;
    for (fs::directory_iterator i(folder, ec), end; !ec && i != end; i.increment(ec))
        if (i->path().extension() == ".toml") out.push_back(i->path().string());
    std::sort(out.begin(), out.end());
    return out;
}

bool has(const std::vector<language_ptr>& all, const std::string& tag) {
    return std::any_of(all.begin(), all.end(), [&](const language_ptr& l) { return l->tag == tag; });
}

void keep(std::vector<language_ptr>& out, const std::vector<language_ptr>& in_force, const std::string& tag) {
    for (const language_ptr& l : in_force)
        if (l->tag == tag) out.push_back(l);
}

}  // namespace

std::vector<diagnostic> load_languages(settings& s, const std::vector<language_ptr>& in_force) {
    std::vector<diagnostic> out;
    if (s.registry.follows()) return out;
    s.languages.clear();
    for (const std::string& file : language_files(s.platform.languages_dir)) {
        const std::string stem = fs::path(file).stem().string(), tag = to_lower(stem);
        document doc(file);
        if (!is_language(stem)) {
            place(doc, 0, {}).error(shown(stem) + " is not a language", "name the file like \"fr.toml\" or \"pt-BR.toml\"");
        } else if (has(s.languages, tag)) {
            place(doc, 0, {}).error("is the second file of " + shown(tag), "remove one of the two");
        } else if (s.languages.size() == languages_max) {
            place(doc, 0, {}).error("is one too many", "at most " + std::to_string(languages_max) + " languages are taken");
        } else if (auto l = load_language(doc, tag)) {
            s.languages.push_back(std::move(l));
        } else {
            keep(s.languages, in_force, tag);
        }
        auto told = doc.take_diagnostics();
        out.insert(out.end(), std::make_move_iterator(told.begin()), std::make_move_iterator(told.end()));
    }
    if (find_language(with_built_in(s.languages), s.platform.language) == nullptr) {
        document doc(s.file);
        place(doc, 0, "platform.language")
            .warning("there are no pages in " + shown(s.platform.language) + ", so they are English",
                     "write " + (fs::path(s.platform.languages_dir) / (s.platform.language + ".toml")).string());
        out.push_back(doc.diagnostics.front());
    }
    return out;
}

void read_languages(table_reader& root, std::vector<language_ptr>& out) {
    root.named_sections("languages", languages_max, [&](const std::string& tag, table_reader& in) {
        auto l = std::make_shared<language>(begin_language(tag));
        if (!is_language(tag)) in.here().error(shown(tag) + " is not a language", "write a tag like \"fr\"");
        read_language(in, *l);
        out.push_back(std::move(l));
    });
}

void write_languages(writer& w, const std::vector<language_ptr>& all) {
    for (const language_ptr& l : all) {
        const std::string header = "languages." + string_literal(l->tag);
        w.table(header);
        w.text("direction", names::name_of(directions, l->right_to_left));
        w.text("request", l->request);
        w.text("support", l->support);
        w.text("back", l->back);
        for_each_problem([&](problem p) {
            w.table(header + '.' + page_name(p));
            w.text("title", l->page(p).title);
            w.text("text", l->page(p).text);
        });
    }
}

}  // namespace gatehouse::config
