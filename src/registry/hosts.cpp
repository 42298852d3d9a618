// Who owns which host, and the record that says so.
#include "state_work.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <algorithm>

namespace gatehouse::registry {

// In order, each once.
std::vector<std::string> state::claims_of(const tenant_ptr& version) {
    if (!version) return {};
    auto t = version->unpack();
    auto out = std::move(t.hosts);
    for (auto& [from, to] : t.redirect_hosts)
        out.push_back(std::move(from));
    std::sort(out.begin(), out.end());
    out.erase(std::unique(out.begin(), out.end()), out.end());
    return out;
}

std::string state::platform_host(const entry& e) const {
    if (e.name.empty() || rules_.platform->domain.empty()) return {};
    return e.name.str() + '.' + rules_.platform->domain;
}

state::claim& state::claim_on(const std::string& host) {
    const auto it = hosts_.find(host);
    return it != hosts_.end() ? it->second
                              : hosts_.emplace(shared_text(host), claim{}).first->second;
}

void state::update_claims(entry& e, work& w) {
    const auto before = claims_of(e.claimed), now = claims_of(e.good);
    const auto among = [](const std::vector<std::string>& list, const std::string& host) {
        return std::binary_search(list.begin(), list.end(), host);
    };
    for (const auto& host : before) {
        if (among(now, host)) continue;
        claim_on(host).claimants.erase(e.id);
        w.hosts.insert(host);
    }
    for (const auto& host : now) {
        if (among(before, host)) continue;
        claim_on(host).claimants.insert(e.id);
        w.hosts.insert(host);
    }
    e.claimed = e.good;
}

// The one that had it, while it wants it; otherwise the only one that does.
shared_text state::owner_of(const claim& c, const work& w) const {
    const entry* owner = c.owner.empty() ? nullptr : find(c.owner);
    if (owner != nullptr && c.claimants.contains(c.owner)) return c.owner;
    if (owner != nullptr && owner->gone_since) {
        if (c.claimants.empty()) return c.owner;
        for (const auto& id : c.claimants) {
            if (gives_up(*owner, *find(id), w)) continue;
            return c.owner;
        }
    }
    return c.claimants.size() == 1 ? c.claimants.front() : shared_text();
}

// Its owner does not want it any more, and others do.
bool state::is_given_up(const claim& c) const {
    const entry* owner = c.owner.empty() ? nullptr : find(c.owner);
    return owner != nullptr && !owner->gone_since && !c.claimants.empty() && !c.claimants.contains(c.owner);
}

void state::settle_host(const std::string& host, work& w) {
    const auto it = hosts_.find(host);
    if (it == hosts_.end()) return;
    claim& c = it->second;
    if (w.trying && is_given_up(c)) {
        w.later_hosts.insert(host);
        return;
    }
    auto owner = owner_of(c, w);
    w.review.insert(c.claimants.begin(), c.claimants.end());
    if (owner != c.owner) {
        w.review.insert(c.owner);
        w.review.insert(owner);
        w.out.hosts[host] = owner;
        if (w.trying) w.owners.emplace(host, c.owner);
        c.owner = std::move(owner);
    }
    if (c.owner.empty() && c.claimants.empty()) hosts_.erase(it);
}

std::vector<std::string> state::hosts_of(const entry& e) const {
    std::vector<std::string> out;
    const auto add = [&](std::string_view host) {
        const auto it = hosts_.find(host);
        if (it == hosts_.end() || it->second.owner != e.id) return;
        if (std::find(out.begin(), out.end(), host) == out.end()) out.emplace_back(host);
    };
    const auto platform = platform_host(e);
    if (e.good) {
        const auto t = e.good->unpack();
        if (!platform.empty()) out.push_back(platform);
        for (const auto& host : t.hosts)
            add(host);
        for (const auto& [from, to] : t.redirect_hosts)
            add(from);
    } else if (e.record) {
        for (const auto host : e.record->hosts) {
            if (host == platform)
                out.emplace_back(host);
            else
                add(host);
        }
    }
    return out;
}

diagnostics state::conflicts_of(const entry& e) const {
    diagnostics out;
    for (const auto& host : claims_of(e.claimed)) {
        const auto& c = hosts_.find(host)->second;
        if (c.owner == e.id) continue;
        const entry* owner = c.owner.empty() ? nullptr : find(c.owner);
        if (owner == nullptr) {
            out.push_back(
                complain(e, "hosts",
                         fmt::format("\"{}\" is claimed by {} and served for none of them", host,
                                     fmt::join(c.claimants, ", ")),
                         "remove it from all but one"));
        } else if (owner->gone_since) {
            out.push_back(complain(
                e, "hosts",
                fmt::format("\"{}\" stays reserved for the removed tenant \"{}\"", host, owner->id),
                "wait until host_quarantine is over, or run `gatehouse reload --force`"));
        } else {
            out.push_back(complain(
                e, "hosts",
                fmt::format("\"{}\" belongs to tenant \"{}\" ({})", host, owner->id, owner->file),
                "remove it here or there"));
        }
    }
    return out;
}

void state::replace_record(entry& e, tenant::host_list hosts, std::uint64_t revision) const {
    auto live = e.record ? e.record->state : std::make_shared<tenant::state>();
    e.record = std::make_shared<tenant::record>(tenant::record{.id = e.id,
                                                               .tenant = dressed(e),
                                                               .state = std::move(live),
                                                               .revision = revision,
                                                               .hosts = std::move(hosts)});
}

void state::write_record(entry& e, bool anyway, work& w) {
    const tenant::host_list hosts = hosts_of(e);
    auto conflicts = conflicts_of(e);
    const bool was = e.record != nullptr;
    const bool in_service_or_gone = e.good || e.gone_since;
    const auto shown = dressed(e);
    const bool same_tenant = was && (e.record->tenant == shown ||
                                     (e.record->tenant && shown && *e.record->tenant == *shown));
    const bool republish = in_service_or_gone && (!same_tenant || hosts != e.record->hosts);
    if (!anyway && !republish && same(conflicts, e.conflicts)) return;
    if (e.conflicts.empty() && !conflicts.empty()) w.broken.insert(e.id);
    e.conflicts = std::move(conflicts);
    if (republish) {
        if (w.trying) w.records.emplace(e.id, e.record);
        if (e.record || is_api_file(e.file)) w.out.before.emplace(e.id, e.record);
        replace_record(e, hosts, w.out.revision);
    }
    if (e.quarantine.empty() && e.conflicts.empty())
        quarantined_.erase(e.id);
    else
        quarantined_.insert(e.id);
    w.out.tenants.insert_or_assign(e.id, update_of(e, republish));
}

}  // namespace gatehouse::registry
