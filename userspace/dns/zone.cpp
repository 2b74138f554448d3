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

Zone::Zone(SnapshotPtr snapshot) : snapshot_(std::move(snapshot)) {
  for (const auto& [number, zone] : snapshot_->namespaces)
    if (const auto apex = wire_name(zone.name); apex && zone.dns) zones_.emplace(*apex, &zone);
  for (const auto& [text, service] : snapshot_->cloud_map_names) {
    // Without records it is found by DiscoverInstances alone.
    if (const auto name = wire_name(text); name && !service->records.empty()) add_host(*name, {service.get(), nullptr});
  }
  for (const auto& [text, service] : snapshot_->cloud_map_names) {
    if (find_record(*service, RecordType::srv) == nullptr) continue;
    for (const CloudMapInstance& instance : service->instances)
      if (const auto name = wire_name(instance.instance_id + "." + text)) add_host(*name, {service.get(), &instance});
  }
  add_aliases();
}

void Zone::add_aliases() {
  for (const AliasName& alias : snapshot_->alias_names) {
    const auto name = wire_name(alias.name);
    if (!name) continue;
    aliases_[*name].push_back(&alias);
    for (const IpAddress& ip : {alias.vip4, alias.vip6})
      if (ip != IpAddress{}) reverse_[reverse_name(ip)].push_back(&alias);
    std::string apex;
    if (zone_of(*name, apex) == nullptr) continue;
    for (auto above = parent(*name); above.size() > apex.size(); above = parent(above)) inner_.emplace(above);
  }
}

void Zone::add_host(const std::string& name, Host host) {
  hosts_.emplace(name, host);
  std::string apex;
  if (zone_of(name, apex) == nullptr) return;
  for (auto above = parent(name); above.size() > apex.size(); above = parent(above)) inner_.emplace(above);
}

const NamespaceZone* Zone::zone_of(std::string_view name, std::string& apex) const {
  if (zones_.empty()) return nullptr;
  for (; name.size() > 1; name = parent(name)) {
    apex.assign(name);
    if (const auto found = zones_.find(apex); found != zones_.end()) return found->second;
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
  const AliasList aliases = visible(aliases_, query.name, asker);
  std::string apex;
  const NamespaceZone* zone = data_host || !aliases.empty() ? nullptr : zone_of(query.name, apex);
  const AliasList addresses = query.type == type::ptr ? visible(reverse_, query.name, asker) : AliasList{};
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
  } else if (const auto host = hosts_.find(query.name); host != hosts_.end()) {
    add_records(answer, host->second, query.name, query.type, random);
    follow_cname(answer, query.type, random);
  } else if (!inner_.contains(query.name)) {
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
    const auto host = hosts_.find(target);
    if (host == hosts_.end()) return;
    const std::size_t before = answer.answers.size();
    add_records(answer, host->second, target, type, random);
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
