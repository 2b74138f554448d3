#include "dns/zone.h"

#include "dns/records.h"

namespace causeway::dns {
namespace {

/// AWS clients put this host prefix before the endpoint's host for DiscoverInstances: `--endpoint-url
/// http://127.0.0.1:7070` dials data-127.0.0.1. The address is fixed, so it may be kept longer than an alias's.
constexpr std::uint32_t kDataHostTtlSeconds = 60;

bool is_data_host(const std::string& name) {
  static const std::string address = *wire_name("data-127.0.0.1");
  static const std::string host = *wire_name("data-localhost");
  return name == address || name == host;
}

bool wants(const Query& query, std::uint16_t type) {
  return query.type == type || query.type == type::any;
}

}  // namespace

Zone::Zone(SnapshotPtr snapshot, const Zone* before) : snapshot_(std::move(snapshot)) {
  // Where a zone ends decides about all names in it.
  if (before != nullptr && before->snapshot_->namespaces != snapshot_->namespaces) before = nullptr;
  zones_ = before != nullptr ? before->zones_ : index_zones();
  const bool same_aliases = before != nullptr && before->snapshot_->alias_names.same_as(snapshot_->alias_names);
  aliases_ = same_aliases ? before->aliases_ : index_aliases();
  follow_hosts(before);
}

std::shared_ptr<const Zone::Zones> Zone::index_zones() const {
  auto zones = std::make_shared<Zones>();
  for (const auto& [number, zone] : snapshot_->namespaces)
    if (const auto apex = wire_name(zone.name); apex && zone.dns) zones->emplace(*apex, zone);
  return zones;
}

std::shared_ptr<const Zone::Aliases> Zone::index_aliases() const {
  auto index = std::make_shared<Aliases>();
  for (const AliasName& alias : snapshot_->alias_names) {
    const auto name = wire_name(alias.name);
    if (!name) continue;
    index->by_name[*name].push_back(&alias);
    for (const IpAddress& ip : {alias.vip4, alias.vip6})
      if (ip != IpAddress{}) index->by_address[reverse_name(ip)].push_back(&alias);
    for (auto& above : names_above(*name)) index->inner.insert(std::move(above));
  }
  return index;
}

std::shared_ptr<const Zone::Hosts> Zone::index_hosts(const std::string& name,
                                                     std::shared_ptr<const CloudMapName> service) const {
  auto hosts = std::make_shared<Hosts>();
  hosts->service = std::move(service);
  if (find_record(*hosts->service, RecordType::srv) == nullptr) return hosts;
  for (const CloudMapInstance& instance : hosts->service->instances) {
    const auto host = wire_name(instance.instance_id + "." + hosts->service->name);
    if (!host) continue;
    hosts->instances.emplace(*host, &instance);
    for (auto above = parent(*host); above.size() > name.size(); above = parent(above)) hosts->inner.emplace(above);
  }
  return hosts;
}

void Zone::follow_hosts(const Zone* before) {
  using Ptr = std::shared_ptr<const CloudMapName>;
  static const decltype(Snapshot::cloud_map_names) kNone;
  if (before != nullptr) {
    hosts_ = before->hosts_;
    inner_ = before->inner_;
  }
  for_each_difference(before != nullptr ? before->snapshot_->cloud_map_names : kNone, snapshot_->cloud_map_names,
                      [this](const std::string& text, const Ptr* /*was*/, const Ptr* is) {
                        const auto name = wire_name(text);
                        if (!name) return;
                        // Without records it is found by DiscoverInstances alone.
                        if (is == nullptr || (*is)->records.empty()) return remove_host(*name);
                        if (!hosts_.contains(*name)) {
                          for (const auto& above : names_above(*name)) {
                            const auto stands = inner_.find(above);
                            inner_.set(above, stands == inner_.end() ? 1 : stands->second + 1);
                          }
                        }
                        hosts_.set(*name, index_hosts(*name, *is));
                      });
}

void Zone::remove_host(const std::string& name) {
  if (hosts_.erase(name) == 0) return;
  for (const auto& above : names_above(name)) {
    const auto others = inner_.at(above) - 1;
    if (others == 0) {
      inner_.erase(above);
    } else {
      inner_.set(above, others);
    }
  }
}

std::vector<std::string> Zone::names_above(const std::string& name) const {
  std::vector<std::string> names;
  std::string apex;
  if (zone_of(name, apex) == nullptr) return names;
  for (auto above = parent(name); above.size() > apex.size(); above = parent(above)) names.emplace_back(above);
  return names;
}

std::optional<Zone::Host> Zone::find_host(const std::string& name) const {
  if (const auto service = hosts_.find(name); service != hosts_.end())
    return Host{service->second->service.get(), nullptr};
  for (auto above = parent(name); above.size() > 1; above = parent(above)) {
    const auto service = hosts_.find(std::string(above));
    if (service == hosts_.end()) continue;
    const auto instance = service->second->instances.find(name);
    if (instance != service->second->instances.end()) return Host{service->second->service.get(), instance->second};
  }
  return std::nullopt;
}

bool Zone::is_inner(const std::string& name) const {
  if (inner_.contains(name) || aliases_->inner.contains(name)) return true;
  for (auto above = parent(name); above.size() > 1; above = parent(above)) {
    const auto service = hosts_.find(std::string(above));
    if (service != hosts_.end() && service->second->inner.contains(name)) return true;
  }
  return false;
}

const NamespaceZone* Zone::zone_of(std::string_view name, std::string& apex) const {
  if (zones_->empty()) return nullptr;
  for (; name.size() > 1; name = parent(name)) {
    apex.assign(name);
    if (const auto found = zones_->find(apex); found != zones_->end()) return &found->second;
  }
  return nullptr;
}

Zone::AliasList Zone::visible(const AliasIndex& index, const std::string& name, NamespaceNumber asker) {
  AliasList found;
  const auto entry = index.find(name);
  if (entry == index.end() || asker == kNoNamespace) return found;
  for (const AliasName* alias : entry->second)
    if (asker == kEveryNamespace || alias->namespace_number == asker) found.push_back(alias);
  return found;
}

std::optional<Answer> Zone::answer(const Query& query, NamespaceNumber asker, Random& random) const {
  const bool data_host = is_data_host(query.name);
  const AliasList aliases = visible(aliases_->by_name, query.name, asker);
  std::string apex;
  const NamespaceZone* zone = data_host || !aliases.empty() ? nullptr : zone_of(query.name, apex);
  const AliasList addresses = query.type == type::ptr ? visible(aliases_->by_address, query.name, asker) : AliasList{};
  if (!data_host && aliases.empty() && zone == nullptr && addresses.empty()) return std::nullopt;

  Answer answer;
  const bool transfer = query.type == type::axfr || query.type == type::ixfr;
  if (transfer || (query.klass != kClassIn && query.klass != kClassAny)) {
    answer.rcode = Rcode::refused;
    answer.authoritative = false;
  } else if (data_host) {
    if (wants(query, type::a))
      answer.answers.push_back({query.name, type::a, kDataHostTtlSeconds, address_rdata(IpAddress::v4(0x7f000001))});
    else
      answer = negative(Rcode::ok, query.name, kDataHostTtlSeconds);
  } else if (!aliases.empty()) {
    answer = answer_alias(query, aliases);
  } else if (zone != nullptr) {
    answer = answer_zone(query, *zone, apex, random);
  } else {
    for (const AliasName* alias : addresses)
      answer.answers.push_back({query.name, type::ptr, kAliasTtlSeconds, *wire_name(alias->name)});
  }
  return answer;
}

Answer Zone::answer_alias(const Query& query, const AliasList& found) const {
  const AliasName& alias = *found.front();
  for (const AliasName* other : found) {
    if (other->vip4 == alias.vip4 && other->vip6 == alias.vip6) continue;
    // Several namespaces have the name, and nothing tells which one a process outside every task means: an error
    // that is seen beats an address that is wrong half of the time.
    Answer ambiguous;
    ambiguous.rcode = Rcode::servfail;
    ambiguous.authoritative = false;
    return ambiguous;
  }
  Answer answer;
  if (wants(query, type::a) && alias.vip4 != IpAddress{})
    answer.answers.push_back({query.name, type::a, kAliasTtlSeconds, address_rdata(alias.vip4)});
  if (wants(query, type::aaaa) && alias.vip6 != IpAddress{})
    answer.answers.push_back({query.name, type::aaaa, kAliasTtlSeconds, address_rdata(alias.vip6)});
  if (!answer.answers.empty()) return answer;
  std::string apex;
  // A short name has no zone of ours above it; it is then a zone of its own.
  return negative(Rcode::ok, zone_of(query.name, apex) != nullptr ? apex : query.name, kAliasTtlSeconds);
}

Answer Zone::answer_zone(const Query& query, const NamespaceZone& zone, const std::string& apex, Random& random) const {
  Answer answer;
  if (query.name == apex) {
    if (wants(query, type::soa)) answer.answers = std::move(negative(Rcode::ok, apex, zone.soa_ttl_seconds).authority);
    // The server's name is the zone's own, as in the empty zones of RFC 6303: there is no other host to name.
    if (wants(query, type::ns)) answer.answers.push_back({apex, type::ns, zone.soa_ttl_seconds, apex});
  } else if (const auto host = find_host(query.name)) {
    add_records(answer, *host, query.name, query.type, random);
    follow_cname(answer, query.type, random);
  } else if (!is_inner(query.name)) {
    return negative(Rcode::nxdomain, apex, zone.soa_ttl_seconds);
  }
  return answer.answers.empty() ? negative(Rcode::ok, apex, zone.soa_ttl_seconds) : answer;
}

void Zone::add_records(Answer& answer, const Host& host, const std::string& name, std::uint16_t type,
                       Random& random) const {
  if (host.instance != nullptr)
    add_instance_records(answer.answers, *host.instance, name, type,
                         find_record(*host.service, RecordType::srv)->ttl_seconds);
  else
    add_service_records(answer, *host.service, name, type, random);
}

void Zone::follow_cname(Answer& answer, std::uint16_t type, Random& random) const {
  // A stub resolver expects the whole chain. Only what is ours can be followed: foreign answers are not parsed.
  constexpr int kMaxChain = 8;
  if (type == type::cname || type == type::any) return;
  for (int i = 0; i < kMaxChain && !answer.answers.empty() && answer.answers.back().type == type::cname; ++i) {
    const std::string target = fold_case(answer.answers.back().rdata);
    const auto host = find_host(target);
    if (!host) return;
    const std::size_t before = answer.answers.size();
    add_records(answer, *host, target, type, random);
    if (answer.answers.size() == before) return;
  }
}

Answer Zone::negative(Rcode rcode, const std::string& apex, std::uint32_t ttl) const {
  static const std::string nobody = *wire_name("nobody.invalid");  // RFC 6303, 3
  Answer answer;
  answer.rcode = rcode;
  const auto serial = static_cast<std::uint32_t>(snapshot_->revision.value);
  answer.authority.push_back({apex, type::soa, ttl, soa_rdata(apex, nobody, serial, ttl)});
  return answer;
}

}  // namespace causeway::dns
