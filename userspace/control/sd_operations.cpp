#include <fmt/core.h>

#include "control/sd_common.h"

namespace causeway::control::sd {
namespace {

constexpr Shape kOperationId{.min = 1, .max = 255};
constexpr Member kGetOperationsMembers[] = {{"OperationId", &kOperationId, true}};
constexpr Shape kGetOperations = structure(kGetOperationsMembers);
constexpr Member kListOperationsMembers[] = {{"NextToken", &kNextToken}, {"MaxResults", &kMaxResults}, {"Filters", &kFilters}};
constexpr Shape kListOperations = structure(kListOperationsMembers);

ApiResult get_operation(Call& call, const json::object& input) {
  const auto id = text(input, "OperationId");
  const auto found = call.state.operations.find(id);
  if (found == call.state.operations.end()) {
    return fail(404, "OperationNotFound",
                fmt::format("No operation \"{}\"; ended ones are forgotten after a day, `aws servicediscovery "
                            "list-operations` shows the others",
                            id));
  }
  const auto& operation = found->second;
  json::object targets;
  for (const auto& [kind, target] : operation.targets) targets[kind] = target;
  json::object out{
      {"Id", operation.id},           {"OwnerAccount", call.settings.account}, {"Type", operation.type},
      {"Status", operation.status},   {"CreateDate", operation.created},       {"UpdateDate", operation.updated},
      {"Targets", std::move(targets)}};
  if (!operation.error_code.empty()) out["ErrorCode"] = operation.error_code;
  if (!operation.error_message.empty()) out["ErrorMessage"] = operation.error_message;
  return answer({{"Operation", std::move(out)}});
}

std::string filter_value(const OperationRecord& operation, std::string_view name) {
  if (name == "STATUS") return operation.status;
  if (name == "TYPE") return operation.type;
  if (name == "UPDATE_DATE") return fmt::format("{:.3f}", operation.updated);
  const auto target = operation.targets.find(name == "NAMESPACE_ID" ? "NAMESPACE" : "SERVICE");
  return target == operation.targets.end() ? std::string() : target->second;
}

ApiResult list_operations(Call& call, const json::object& input) {
  auto wrong = misfit_filters(input, {{.name = "NAMESPACE_ID"},
                                      {.name = "SERVICE_ID"},
                                      {.name = "STATUS", .in = true},
                                      {.name = "TYPE", .in = true},
                                      {.name = "UPDATE_DATE", .between = true}});
  if (!wrong.empty()) return invalid_input(wrong);
  return answer_page(
      input, "Operations", call.state.operations,
      [&](const OperationRecord& operation) {
        return passes_filters(input, [&](std::string_view name) { return filter_value(operation, name); });
      },
      [](const OperationRecord& operation) {
        return json::object{{"Id", operation.id}, {"Status", operation.status}};
      });
}

}  // namespace
}  // namespace causeway::control::sd

namespace causeway::control {

Operations service_discovery_operations() {
  Operations operations;
  operations["GetOperation"] = sd::checked(sd::kGetOperations, sd::get_operation);
  operations["ListOperations"] = sd::checked(sd::kListOperations, sd::list_operations);
  sd::add_namespace_operations(operations);
  sd::add_service_operations(operations);
  sd::add_instance_operations(operations);
  sd::add_discover_operations(operations);
  sd::add_health_operations(operations);
  sd::add_tag_operations(operations);
  sd::add_attribute_operations(operations);
  return operations;
}

}  // namespace causeway::control
