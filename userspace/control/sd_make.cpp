#include "control/sd_make.h"

#include <fmt/core.h>

namespace causeway::control {
namespace {

// A service put earlier in the same call would be overwritten by the state's, so callers that change a service and its
// instances in one call put the service last.
void raise_instances_revision(Call& call, const std::string& service_id) {
  const auto found = call.state.services.find(service_id);
  if (found == call.state.services.end()) return;
  const auto key = key_of(found->second);
  for (const auto& [written, value] : call.txn.puts) {
    if (written == key) return;
  }
  auto service = found->second;
  ++service.instances_revision;
  call.put(service);
}

}  // namespace

NamespaceRecord make_namespace(Call& call, std::string name, bool dns) {
  NamespaceRecord record;
  record.id = "ns-" + call.random.alphanumeric(16);
  record.arn = call.sd_arn("namespace/" + record.id);
  record.name = std::move(name);
  record.dns = dns;
  record.created = call.now();
  record.number = NamespaceNumber(static_cast<std::uint32_t>(call.next_number(kNamespaceNumbers)));
  call.put(record);
  return record;
}

ServiceRecord make_service(Call& call, const std::string& namespace_id, std::string name,
                           const std::function<void(ServiceRecord&)>& fill) {
  ServiceRecord record;
  record.id = "srv-" + call.random.alphanumeric(16);
  record.arn = call.sd_arn("service/" + record.id);
  record.name = std::move(name);
  record.namespace_id = namespace_id;
  record.created = call.now();
  record.number = ServiceId(static_cast<std::uint32_t>(call.next_number(kServiceNumbers)));
  if (fill) fill(record);
  call.put(record);
  return record;
}

namespace {

/// Where it is dialled. Another address is another endpoint: what was learned of the one says nothing of the other.
bool has_place_of(const InstanceRecord& standing, const InstanceRecord& instance) {
  const auto same = [&](const char* name) {
    const auto before = standing.attributes.find(name), now = instance.attributes.find(name);
    if (before == standing.attributes.end() || now == instance.attributes.end())
      return before == standing.attributes.end() && now == instance.attributes.end();
    return before->second == now->second;
  };
  return same("AWS_INSTANCE_IPV4") && same("AWS_INSTANCE_IPV6") && same("AWS_INSTANCE_PORT");
}

}  // namespace

void put_instance(Call& call, InstanceRecord instance) {
  const InstanceRecord* standing = nullptr;
  if (const auto of_service = call.state.instances.find(instance.service_id);
      of_service != call.state.instances.end()) {
    const auto found = of_service->second.find(instance.id);
    if (found != of_service->second.end()) standing = &found->second;
  }
  instance.number = standing != nullptr && has_place_of(*standing, instance)
                        ? standing->number
                        : EndpointId(static_cast<std::uint32_t>(call.next_number(kEndpointNumbers)));
  call.put(instance);
  raise_instances_revision(call, instance.service_id);
}

void erase_instance(Call& call, const InstanceRecord& instance) {
  call.erase(instance);
  raise_instances_revision(call, instance.service_id);
}

std::string unusable_endpoint_address(const Settings& settings, const IpAddress& address) {
  for (const auto& range : {settings.alias_v4, settings.alias_v6}) {
    if (range.length != 0 && range.contains(address)) {
      return fmt::format(
          "{} lies in {}, the range that Causeway gives to aliases: an endpoint there would lead back to "
          "an alias; register the address that the server listens on",
          address.to_string(), range.to_string());
    }
  }
  if (address.is_v4()) {
    const auto v4 = address.to_v4();
    if (v4 >> 24 == 0) return fmt::format("{} is no host's address (RFC 1122, 3.2.1.3)", address.to_string());
    if (v4 >> 28 == 0xe) return fmt::format("{} is a multicast address", address.to_string());
    if (v4 == 0xffffffffu) return fmt::format("{} is the broadcast address", address.to_string());
    return {};
  }
  if (address == IpAddress()) return ":: is no host's address (RFC 4291, 2.5.2)";
  if (address.bytes()[0] == 0xfe && (address.bytes()[1] & 0xc0) == 0x80) {
    return fmt::format(
        "{} is a link-local address, which means nothing without its interface (RFC 4291, 2.5.6); register another "
        "address of that host",
        address.to_string());
  }
  if (address.bytes()[0] == 0xff) return fmt::format("{} is a multicast address", address.to_string());
  return {};
}

}  // namespace causeway::control
