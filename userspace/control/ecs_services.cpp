// CreateService, UpdateService, DeleteService.
#include <algorithm>

#include <fmt/core.h>

#include "control/aliases.h"
#include "control/ecs_describe.h"
#include "control/ecs_find.h"
#include "control/ecs_operations.h"
#include "control/ecs_service_input.h"
#include "control/ecs_task_records.h"
#include "control/vips.h"

namespace causeway::control {
namespace {

void new_deployment(Call& call, EcsServiceRecord& service) {
  service.deployment_id = fmt::format("ecs-svc/{:019}", call.random.below(std::uint64_t{1} << 62));
  service.deployment_created = call.now();
}

/// Running tasks go on under the new names and ports; those that end leave what the service no longer has.
void follow_service(RegistryEdits& edits, Call& call, const EcsServiceRecord& service, const EcsServiceRecord& before,
                    const TaskDefinitionRecord& definition) {
  auto looked_in = registries_of(before);
  const auto stay = registries_of(service);
  for (const auto& id : looked_in) {
    if (!stay.contains(id)) edits.released(id);
  }
  looked_in.insert(stay.begin(), stay.end());
  for (const auto* task : tasks_of(call.state, service)) {
    if (task->last_status == "STOPPED") continue;
    if (task->desired_status == "STOPPED" || task->last_status == "DEACTIVATING") {
      for (const auto& standing : standing_instances(call.state, task->id, looked_in)) {
        if (!stay.contains(standing.service_id)) edits.erase(standing);
      }
      continue;
    }
    auto following = *task;
    follow_definition(following, service, definition);
    if (encode(following) != encode(*task)) call.put(following);
    if (is_serving(following)) register_task(edits, call, following, service, definition, looked_in);
  }
}

/// Puts the record and all that follows from it: discovery services, virtual addresses, instances of its tasks.
Checked<> settle(Call& call, EcsServiceRecord& service, const EcsServiceRecord* before) {
  const auto* definition = task_definition_of(call.state, service.task_definition);
  if (definition == nullptr) {
    return client_exception(fmt::format("Unable to describe task definition \"{}\"; name one with taskDefinition",
                                        service.task_definition));
  }
  RegistryEdits edits(call);
  std::set<std::string> namespaces;
  if (before != nullptr && !before->service_connect_namespace.empty())
    namespaces.insert(before->service_connect_namespace);
  service.service_connect_resources.clear();
  if (const auto space = call.state.namespaces.find(service.service_connect_namespace);
      space != call.state.namespaces.end()) {
    namespaces.insert(space->first);
    if (auto ok = check_connect_entries(service.service_connect, *definition); !ok) return ok.error();
    const auto entries = connect_entries(service, definition);
    if (auto ok = assign_discovery_services(edits, call, service, space->second, entries); !ok) return ok.error();
    if (auto ok = check_aliases(call.state, space->second, service); !ok) return ok.error();
  }
  if (auto ok = update_vips(call, namespaces, service); !ok) return ok.error();
  if (before != nullptr) follow_service(edits, call, service, *before, *definition);
  edits.write(&service);
  call.put(service);
  return {};
}

/// The name is free, or held by a service that is gone; an answer where the same request was made before.
Checked<std::optional<json::object>> check_name(const Call& call, const ClusterRecord& cluster,
                                                const json::object& input) {
  const auto name = text_of(input, "serviceName");
  if (!is_ecs_name(name)) {
    return invalid_parameter(
        fmt::format("serviceName \"{}\" is not valid: 1 to 255 letters, digits, \"_\" and \"-\"", name));
  }
  const auto* standing = find_ecs_service(call, cluster.name, name);
  if (standing == nullptr || standing->status == "INACTIVE") return std::optional<json::object>();
  if (standing->status == "DRAINING") {
    return invalid_parameter(
        fmt::format("Service \"{}\" of cluster \"{}\" is still draining its tasks; create it again when "
                    "describe-services shows INACTIVE",
                    name, cluster.name));
  }
  const auto token = text_of(input, "clientToken");
  if (!token.empty() && token == text_of(standing->document, "clientToken")) {
    return std::optional<json::object>(json::object{{"service", describe_service(call, *standing, true)}});
  }
  return invalid_parameter(
      fmt::format("Creation of service was not idempotent: service \"{}\" of cluster \"{}\" exists; change "
                  "it with update-service, or choose another serviceName",
                  name, cluster.name));
}

Checked<json::object> create_service(Call& call, const json::object& input) {
  const auto cluster = find_cluster(call, input);
  if (!cluster) return cluster.error();
  auto standing = check_name(call, **cluster, input);
  if (!standing) return standing.error();
  if (*standing) return std::move(**standing);
  EcsServiceRecord service;
  service.name = text_of(input, "serviceName");
  service.cluster = (*cluster)->name;
  service.arn = call.ecs_arn(fmt::format("service/{}/{}", service.cluster, service.name));
  service.status = "ACTIVE";
  service.created = call.now();
  if (auto applied = apply_service_input(call, input, **cluster, service); !applied) return applied.error();
  new_deployment(call, service);
  service.number = ClientId(static_cast<std::uint32_t>(call.next_number(kClientNumbers)));
  if (auto settled = settle(call, service, nullptr); !settled) return settled.error();
  return json::object{{"service", describe_service(call, service, true)}};
}

ApiError service_not_found(const std::string& cluster, const std::string& reference) {
  return refusal("ServiceNotFoundException",
                 fmt::format("Service \"{}\" not found in cluster \"{}\"; list-services --cluster {} "
                             "shows its services",
                             reference, cluster, cluster));
}

Checked<const EcsServiceRecord*> find_service(const Call& call, const std::string& cluster,
                                              const std::string& reference) {
  const auto* found = find_ecs_service(call, cluster, reference);
  if (found == nullptr) return service_not_found(cluster, reference);
  return found;
}

Checked<json::object> update_service(Call& call, const json::object& input) {
  const auto cluster = find_cluster(call, input);
  if (!cluster) return cluster.error();
  const auto found = find_service(call, (*cluster)->name, text_of(input, "service"));
  if (!found) return found.error();
  const auto& before = **found;
  if (before.status != "ACTIVE") {
    return refusal("ServiceNotActiveException",
                   fmt::format("Service \"{}\" was not ACTIVE but {}; create it again with "
                               "create-service",
                               before.name, before.status));
  }
  auto service = before;
  if (auto applied = apply_service_input(call, input, **cluster, service); !applied) return applied.error();
  const bool changed = service.task_definition != before.task_definition ||
                       service.service_connect != before.service_connect ||
                       service.service_registries != before.service_registries;
  if (changed || flag_of(input, "forceNewDeployment")) new_deployment(call, service);
  if (auto settled = settle(call, service, &before); !settled) return settled.error();
  return json::object{{"service", describe_service(call, service, false)}};
}

Checked<json::object> delete_service(Call& call, const json::object& input) {
  const auto cluster = find_cluster(call, input);
  if (!cluster) return cluster.error();
  const auto found = find_service(call, (*cluster)->name, text_of(input, "service"));
  if (!found) return found.error();
  auto service = **found;
  if (service.status == "INACTIVE") return service_not_found(service.cluster, service.name);
  auto tasks = tasks_of(call.state, service);
  std::erase_if(tasks, [](const TaskRecord* task) { return task->last_status == "STOPPED"; });
  const bool force = flag_of(input, "force");
  if (service.status == "ACTIVE" && !force && service.desired_count > 0) {
    return invalid_parameter(
        fmt::format("The service \"{}\" cannot be deleted while it is scaled above 0 (desiredCount {}); set "
                    "it with update-service --desired-count 0, or use --force",
                    service.name, service.desired_count));
  }
  if (service.status == "ACTIVE" && !force && !tasks.empty()) {
    return invalid_parameter(
        fmt::format("The service \"{}\" cannot be deleted while it has {} tasks; stop them with stop-task, or "
                    "use --force",
                    service.name, tasks.size()));
  }
  service.status = tasks.empty() ? "INACTIVE" : "DRAINING";
  service.desired_count = 0;
  if (service.deleted == 0) service.deleted = call.now();
  for (const auto* task : tasks) {
    ask_to_stop(call, *task, "ServiceSchedulerInitiated", fmt::format("Service {} was deleted", service.name));
  }
  // Its aliases and names are free at once; a discovery service stays until the last instance in it has drained.
  RegistryEdits edits(call);
  for (const auto& id : registries_of(service)) edits.released(id);
  edits.write(&service);
  if (!service.service_connect_namespace.empty()) {
    if (auto ok = update_vips(call, {service.service_connect_namespace}, service); !ok) return ok.error();
  }
  call.put(service);
  return json::object{{"service", describe_service(call, service, false)}};
}

}  // namespace

void add_service_operations(Operations& operations) {
  static const Shape remove{text("cluster"), text("service").required(), boolean("force")};
  operations["CreateService"] = handler(create_service_shape(), create_service);
  operations["UpdateService"] = handler(update_service_shape(), update_service);
  operations["DeleteService"] = handler(remove, delete_service);
}

}  // namespace causeway::control
