#include <algorithm>

#include "control/sd_common.h"

namespace causeway::control::sd {
namespace {

constexpr Shape kMax{.kind = Shape::Kind::integer, .min = 1, .max = 1000};
constexpr Shape kAccount{.min = 12, .max = 12};
constexpr std::string_view kHealthValues[] = {"HEALTHY", "UNHEALTHY", "ALL", "HEALTHY_OR_ELSE_ALL"};
constexpr Shape kHealth{.values = kHealthValues};
constexpr Member kDiscoverDiscoverMembers[] = {
    {"NamespaceName", &kAnyName, true}, {"ServiceName", &kServiceName, true}, {"MaxResults", &kMax},
    {"QueryParameters", &kAttributes},  {"OptionalParameters", &kAttributes}, {"HealthStatus", &kHealth},
    {"OwnerAccount", &kAccount}};
constexpr Shape kDiscoverDiscover = structure(kDiscoverDiscoverMembers);
constexpr Member kRevisionMembers[] = {
    {"NamespaceName", &kAnyName, true}, {"ServiceName", &kServiceName, true}, {"OwnerAccount", &kAccount}};
constexpr Shape kRevision = structure(kRevisionMembers);

using Instances = std::vector<const InstanceRecord*>;

bool is_healthy(const InstanceRecord& instance) {
  return instance.custom_healthy && instance.listening;
}

bool has_all(const InstanceRecord& instance, const std::map<std::string, std::string>& wanted) {
  return std::all_of(wanted.begin(), wanted.end(), [&](const auto& pair) {
    const auto found = instance.attributes.find(pair.first);
    return found != instance.attributes.end() && found->second == pair.second;
  });
}

template <class Predicate>
Instances only(const Instances& instances, Predicate predicate) {
  Instances out;
  std::copy_if(instances.begin(), instances.end(), std::back_inserter(out),
               [&](const auto* i) { return predicate(*i); });
  return out;
}

Instances registered(const State& state, const std::string& service_id) {
  Instances out;
  if (const auto found = state.instances.find(service_id); found != state.instances.end()) {
    for (const auto& [id, instance] : found->second) {
      if (!instance.draining) out.push_back(&instance);
    }
  }
  return out;
}

Instances by_health(const Instances& instances, const std::string& filter) {
  if (filter == "UNHEALTHY") return only(instances, [](const auto& i) { return !is_healthy(i); });
  if (filter == "ALL") return instances;
  auto healthy = only(instances, is_healthy);
  // HEALTHY_OR_ELSE_ALL, which is the default, fails open.
  return healthy.empty() && filter != "HEALTHY" ? instances : healthy;
}

ApiResult find(const State& state, const json::object& input, const NamespaceRecord*& space,
               const ServiceRecord*& service) {
  const auto space_name = text(input, "NamespaceName");
  space = state.find_namespace_by_name(space_name);
  if (space == nullptr) return namespace_not_found(space_name);
  const auto service_name = text(input, "ServiceName");
  service = state.find_service(space->id, service_name);
  if (service == nullptr) return service_not_found(service_name + " in namespace " + space->name);
  return {};
}

ApiResult discover_instances(Call& call, const json::object& input) {
  const NamespaceRecord* space = nullptr;
  const ServiceRecord* service = nullptr;
  if (auto wrong = find(call.state, input, space, service); wrong.error) return wrong;
  const auto query = text_map(input, "QueryParameters");
  auto found = only(registered(call.state, service->id), [&](const auto& i) { return has_all(i, query); });
  const auto optional = text_map(input, "OptionalParameters");
  if (auto narrower = only(found, [&](const auto& i) { return has_all(i, optional); }); !narrower.empty()) {
    found = std::move(narrower);
  }
  found = by_health(found, text(input, "HealthStatus"));
  for (std::size_t i = found.size(); i > 1; --i) std::swap(found[i - 1], found[call.random.below(i)]);
  const auto limit = static_cast<std::size_t>(integer(input, "MaxResults", 100));
  if (found.size() > limit) found.resize(limit);

  json::array instances;
  for (const auto* instance : found) {
    json::object attributes;
    for (const auto& [key, value] : instance->attributes) attributes[key] = value;
    instances.push_back({{"InstanceId", instance->id},
                         {"NamespaceName", space->name},
                         {"ServiceName", service->name},
                         {"HealthStatus", is_healthy(*instance) ? "HEALTHY" : "UNHEALTHY"},
                         {"Attributes", std::move(attributes)}});
  }
  return answer({{"Instances", std::move(instances)}, {"InstancesRevision", service->instances_revision}});
}

ApiResult discover_instances_revision(Call& call, const json::object& input) {
  const NamespaceRecord* space = nullptr;
  const ServiceRecord* service = nullptr;
  if (auto wrong = find(call.state, input, space, service); wrong.error) return wrong;
  return answer({{"InstancesRevision", service->instances_revision}});
}

}  // namespace

void add_discover_operations(Operations& operations) {
  operations["DiscoverInstances"] = checked(kDiscoverDiscover, discover_instances);
  operations["DiscoverInstancesRevision"] = checked(kRevision, discover_instances_revision);
}

}  // namespace causeway::control::sd
