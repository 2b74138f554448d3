#include "dns/records.h"

#include <algorithm>

namespace causeway::dns {
namespace {

constexpr std::size_t kMultivalueAnswers = 8;

using Instances = std::vector<const CloudMapInstance*>;

template <class Has>
Instances pick(const CloudMapName& service, Random& random, Has has) {
  Instances able, healthy;
  for (const CloudMapInstance& instance : service.instances) {
    if (!has(instance)) continue;
    able.push_back(&instance);
    if (instance.healthy) healthy.push_back(&instance);
  }
  Instances& from = healthy.empty() ? able : healthy;
  const std::size_t wanted = std::min(service.routing == RoutingPolicy::weighted ? 1 : kMultivalueAnswers, from.size());
  for (std::size_t i = 0; i < wanted; ++i) std::swap(from[i], from[i + random.below(from.size() - i)]);
  from.resize(wanted);
  return std::move(from);
}

bool has_address(const IpAddress& ip) {
  return ip != IpAddress{};
}

void add_srv(Answer& answer, const CloudMapName& service, const std::string& name, std::uint32_t ttl, Random& random) {
  const auto target = [&](const CloudMapInstance& instance) {
    return wire_name(instance.instance_id + "." + service.name);
  };
  const auto has = [&](const CloudMapInstance& i) { return i.port != 0 && target(i).has_value(); };
  for (const CloudMapInstance* instance : pick(service, random, has)) {
    const std::string host = *target(*instance);
    answer.answers.push_back({name, type::srv, ttl, srv_rdata(1, 1, instance->port, host)});
    add_instance_records(answer.additional, *instance, host, type::any, ttl);
  }
}

void add_addresses(Answer& answer, const CloudMapName& service, const std::string& name, std::uint16_t type,
                   std::uint32_t ttl, Random& random) {
  const auto address = type == type::a ? &CloudMapInstance::ipv4 : &CloudMapInstance::ipv6;
  for (const CloudMapInstance* i :
       pick(service, random, [&](const CloudMapInstance& c) { return has_address(c.*address); }))
    answer.answers.push_back({name, type, ttl, address_rdata(i->*address)});
}

void add_cname(Answer& answer, const CloudMapName& service, const std::string& name, std::uint32_t ttl,
               Random& random) {
  const auto has = [](const CloudMapInstance& i) { return !i.cname.empty() && wire_name(i.cname).has_value(); };
  const Instances picked = pick(service, random, has);
  if (picked.empty()) return;  // more than one CNAME at a name is not allowed (RFC 1034, 3.6.2)
  answer.answers.push_back({name, type::cname, ttl, *wire_name(picked.front()->cname)});
}

}  // namespace

std::string address_rdata(const IpAddress& ip) {
  const auto* bytes = reinterpret_cast<const char*>(ip.bytes().data());
  return ip.is_v4() ? std::string(bytes + 12, 4) : std::string(bytes, 16);
}

const CloudMapRecord* find_record(const CloudMapName& service, RecordType type) {
  const auto found =
      std::find_if(service.records.begin(), service.records.end(), [&](const auto& r) { return r.type == type; });
  return found == service.records.end() ? nullptr : &*found;
}

void add_instance_records(std::vector<Record>& records, const CloudMapInstance& instance, const std::string& name,
                          std::uint16_t type, std::uint32_t ttl) {
  if ((type == type::a || type == type::any) && has_address(instance.ipv4))
    records.push_back({name, type::a, ttl, address_rdata(instance.ipv4)});
  if ((type == type::aaaa || type == type::any) && has_address(instance.ipv6))
    records.push_back({name, type::aaaa, ttl, address_rdata(instance.ipv6)});
}

void add_service_records(Answer& answer, const CloudMapName& service, const std::string& name, std::uint16_t type,
                         Random& random) {
  for (const CloudMapRecord& record : service.records) {
    const bool any = type == type::any;
    switch (record.type) {
      case RecordType::a:
        if (any || type == type::a) add_addresses(answer, service, name, type::a, record.ttl_seconds, random);
        break;
      case RecordType::aaaa:
        if (any || type == type::aaaa) add_addresses(answer, service, name, type::aaaa, record.ttl_seconds, random);
        break;
      case RecordType::srv:
        if (any || type == type::srv) add_srv(answer, service, name, record.ttl_seconds, random);
        break;
      case RecordType::cname:
        add_cname(answer, service, name, record.ttl_seconds, random);
        break;
    }
  }
}

}  // namespace causeway::dns
