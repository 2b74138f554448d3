#include "control/ecs_task_records.h"

#include <algorithm>

#include "base/log.h"

namespace causeway::control {
namespace {

constexpr std::int64_t kStopTimeout = 30;  // seconds, ECS's default

void add_port(std::vector<std::uint16_t>& ports, std::uint16_t port) {
  if (std::find(ports.begin(), ports.end(), port) == ports.end()) ports.push_back(port);
}

std::uint32_t stop_timeout(const TaskDefinitionRecord& definition) {
  std::int64_t longest = -1;
  for (const auto& value : list_of(definition.document, "containerDefinitions")) {
    if (value.is_object()) longest = std::max(longest, integer_of(value.get_object(), "stopTimeout", -1));
  }
  return static_cast<std::uint32_t>(longest < 0 ? kStopTimeout : longest);
}

}  // namespace

std::vector<const TaskRecord*> tasks_of(const State& state, const EcsServiceRecord& service) {
  std::vector<const TaskRecord*> all;
  const auto of_cluster = state.tasks.find(service.cluster);
  if (of_cluster == state.tasks.end()) return all;
  for (const auto& [id, task] : of_cluster->second) {
    if (task.service == service.name) all.push_back(&task);
  }
  return all;
}

bool is_serving(const TaskRecord& task) {
  return task.last_status == "RUNNING" && task.desired_status == "RUNNING";
}

void follow_definition(TaskRecord& task, const EcsServiceRecord& service, const TaskDefinitionRecord& definition) {
  task.task_definition = definition.arn;
  task.stop_timeout_seconds = stop_timeout(definition);
  task.ports.clear();
  const auto ports = port_mappings(definition);
  for (const auto& port : ports) add_port(task.ports, port.port);
  for (const auto& registry : service.service_registries) {
    if (const auto port = registry_port(registry.as_object(), ports)) add_port(task.ports, port->port);
  }
  std::erase_if(task.listening_ports, [&](std::uint16_t port) {
    return std::find(task.ports.begin(), task.ports.end(), port) == task.ports.end();
  });
}

void register_task(RegistryEdits& edits, const Call& call, const TaskRecord& task, const EcsServiceRecord& service,
                   const TaskDefinitionRecord& definition, const std::set<std::string>& looked_in) {
  auto wanted = instances_of(call, task, service, definition);
  std::erase_if(wanted, [&](const InstanceRecord& instance) {
    if (edits.find_service(instance.service_id) != nullptr) return false;
    log::warn(
        "task {} of service {}/{} is not registered in Cloud Map service {}: it was deleted; update-service can name "
        "another registry",
        task.id, task.cluster, task.service, instance.service_id);
    return true;
  });
  for (const auto& standing : standing_instances(call.state, task.id, looked_in)) {
    const bool stays = std::any_of(wanted.begin(), wanted.end(), [&](const InstanceRecord& instance) {
      return instance.service_id == standing.service_id && instance.id == standing.id;
    });
    if (!stays) edits.erase(standing);
  }
  for (auto& instance : wanted) edits.put(std::move(instance));
}

TaskRecord ask_to_stop(Call& call, const TaskRecord& task, std::string stop_code, std::string reason) {
  auto stopping = task;
  if (task.desired_status == "STOPPED") return stopping;
  stopping.desired_status = "STOPPED";
  stopping.stop_code = std::move(stop_code);
  stopping.stopped_reason = std::move(reason);
  stopping.stopping = call.now();
  call.put(stopping);
  return stopping;
}

}  // namespace causeway::control
