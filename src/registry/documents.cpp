#include <fmt/format.h>

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <gatehouse/config/json.hpp>
#include <gatehouse/registry/documents.hpp>
#include <stdexcept>

namespace gatehouse::registry {

namespace json = boost::json;

namespace {

constexpr std::int64_t format_known = 1;
constexpr std::size_t document_bytes_max = 8 * 1024 * 1024;
constexpr std::string_view before_signed = "},\"signed\":";

// --- the envelope ---

std::string signature_of(const seal::key_ring& ring, std::string_view text) {
    return ring.current().id() + ':' + ring.current().sign(text);
}

std::string envelope(const json::object& content, const region_keys& keys) {
    const std::string text = json::serialize(content);
    std::string out = "{\"signatures\":{";
    for (const auto& [region, ring] : keys)
        out += fmt::format("{}\"{}\":\"{}\"", out.back() == '{' ? "" : ",", region, signature_of(ring, text));
    return out.append(before_signed).append(text).append("}");
}

std::string_view signed_text(std::string_view document) noexcept {
    const auto at = document.find(before_signed);
    if (at == document.npos || document.back() != '}') return {};
    document.remove_suffix(1);
    return document.substr(at + before_signed.size());
}

// "KEY:REST" of the region in what stands before `signed`; empty: none.
std::string_view signature_in(std::string_view document, std::string_view region) noexcept {
    std::string_view head = document.substr(0, document.find(before_signed));
    const std::string wanted = fmt::format("\"{}\":\"", region);
    const auto at = head.find(wanted);
    if (at == head.npos) return {};
    head.remove_prefix(at + wanted.size());
    return head.substr(0, head.find('"'));
}

struct opened {
    json::object content;
    std::string why;  // refused
    bool later = false;  // of a later version
};

opened refuse(std::string why) { return {.content = {}, .why = std::move(why)}; }

std::string why_unsigned(std::string_view document, const reader& r) {
    const auto signature = signature_in(document, r.region);
    if (signature.empty())
        return fmt::format("is not signed for region \"{}\": the publisher needs [regions.{}] with its key_file",
                           r.region, r.region);
    const auto colon = std::min(signature.find(':'), signature.size());
    const auto* key = r.keys.find(signature.substr(0, colon));
    if (key == nullptr)
        return fmt::format("is signed with key {} of region \"{}\", which this node does not hold: give it the "
                           "publisher's key_file",
                           signature.substr(0, colon), r.region);
    if (!key->is_signed(signed_text(document), signature.substr(std::min(colon + 1, signature.size()))))
        return "carries a wrong signature: it was not written by a publisher of this fleet, or changed since";
    return {};
}

opened open(std::string_view document, std::string_view kind, std::string_view name, const reader& r) {
    if (document.size() > document_bytes_max) return refuse("is too large");
    if (signed_text(document).empty()) return refuse("is no document of a registry");
    if (auto why = why_unsigned(document, r); !why.empty()) return refuse(std::move(why));
    json::error_code ec;
    json::value value = json::parse(signed_text(document), ec);
    if (ec || !value.is_object()) return refuse("is no JSON");
    json::object& o = value.get_object();
    const auto text_is = [&](std::string_view key, std::string_view wanted) {
        const json::value* v = o.if_contains(key);
        return v != nullptr && v->is_string() && v->get_string() == wanted;
    };
    if (!text_is("kind", kind) || !text_is("name", name))
        return refuse(fmt::format("is another one's document, not that of {} {}", kind, name));
    const json::value* format = o.if_contains("format");
    const bool later = format == nullptr || !format->is_int64() || format->get_int64() > format_known;
    return {.content = std::move(o), .why = {}, .later = later};
}

json::object begin(std::string_view kind, std::string_view name, const position& at) {
    return {{"kind", kind}, {"name", name}, {"format", format_known}, {"epoch", at.epoch}, {"revision", at.revision}};
}

// --- members ---

std::uint64_t number_in(const json::object& o, std::string_view key) noexcept {
    const json::value* v = o.if_contains(key);
    if (v == nullptr) return 0;
    if (v->is_int64()) return static_cast<std::uint64_t>(std::max<std::int64_t>(v->get_int64(), 0));
    return v->is_uint64() ? v->get_uint64() : 0;
}

std::string text_in(const json::object& o, std::string_view key) {
    const json::value* v = o.if_contains(key);
    return v != nullptr && v->is_string() ? std::string(v->get_string()) : std::string();
}

std::vector<std::string> texts_in(const json::object& o, std::string_view key) {
    std::vector<std::string> out;
    const json::value* v = o.if_contains(key);
    if (v == nullptr || !v->is_array()) return out;
    for (const json::value& one : v->get_array())
        if (one.is_string()) out.emplace_back(one.get_string());
    return out;
}

json::object object_of(const std::map<std::string, std::string>& files) {
    json::object out;
    for (const auto& [path, contents] : files)
        out[path] = contents;
    return out;
}

std::map<std::string, std::string> files_in(const json::object& o) {
    std::map<std::string, std::string> out;
    for (const auto& [path, contents] : o)
        if (contents.is_string()) out.emplace(path, contents.get_string());
    return out;
}

const json::object* object_in(const json::object& o, std::string_view key) noexcept {
    const json::value* v = o.if_contains(key);
    return v != nullptr ? v->if_object() : nullptr;
}

position position_in(const json::object& o) noexcept {
    return {.epoch = number_in(o, "epoch"), .revision = number_in(o, "revision")};
}

// --- secrets ---

// Nothing that was sealed can stand anywhere else, or for an older one.
std::string purpose(std::string_view kind, std::string_view name, const position& at) {
    return fmt::format("{} {} {} {}", kind, name, at.epoch, at.revision);
}

std::string sealed_for(const seal::key_ring& ring, std::string_view plain, const std::string& purpose) {
    return ring.current().id() + ':' + ring.current().seal(plain, purpose);
}

std::optional<secret_text> unsealed(std::string_view sealed, const reader& r, const std::string& purpose) {
    const auto colon = sealed.find(':');
    if (colon == sealed.npos) return std::nullopt;
    const auto* key = r.keys.find(sealed.substr(0, colon));
    if (key == nullptr) return std::nullopt;
    return key->open(sealed.substr(colon + 1), purpose);
}

std::string first_error(const std::vector<config::diagnostic>& all) {
    for (const auto& d : all)
        if (d.severity == config::severity::error) return fmt::format("{} {}", d.key, d.message);
    return "cannot be read";
}

}  // namespace

region_keys load_region_keys(const std::vector<config::region_settings>& regions, std::string& why) {
    region_keys out;
    for (const auto& region : regions) {
        if (region.key_file.empty()) continue;
        std::string trouble;
        auto ring = seal::key_ring::load(region.key_file, trouble);
        if (!ring) {
            why = fmt::format("regions.{}.key_file: {} {}", region.name, region.key_file, trouble);
            return {};
        }
        out.emplace(region.name, std::move(*ring));
    }
    return out;
}

// --- tenants ---

namespace {

// Of a strict tenant what nodes of other regions have to know, as tenants below it may be theirs: whether
// it is in service, and what bounds its family.
tenant::tenant known_to_all(const tenant_document& d) {
    tenant::tenant t;
    t.id = t.label = d.id;
    t.parent = d.tenant->parent;
    t.plan = d.tenant->plan;
    t.state = d.tenant->state;
    t.reason = d.tenant->reason;
    t.until = d.tenant->until;
    t.limits = d.tenant->limits;
    t.region = d.region;
    t.residency = tenant::residency::strict;
    t.maintenance = d.tenant->maintenance;
    for (tenant::maintenance_window& w : t.maintenance)
        w.message.clear();
    return t;
}

}  // namespace

std::string write_tenant(const tenant_document& d, const region_keys& keys) {
    json::object o = begin("tenant", d.id, d.at);
    // Keys that a reader has to understand; this version has none that an older one would not.
    o["critical"] = json::array();
    o["region"] = d.region;
    o["residency"] = d.strict ? "strict" : "preferred";
    o["hosts"] = json::array(d.hosts.begin(), d.hosts.end());
    if (d.made_by_api) o["made_by_api"] = true;
    if (!d.files.empty()) o["files"] = object_of(d.files);
    if (d.tenant && d.strict) {
        const auto home = keys.find(d.region);
        if (home == keys.end())
            throw std::invalid_argument(fmt::format("there is no key of its home region \"{}\"", d.region));
        const std::string body = json::serialize(config::to_json(*d.tenant));
        o["known"] = config::to_json(known_to_all(d));
        o["sealed"] = sealed_for(home->second, body, purpose("tenant", d.id, d.at));
        o["sealed_signature"] = home->second.current().sign(body);  // tells whether two say the same
    } else if (d.tenant) {
        o["tenant"] = config::to_json(*d.tenant);
    }
    return envelope(o, keys);
}

namespace {

// The first of the keys that have to be understood and are not; empty: all are.
std::string not_understood(const json::object& o) {
    static const std::vector<std::string> known = config::known_tenant_keys();
    for (const std::string& key : texts_in(o, "critical"))
        if (!std::binary_search(known.begin(), known.end(), key)) return key;
    return {};
}

std::optional<json::value> body_of(const json::object& o, const reader& r, const tenant_document& d) {
    if (const json::object* plain = object_in(o, "tenant")) return json::value(*plain);
    const auto text = unsealed(text_in(o, "sealed"), r, purpose("tenant", d.id, d.at));
    if (!text) return std::nullopt;
    json::error_code ec;
    json::value body = json::parse(text->view(), ec);
    if (ec || !body.is_object()) return std::nullopt;
    return body;
}

struct parsed_tenant {
    std::shared_ptr<const tenant::tenant> value;
    std::string why;
};
parsed_tenant parsed(const json::object& o, const std::string& id) {
    config::unknown_keys ignored;
    auto loaded = config::parse_tenant(o, fmt::format("redis tenant {}", id), {}, {}, ignored);   // judged where it was published
    if (!loaded.value || loaded.value->id != id)
        return {.value = nullptr, .why = fmt::format("needs a later gatehouse: {}", first_error(loaded.diagnostics))};
    return {.value = std::make_shared<const tenant::tenant>(std::move(*loaded.value)), .why = {}};
}

}  // namespace

tenant_reading read_tenant(std::string_view text, std::string_view id, const reader& r) {
    opened from = open(text, "tenant", id, r);
    tenant_reading out;
    out.why = std::move(from.why);
    if (!out.why.empty()) return out;
    const json::object& o = from.content;
    tenant_document& d = out.document;
    d = {.id = std::string(id),
         .at = position_in(o),
         .region = text_in(o, "region"),
         .strict = text_in(o, "residency") == "strict",
         .hosts = texts_in(o, "hosts"),
         .tenant = nullptr,
         .files = {},
         .made_by_api = o.contains("made_by_api")};
    if (d.strict && d.region != r.region) {
        out.what = reading::elsewhere;
        const json::object* known = object_in(o, "known");
        if (known != nullptr) d.tenant = parsed(*known, d.id).value;
        return out;
    }
    if (const json::object* files = object_in(o, "files")) d.files = files_in(*files);
    const std::string unknown = from.later ? std::string("its format") : not_understood(o);
    if (!unknown.empty()) {
        out.what = reading::not_understood;
        out.why = fmt::format("needs a later gatehouse, which understands {}", unknown);
        return out;
    }
    if (!o.contains("tenant") && !o.contains("sealed")) {
        out.what = reading::whole;  // removed
        return out;
    }
    const auto body = body_of(o, r, d);
    if (!body) {
        out.why = "cannot be unsealed: it was changed since it was written";
        return out;
    }
    auto loaded = parsed(body->get_object(), d.id);
    if (!loaded.value) {
        // Signed, so a publisher meant it: a value that this version does not know.
        out.what = reading::not_understood;
        out.why = std::move(loaded.why);
        return out;
    }
    d.tenant = std::move(loaded.value);
    out.what = reading::whole;
    return out;
}

// --- certificates ---

std::string write_certificate(const certificate_document& d, const region_keys& keys) {
    json::object o = begin("certificate", d.name, d.at), sealed;
    o["not_after"] = d.not_after;
    o["chain"] = d.chain;
    if (!d.source.empty()) o["source"] = d.source;
    for (const std::string& region : d.regions) {
        const auto ring = keys.find(region);
        if (ring != keys.end())
            sealed[region] = sealed_for(ring->second, d.key.view(), purpose("certificate", d.name, d.at));
    }
    o["keys"] = std::move(sealed);
    return envelope(o, keys);
}

certificate_reading read_certificate(std::string_view text, std::string_view name, const reader& r) {
    opened from = open(text, "certificate", name, r);
    certificate_reading out;
    out.why = std::move(from.why);
    if (!out.why.empty()) return out;
    if (from.later) {
        out.what = reading::not_understood;
        out.why = "needs a later gatehouse, which understands its format";
        return out;
    }
    const json::object& o = from.content;
    certificate_document& d = out.document;
    d = {.name = std::string(name),
         .at = position_in(o),
         .not_after = static_cast<std::int64_t>(number_in(o, "not_after")),
         .chain = text_in(o, "chain"),
         .key = {},
         .regions = {},
         .source = text_in(o, "source")};
    if (const json::object* keys = object_in(o, "keys"))
        for (const auto& [region, sealed] : *keys)
            d.regions.emplace_back(region);
    if (std::find(d.regions.begin(), d.regions.end(), r.region) == d.regions.end()) {
        out.what = reading::elsewhere;
        return out;
    }
    auto key = unsealed(text_in(*object_in(o, "keys"), r.region), r, purpose("certificate", d.name, d.at));
    if (!key) {
        out.why = fmt::format("holds a key that is not sealed under a key of region \"{}\" that this node has", r.region);
        return out;
    }
    d.key = std::move(*key);
    out.what = reading::whole;
    return out;
}

std::string current_source(std::string_view text, std::string_view name, const std::vector<std::string>& regions,
                           const region_keys& keys) {
    json::object content;
    for (const auto& [region, ring] : keys) {
        opened from = open(text, "certificate", name, {.region = region, .keys = ring});
        const bool current = from.why.empty() && !from.later && signature_in(text, region).starts_with(ring.current().id() + ':');
        if (!current) return {};
        content = std::move(from.content);
    }
    const json::object* sealed = object_in(content, "keys");
    if (sealed == nullptr || sealed->size() != regions.size()) return {};
    for (const std::string& region : regions) {
        const auto ring = keys.find(region);
        if (ring == keys.end() || !text_in(*sealed, region).starts_with(ring->second.current().id() + ':')) return {};
    }
    return text_in(content, "source");
}

// --- the platform ---

std::string write_platform(const platform_document& d, const region_keys& keys) {
    json::object o = begin("platform", "platform", d.at);
    o["settings"] = config::shared_to_json(d.settings);
    json::object sealed;
    const std::string all = json::serialize(object_of(d.files));
    for (const auto& [region, ring] : keys)
        sealed[region] = sealed_for(ring, all, purpose("platform", "platform", d.at));
    o["files"] = std::move(sealed);
    if (!keys.empty()) o["sealed_signature"] = keys.begin()->second.current().sign(all);
    return envelope(o, keys);
}

platform_reading read_platform(std::string_view text, const reader& r, const config::settings& own) {
    opened from = open(text, "platform", "platform", r);
    platform_reading out;
    out.why = std::move(from.why);
    if (!out.why.empty()) return out;
    const json::object& o = from.content;
    const json::object* shared = object_in(o, "settings");
    const json::object* files = object_in(o, "files");
    if (from.later || shared == nullptr || files == nullptr) {
        out.what = reading::not_understood;
        out.why = "needs a later gatehouse, which understands its format";
        return out;
    }
    out.document.at = position_in(o);
    const auto plain = unsealed(text_in(*files, r.region), r, purpose("platform", "platform", out.document.at));
    json::error_code ec;
    const json::value contents = plain ? json::parse(plain->view(), ec) : json::value();
    if (!contents.is_object()) {
        out.why = fmt::format("holds files that are not sealed under a key of region \"{}\" that this node has", r.region);
        return out;
    }
    out.document.files = files_in(contents.get_object());
    config::unknown_keys ignored;
    auto loaded = config::parse_shared(*shared, own, "redis platform", ignored);
    if (!loaded.value) {
        out.what = reading::not_understood;
        out.why = fmt::format("needs a later gatehouse: {}", first_error(loaded.diagnostics));
        return out;
    }
    out.document.settings = std::move(*loaded.value);
    out.what = reading::whole;
    return out;
}

// --- comparing ---

namespace {

// What differs with each writing although it says the same: when it was written, and the seals.
std::optional<json::object> comparable(std::string_view document) {
    json::error_code ec;
    json::value value = json::parse(signed_text(document), ec);
    if (ec || !value.is_object()) return std::nullopt;
    json::object o = std::move(value.get_object());
    for (const char* written : {"epoch", "revision", "sealed"})
        o.erase(written);
    const bool files_are_sealed = o.contains("settings");
    for (const char* secrets : {"keys", "files"}) {
        json::value* v = o.if_contains(secrets);
        if (v == nullptr || !v->is_object() || (secrets[0] == 'f' && !files_are_sealed)) continue;
        for (auto& [region, sealed] : v->get_object()) {
            const std::string text = sealed.is_string() ? std::string(sealed.get_string()) : std::string();
            sealed = text.substr(0, text.find(':'));  // the key's id
        }
    }
    return o;
}

// Regions and their keys, without the signatures.
std::string signers(std::string_view document) {
    std::string out(document.substr(0, document.find(before_signed)));
    for (auto at = out.find(":\""); at != out.npos; at = out.find(":\"", at + 2)) {
        const auto colon = out.find(':', at + 2), end = out.find('"', at + 2);
        if (colon < end && end != out.npos) out.erase(colon, end - colon);
    }
    return out;
}

}  // namespace

bool same_content(std::string_view a, std::string_view b) {
    if (signers(a) != signers(b)) return false;
    const auto x = comparable(a), y = comparable(b);
    return x && y && *x == *y;
}

}  // namespace gatehouse::registry
