#include <fmt/core.h>

#include "control/sd_common.h"
#include "control/sd_endpoint.h"
#include "control/sd_make.h"

namespace causeway::control::sd {
namespace {

constexpr Member kRegisterInstancesMembers[] = {{"ServiceId", &kArn, true},
                                       {"InstanceId", &kInstanceId, true},
                                       {"CreatorRequestId", &kResourceId},
                                       {"Attributes", &kAttributes, true}};
constexpr Shape kRegisterInstances = structure(kRegisterInstancesMembers);
constexpr Member kOneMembers[] = {{"ServiceId", &kArn, true}, {"InstanceId", &kResourceId, true}};
constexpr Shape kOne = structure(kOneMembers);
constexpr Member kListInstancesMembers[] = {
    {"ServiceId", &kArn, true}, {"NextToken", &kNextToken}, {"MaxResults", &kMaxResults}};
constexpr Shape kListInstances = structure(kListInstancesMembers);

json::object render(const Call& call, const InstanceRecord& record) {
  json::object attributes;
  for (const auto& [key, value] : record.attributes) attributes[key] = value;
  return {{"Id", record.id}, {"Attributes", std::move(attributes)}, {"CreatedByAccount", call.settings.account}};
}

/// The operation that made the standing instance, for a request that is sent a second time; "" where this is another.
std::string operation_of_retry(const State& state, const InstanceRecord& standing, const InstanceRecord& wanted) {
  if (wanted.creator_request_id.empty() || wanted.creator_request_id != standing.creator_request_id ||
      wanted.attributes != standing.attributes) {
    return {};
  }
  const OperationRecord* newest = nullptr;
  for (const auto& [id, operation] : state.operations) {
    if (operation.type != "REGISTER_INSTANCE" || operation.status == "FAIL") continue;
    const auto instance = operation.targets.find("INSTANCE");
    const auto service = operation.targets.find("SERVICE");
    if (instance == operation.targets.end() || instance->second != standing.id) continue;
    if (service == operation.targets.end() || service->second != standing.service_id) continue;
    if (newest == nullptr || operation.created > newest->created) newest = &operation;
  }
  return newest == nullptr ? std::string() : newest->id;
}

ApiResult of_a_task(const InstanceRecord& record) {
  return fail(
      409, "ResourceInUse",
      fmt::format(
          "Instance \"{}\" was registered by ECS task {}, which keeps it up to date; `aws ecs stop-task` ends it",
          record.id, record.task_id));
}

ApiResult register_instance(Call& call, const json::object& input) {
  const auto service_id = text(input, "ServiceId");
  const auto* service = find_service(call.state, service_id);
  if (service == nullptr) return service_not_found(service_id);
  InstanceRecord record;
  record.service_id = service->id;
  record.id = text(input, "InstanceId");
  record.attributes = text_map(input, "Attributes");
  record.creator_request_id = text(input, "CreatorRequestId");
  if (auto wrong = unfit_attributes(call.settings, *service, record.attributes); !wrong.empty()) {
    return invalid_input(wrong);
  }
  const auto* standing = find_instance(call.state, service->id, record.id);
  if (standing != nullptr && !standing->task_id.empty()) return of_a_task(*standing);
  if (standing != nullptr) {
    if (auto id = operation_of_retry(call.state, *standing, record); !id.empty()) return answer({{"OperationId", id}});
    record.custom_healthy = standing->custom_healthy;
  }
  if (const auto initial = record.attributes.find("AWS_INIT_HEALTH_STATUS"); initial != record.attributes.end()) {
    // Only a registration starts with it; updating an instance keeps the health that was set since.
    if (standing == nullptr) record.custom_healthy = initial->second == "HEALTHY";
  }
  put_instance(call, record);
  return answer({{"OperationId",
                  call.start_operation("REGISTER_INSTANCE", {{"INSTANCE", record.id}, {"SERVICE", service->id}})}});
}

ApiResult deregister_instance(Call& call, const json::object& input) {
  const auto service_id = text(input, "ServiceId");
  const auto* service = find_service(call.state, service_id);
  if (service == nullptr) return service_not_found(service_id);
  const auto id = text(input, "InstanceId");
  const auto* record = find_instance(call.state, service->id, id);
  if (record == nullptr) return instance_not_found(*service, id);
  if (!record->task_id.empty()) return of_a_task(*record);
  const InstanceRecord gone = *record;
  erase_instance(call, gone);
  return answer({{"OperationId",
                  call.start_operation("DEREGISTER_INSTANCE", {{"INSTANCE", gone.id}, {"SERVICE", service->id}})}});
}

ApiResult get_instance(Call& call, const json::object& input) {
  const auto service_id = text(input, "ServiceId");
  const auto* service = find_service(call.state, service_id);
  if (service == nullptr) return service_not_found(service_id);
  const auto id = text(input, "InstanceId");
  const auto* record = find_instance(call.state, service->id, id);
  if (record == nullptr) return instance_not_found(*service, id);
  auto out = render(call, *record);
  if (!record->creator_request_id.empty()) out["CreatorRequestId"] = record->creator_request_id;
  return answer({{"ResourceOwner", call.settings.account}, {"Instance", std::move(out)}});
}

ApiResult list_instances(Call& call, const json::object& input) {
  const auto service_id = text(input, "ServiceId");
  const auto* service = find_service(call.state, service_id);
  if (service == nullptr) return service_not_found(service_id);
  static const std::map<std::string, InstanceRecord> kNone;
  const auto found = call.state.instances.find(service->id);
  auto result = answer_page(
      input, "Instances", found == call.state.instances.end() ? kNone : found->second,
      [](const InstanceRecord& record) { return !record.draining; },
      [&](const InstanceRecord& record) { return render(call, record); });
  if (!result.error) result.body["ResourceOwner"] = call.settings.account;
  return result;
}

}  // namespace

void add_instance_operations(Operations& operations) {
  operations["RegisterInstance"] = checked(kRegisterInstances, register_instance);
  operations["DeregisterInstance"] = checked(kOne, deregister_instance);
  operations["GetInstance"] = checked(kOne, get_instance);
  operations["ListInstances"] = checked(kListInstances, list_instances);
}

}  // namespace causeway::control::sd
