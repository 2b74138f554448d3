#include <algorithm>

#include <fmt/core.h>

#include "control/sd_common.h"

namespace causeway::control::sd {
namespace {

constexpr std::string_view kStatusValues[] = {"HEALTHY", "UNHEALTHY"};
constexpr Shape kStatus{.values = kStatusValues};
constexpr Member kUpdateHealthMembers[] = {
    {"ServiceId", &kArn, true}, {"InstanceId", &kResourceId, true}, {"Status", &kStatus, true}};
constexpr Shape kUpdateHealth = structure(kUpdateHealthMembers);
constexpr Shape kInstances{.kind = Shape::Kind::list, .min = 1, .max = 1000, .element = &kResourceId};
constexpr Member kGetHealthMembers[] = {
    {"ServiceId", &kArn, true}, {"Instances", &kInstances}, {"MaxResults", &kMaxResults}, {"NextToken", &kNextToken}};
constexpr Shape kGetHealth = structure(kGetHealthMembers);

ApiResult update_custom_health(Call& call, const json::object& input) {
  const auto service_id = text(input, "ServiceId");
  const auto* service = find_service(call.state, service_id);
  if (service == nullptr) return service_not_found(service_id);
  const auto id = text(input, "InstanceId");
  const auto* instance = find_instance(call.state, service->id, id);
  if (instance == nullptr) return instance_not_found(*service, id);
  if (!service->custom_health_failure_threshold) {
    return fail(
        404, "CustomHealthNotFound",
        fmt::format("Service \"{}\" ({}) was made without HealthCheckCustomConfig, so its instances have no custom "
                    "health status",
                    service->name, service->id));
  }
  auto changed = *instance;
  changed.custom_healthy = text(input, "Status") == "HEALTHY";
  if (changed.custom_healthy != instance->custom_healthy) call.put(changed);
  return answer({});
}

const char* status_of(const ServiceRecord& service, const InstanceRecord& instance) {
  if (!service.custom_health_failure_threshold && instance.task_id.empty()) return "UNKNOWN";
  return instance.custom_healthy && instance.listening ? "HEALTHY" : "UNHEALTHY";
}

ApiResult get_health(Call& call, const json::object& input) {
  const auto service_id = text(input, "ServiceId");
  const auto* service = find_service(call.state, service_id);
  if (service == nullptr) return service_not_found(service_id);
  Page page;
  if (!read_page(input, page)) return invalid_input("NextToken is not one that this operation answered");
  std::map<std::string, const InstanceRecord*> chosen;
  if (const auto* ids = array(input, "Instances")) {
    for (const auto& value : *ids) {
      const std::string id(value.get_string());
      const auto* instance = find_instance(call.state, service->id, id);
      if (instance == nullptr) return instance_not_found(*service, id);
      chosen[id] = instance;
    }
  } else if (const auto found = call.state.instances.find(service->id); found != call.state.instances.end()) {
    for (const auto& [id, instance] : found->second) {
      if (!instance.draining) chosen[id] = &instance;
    }
  }
  json::object body;
  auto& status = body["Status"].emplace_object();
  std::string last;
  for (auto at = chosen.upper_bound(page.after); at != chosen.end(); ++at) {
    if (status.size() == page.limit) {
      body["NextToken"] = next_token(last);
      break;
    }
    status[at->first] = status_of(*service, *at->second);
    last = at->first;
  }
  return answer(std::move(body));
}

}  // namespace

void add_health_operations(Operations& operations) {
  operations["UpdateInstanceCustomHealthStatus"] = checked(kUpdateHealth, update_custom_health);
  operations["GetInstancesHealthStatus"] = checked(kGetHealth, get_health);
}

}  // namespace causeway::control::sd
