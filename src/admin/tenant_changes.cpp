#include "tenant_changes.hpp"

#include <fmt/format.h>
#include <gatehouse/base/units.hpp>

#include <charconv>
#include <gatehouse/config/json.hpp>
#include <utility>

#include "api_parsed.hpp"
#include "users.hpp"

namespace gatehouse::admin {
namespace {

using registry::refusal;
using verb = registry::tenant_change::verb;
constexpr std::chrono::hours longest_grace{24 * 366};

// RFC 9110, section 13.1.1, of the entity tags that we give.
std::optional<std::uint64_t> revision_of(std::string_view tag) noexcept {
    if (tag.size() < 3 || tag.front() != '"' || tag.back() != '"') return std::nullopt;
    tag = tag.substr(1, tag.size() - 2);
    std::uint64_t n = 0;
    const auto [end, ec] = std::from_chars(tag.data(), tag.data() + tag.size(), n);
    if (ec != std::errc{} || end != tag.data() + tag.size()) return std::nullopt;
    return n;
}

asked_change wrong(unsigned status, std::string_view title, std::string_view detail) {
    return {.change = {}, .wrong = api_problem(status, "bad-request", title, detail)};
}

// RFC 6901: "routes[0].pool" is "/routes/0/pool".
std::string pointer_of(std::string_view key) {
    std::string out;
    if (!key.empty()) out += '/';
    for (const char c : key) {
        if (c == '.' || c == '[')
            out += '/';
        else if (c == '~')
            out += "~0";
        else if (c == '/')
            out += "~1";
        else if (c != ']')
            out += c;
    }
    return out;
}

json::array errors_json(const registry::change_answer& a) {
    json::array out;
    for (const auto& d : a.reasons) {
        json::object o{{"pointer", pointer_of(d.key)}, {"detail", d.message}};
        if (!d.advice.empty()) o["advice"] = d.advice;
        if (!d.file.empty() && !d.file.starts_with("api:")) o["file"] = d.file;
        if (d.file.starts_with("api:")) o["tenant"] = d.file.substr(4);
        out.push_back(std::move(o));
    }
    return out;
}

struct words {
    unsigned status;
    std::string_view type, title;
};

words words_of(refusal r) noexcept {
    switch (r) {
        case refusal::exists:
            return {409, "exists", "There is such a tenant"};
        case refusal::unknown:
            return {404, "not-found", "Not found"};
        case refusal::in_file:
            return {409, "declared-in-file", "A file declares this tenant"};
        case refusal::stale:
            return {412, "stale", "The tenant was changed meanwhile"};
        case refusal::invalid:
            return {422, "invalid", "The document is not accepted"};
        case refusal::out_of_order:
            return {409, "conflict", "The change does not fit the other tenants or the settings"};
        case refusal::has_children:
            return {409, "has-children", "Tenants are below this one"};
        case refusal::too_many:
            return {409, "too-many", "No more tenants can be made here"};
        case refusal::elsewhere:
            return {409, "not-this-node", "This node does not change the registry"};
        case refusal::not_stored:
        case refusal::none:
            break;
    }
    return {503, "not-stored", "Nothing was changed"};
}

unsigned status_of(verb what) noexcept {
    if (what == verb::create) return 201;
    return what == verb::remove ? 202 : 200;
}

// The first user, who is no part of the document.
std::optional<api_answer> take_owner(registry::tenant_change& c) {
    const auto* owner = c.document.if_contains("owner");
    if (owner == nullptr) return std::nullopt;
    const auto email = owner->is_string() ? email_of(std::string_view(owner->get_string())) : std::string();
    if (email.empty())
        return document_problem(422, "invalid", "The document is not accepted", "This cannot be a tenant's.",
                                {{"/owner", "is no e-mail address: name@example.org"}});
    const auto* id = c.document.if_contains("id");
    if (id != nullptr && id->is_string()) c.events.push_back(first_owner(std::string(id->get_string()), email));
    c.document.erase("owner");
    return std::nullopt;
}

// "template" of the body: what the document says stands over it.
std::optional<api_answer> begin_with_template(registry::tenant_change& c, const std::vector<gatehouse::tenant::tenant>* templates) {
    const auto* name = c.document.if_contains("template");
    if (name == nullptr) return std::nullopt;
    const gatehouse::tenant::tenant* found = nullptr;
    if (templates != nullptr && name->is_string())
        for (const auto& t : *templates)
            if (t.id == std::string_view(name->get_string())) found = &t;
    if (found == nullptr)
        return document_problem(422, "invalid", "The document is not accepted", "This cannot be a tenant's.",
                                {{"/template", "there is no such template; the main file has them as [templates.NAME]"}});
    auto whole = config::to_json(*found);
    for (const auto* own : {"id", "label", "state"})
        whole.erase(own);
    auto document = std::exchange(c.document, {});
    document.erase("template");
    registry::merge_patch(whole, document);
    c.document = std::move(whole);
    return std::nullopt;
}

}  // namespace

api_answer refusal_answer(const registry::change_answer& a) {
    const auto w = words_of(a.refused);
    if (a.reasons.empty()) return api_problem(w.status, w.type, w.title, a.detail);
    json::object o{{"type", fmt::format("urn:gatehouse:{}", w.type)},
                   {"title", w.title},
                   {"status", w.status},
                   {"detail", a.detail},
                   {"errors", errors_json(a)}};
    api_answer out;
    out.status = w.status;
    out.content_type = "application/problem+json";
    out.body = json::serialize(o) + "\n";
    return out;
}

asked_change read_change(verb what, std::string_view id, const change_request& r) {
    asked_change out;
    auto& c = out.change;
    c.what = what;
    c.id = id;
    if (!r.body.empty() || what == verb::create || what == verb::update || what == verb::suspend) {
        auto body = body_of(r.content_type, r.body);
        if (body.wrong) return {.change = {}, .wrong = std::move(body.wrong)};
        c.document = std::move(body.object);
    }
    if (what == verb::create) {
        if (auto bad = take_owner(c)) return {.change = {}, .wrong = std::move(bad)};
        if (auto bad = begin_with_template(c, r.templates)) return {.change = {}, .wrong = std::move(bad)};
        if (const auto* own = c.document.if_contains("id"); own != nullptr && own->is_string()) c.id = own->get_string();
    }
    if (!r.if_match.empty() && r.if_match != "*") {
        c.if_revision = revision_of(r.if_match);
        // A tag that we never gave is nobody's.
        if (!c.if_revision) return {.change = {}, .wrong = api_problem(412, "stale", "If-Match is no revision of this tenant", "")};
    }
    const auto dry_run = flag(r.dry_run), recursive = flag(r.recursive);
    if (!dry_run || !recursive) return wrong(400, "The query is not understood", "dry_run, recursive: 0 or 1");
    c.dry_run = *dry_run;
    c.recursive = *recursive;
    if (r.grace.empty()) return out;
    const auto grace = parse_duration(r.grace);
    if (!grace || *grace > longest_grace)
        return wrong(400, "The query is not understood", "grace: a duration up to 366d, such as 0s or 7d");
    c.grace = std::chrono::duration_cast<std::chrono::seconds>(*grace);
    return out;
}

api_answer answer_of(const registry::tenant_change& c, const registry::change_answer& a,
                     const registry::tenant_row* shown, const json::object& row) {
    if (a.refused != refusal::none) return refusal_answer(a);
    json::object o;
    if (c.dry_run)
        o["dry_run"] = true;
    else if (shown != nullptr)
        o = row;
    if (c.dry_run || c.what == verb::remove) o["affected"] = json::array(a.affected.begin(), a.affected.end());
    api_answer out;
    out.status = c.dry_run ? 200 : status_of(c.what);
    out.body = json::serialize(o) + "\n";
    if (c.dry_run || shown == nullptr) return out;
    out.fields.emplace_back("ETag", fmt::format("\"{}\"", shown->revision));
    if (c.what == verb::create) out.fields.emplace_back("Location", "/v1/tenants/" + c.id);
    return out;
}

}  // namespace gatehouse::admin
