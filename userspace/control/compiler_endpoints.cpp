#include "control/compiler_endpoints.h"

#include <algorithm>
#include <charconv>

#include "control/ecs_find.h"

namespace causeway::control {
namespace {

std::string_view attribute(const InstanceRecord& instance, const char* name) {
  const auto found = instance.attributes.find(name);
  return found == instance.attributes.end() ? std::string_view() : std::string_view(found->second);
}

IpAddress address(const InstanceRecord& instance, const char* name) {
  return IpAddress::parse(attribute(instance, name)).value_or(IpAddress());
}

/// 0 where there is none, or none that can be dialled.
std::uint16_t port_of(const InstanceRecord& instance) {
  const auto text = attribute(instance, "AWS_INSTANCE_PORT");
  std::uint16_t port = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), port);
  return ec == std::errc{} && end == text.data() + text.size() ? port : std::uint16_t{0};
}

std::uint32_t weight_of(const InstanceRecord& instance) {
  const auto text = attribute(instance, kWeightAttribute);
  return text.empty() ? 1 : parse_weight(text).value_or(1);
}

std::optional<RecordType> record_type(const std::string& type) {
  if (type == "A") return RecordType::a;
  if (type == "AAAA") return RecordType::aaaa;
  if (type == "SRV") return RecordType::srv;
  if (type == "CNAME") return RecordType::cname;
  return std::nullopt;
}

}  // namespace

std::optional<std::uint32_t> parse_weight(std::string_view text) {
  std::uint32_t weight = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), weight);
  if (ec != std::errc{} || end != text.data() + text.size() || weight > kMaxWeight) return std::nullopt;
  return weight;
}

Health health_of(const InstanceRecord& instance) {
  if (instance.draining) return Health::draining;
  if (!instance.task_id.empty() && !instance.listening) return Health::starting;
  return instance.custom_healthy ? Health::healthy : Health::unhealthy;
}

std::vector<Endpoint> endpoints_of(const Instances& instances) {
  std::vector<Endpoint> all;
  for (const auto& [id, instance] : instances) {
    auto ip = address(instance, "AWS_INSTANCE_IPV4");
    if (ip == IpAddress()) ip = address(instance, "AWS_INSTANCE_IPV6");
    const auto port = port_of(instance);
    if (ip == IpAddress() || port == 0) continue;
    Endpoint endpoint;
    endpoint.id = instance.number;
    endpoint.instance_id = id;
    endpoint.address = {ip, port};
    endpoint.weight = weight_of(instance);
    endpoint.health = health_of(instance);
    all.push_back(std::move(endpoint));
  }
  std::sort(all.begin(), all.end(), [](const Endpoint& a, const Endpoint& b) { return a.id < b.id; });
  return all;
}

std::string dns_name(const ServiceRecord& service, const NamespaceRecord& space) {
  return lower_case(service.name + "." + space.name);
}

CloudMapName cloud_map_name(const ServiceRecord& service, const NamespaceRecord& space, const Instances& instances) {
  CloudMapName out;
  out.name = dns_name(service, space);
  out.routing = service.routing_policy == "WEIGHTED" ? RoutingPolicy::weighted : RoutingPolicy::multivalue;
  for (const auto& spec : service.dns_records) {
    if (const auto type = record_type(spec.type)) out.records.push_back({*type, spec.ttl});
  }
  for (const auto& [id, instance] : instances) {
    if (instance.draining) continue;
    out.instances.push_back({id, std::string(attribute(instance, "AWS_INSTANCE_CNAME")),
                             address(instance, "AWS_INSTANCE_IPV4"), address(instance, "AWS_INSTANCE_IPV6"),
                             port_of(instance), health_of(instance) == Health::healthy});
  }
  return out;
}

}  // namespace causeway::control
