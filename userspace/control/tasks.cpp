#include "control/tasks.h"

#include <algorithm>

#include <fmt/core.h>

#include "control/ecs_find.h"
#include "control/ecs_task_records.h"

namespace causeway::control {
namespace {

constexpr Seconds kStoppedKept = 3600;  // as ECS keeps stopped tasks
constexpr Seconds kOperationsKept = 24 * 3600;
/// A name's answer may be held by a client (DNS, a pool) for a while: a stopped task's address rests before another
/// task gets it.
constexpr Seconds kAddressRest = 60;

struct Found {
  TaskRecord task;
  const EcsServiceRecord* service;  ///< may be null
};

Result<Found> find(const Call& call, std::string_view operation, const std::string& cluster, const std::string& id) {
  const auto* task = find_task(call, cluster, id);
  if (task == nullptr) {
    return make_error(operation, fmt::format("{} of cluster {}", id, cluster), "there is no such task (any more)");
  }
  return Found{*task, find_ecs_service(call, cluster, task->service)};
}

/// The Cloud Map services to look for a task's instances in; all where its service is gone.
std::set<std::string> registries_of_task(const Call& call, const Found& found) {
  if (found.service != nullptr) return registries_of(*found.service);
  std::set<std::string> all;
  for (const auto& [id, instances] : call.state.instances) all.insert(id);
  return all;
}

/// Addresses taken: those of tasks that live, and with `resting` those of tasks that stopped a moment ago.
std::set<IpAddress> taken_addresses(const Call& call, bool resting) {
  std::set<IpAddress> taken;
  for (const auto& [cluster, tasks] : call.state.tasks) {
    for (const auto& [id, task] : tasks) {
      const bool rests = resting && call.now() - task.stopped < kAddressRest;
      if (task.last_status != "STOPPED" || rests) taken.insert(task.address);
    }
  }
  return taken;
}

std::optional<IpAddress> lowest_free(const IpPrefix& range, const std::set<IpAddress>& taken) {
  const unsigned bits = (range.base.is_v4() ? 32 : 128) - range.length;
  const std::uint64_t end = bits >= 32 ? std::uint64_t{1} << 32 : std::uint64_t{1} << bits;
  // At most one step more than there are taken ones; index 0 is the network's address.
  for (std::uint64_t index = 1; index < end; ++index) {
    const auto address = range.at(index);
    if (!taken.contains(address)) return address;
  }
  return std::nullopt;
}

Result<IpAddress> free_address(const Call& call) {
  const auto& range = call.settings.task_v4;
  if (const auto address = lowest_free(range, taken_addresses(call, true))) return *address;
  if (const auto address = lowest_free(range, taken_addresses(call, false))) return *address;
  return make_error("start a task", range.to_string(),
                    "each address of the task range is in use; configure a larger one");
}

Result<const EcsServiceRecord*> find_active_service(const Call& call, const TaskRequest& request) {
  constexpr std::string_view kOperation = "start a task of";
  json::object input;
  if (!request.cluster.empty()) input["cluster"] = request.cluster;
  const auto cluster = find_cluster(call, input);
  const auto subject = fmt::format("service \"{}\"", request.service);
  if (!cluster) return make_error(kOperation, subject, cluster.error().message);
  const auto& name = (*cluster)->name;
  const auto* service = find_ecs_service(call, name, request.service);
  if (service == nullptr) {
    return make_error(kOperation, subject,
                      fmt::format("cluster \"{}\" has no such service; make it with \"aws ecs create-service "
                                  "--cluster {}\", or see \"aws ecs list-services --cluster {}\"",
                                  name, name, name));
  }
  if (service->status == "ACTIVE") return service;
  return make_error(kOperation, subject,
                    fmt::format("it is {} in cluster \"{}\"; create it again with \"aws ecs create-service\"",
                                service->status, name));
}

bool older(Seconds now, Seconds when, Seconds limit) {
  return when > 0 && now - when > limit;
}

}  // namespace

Result<TaskRecord> create_task(Call& call, const TaskRequest& request) {
  const auto service = find_active_service(call, request);
  if (!service) return service.error();
  const auto* definition = task_definition_of(call.state, (*service)->task_definition);
  if (definition == nullptr) {
    return make_error("start a task of", request.service,
                      "its task definition " + (*service)->task_definition + " is missing");
  }
  const auto address = free_address(call);
  if (!address) return address.error();
  TaskRecord task;
  task.id = call.random.hex(32);
  task.cluster = (*service)->cluster;
  task.service = (*service)->name;
  task.arn = call.ecs_arn(fmt::format("task/{}/{}", task.cluster, task.id));
  task.last_status = "PENDING";
  task.desired_status = "RUNNING";
  task.cgroup = task.id;
  task.address = *address;
  task.created = call.now();
  follow_definition(task, **service, *definition);
  call.put(task);
  return task;
}

Result<void> task_started(Call& call, const std::string& cluster, const std::string& id, int pid,
                          std::uint64_t cgroup_id) {
  auto found = find(call, "start task", cluster, id);
  if (!found) return found.error();
  auto& task = found->task;
  if (task.last_status == "STOPPED") return make_error("start task", id, "it is STOPPED: " + task.stopped_reason);
  task.last_status = "RUNNING";
  task.pid = pid;
  task.cgroup_id = cgroup_id;
  task.started = call.now();
  call.put(task);
  const auto* service = found->service;
  if (service == nullptr || service->status != "ACTIVE" || !is_serving(task)) return {};
  const auto* definition = task_definition_of(call.state, service->task_definition);
  if (definition == nullptr) return {};
  RegistryEdits edits(call);
  register_task(edits, call, task, *service, *definition, registries_of(*service));
  edits.write(nullptr);
  return {};
}

Result<void> task_listening(Call& call, const TaskRecord& of, std::uint16_t port, bool listening) {
  auto found = find(call, "record a listening port of task", of.cluster, of.id);
  if (!found) return found.error();
  auto& task = found->task;
  const auto at = std::find(task.listening_ports.begin(), task.listening_ports.end(), port);
  const bool known = std::find(task.ports.begin(), task.ports.end(), port) != task.ports.end();
  if (!known || task.last_status == "STOPPED" || (at != task.listening_ports.end()) == listening) return {};
  if (listening)
    task.listening_ports.push_back(port);
  else
    task.listening_ports.erase(at);
  call.put(task);
  const auto number = std::to_string(port);
  for (auto instance : standing_instances(call.state, task.id, registries_of_task(call, *found))) {
    // Health only: InstancesRevision grows on register and deregister, not on health.
    const auto its_port = instance.attributes.find("AWS_INSTANCE_PORT");
    if (its_port == instance.attributes.end() || its_port->second != number || instance.listening == listening)
      continue;
    instance.listening = listening;
    call.put(instance);
  }
  return {};
}

Result<void> task_deregister(Call& call, const std::string& cluster, const std::string& id) {
  auto found = find(call, "deregister task", cluster, id);
  if (!found) return found.error();
  auto& task = found->task;
  if (task.last_status == "STOPPED") return {};
  RegistryEdits edits(call);
  for (const auto& instance : standing_instances(call.state, id, registries_of_task(call, *found)))
    edits.drain(instance);
  edits.write(nullptr);
  if (task.last_status == "DEACTIVATING" && task.desired_status == "STOPPED") return {};
  task.last_status = "DEACTIVATING";
  task.desired_status = "STOPPED";
  if (task.stopping == 0) task.stopping = call.now();
  call.put(task);
  return {};
}

Result<void> task_stopped(Call& call, const std::string& cluster, const std::string& id, std::string reason,
                          std::optional<int> exit_code) {
  auto found = find(call, "end task", cluster, id);
  if (!found) return found.error();
  auto& task = found->task;
  if (task.last_status == "STOPPED") return {};
  EcsServiceRecord service;
  if (found->service != nullptr) service = *found->service;
  if (service.status == "DRAINING") {
    const auto tasks = tasks_of(call.state, service);
    const bool last = std::all_of(tasks.begin(), tasks.end(), [&](const TaskRecord* other) {
      return other->id == id || other->last_status == "STOPPED";
    });
    if (last) {
      service.status = "INACTIVE";
      call.put(service);
    }
  }
  RegistryEdits edits(call);
  for (const auto& instance : standing_instances(call.state, id, registries_of_task(call, *found)))
    edits.erase(instance);
  edits.write(nullptr);
  if (task.stop_code.empty()) task.stop_code = task.started > 0 ? "EssentialContainerExited" : "TaskFailedToStart";
  if (task.stopped_reason.empty()) task.stopped_reason = std::move(reason);
  task.last_status = "STOPPED";
  task.desired_status = "STOPPED";
  task.exit_code = exit_code;
  task.listening_ports.clear();
  task.stopped = call.now();
  if (task.stopping == 0) task.stopping = task.stopped;
  call.put(task);
  return {};
}

Result<void> forget_old(Call& call) {
  const auto now = call.now();
  for (const auto& [cluster, tasks] : call.state.tasks) {
    for (const auto& [id, task] : tasks) {
      if (task.last_status == "STOPPED" && older(now, task.stopped, kStoppedKept)) call.erase(task);
    }
  }
  for (const auto& [cluster, services] : call.state.ecs_services) {
    for (const auto& [name, service] : services) {
      if (service.status == "INACTIVE" && older(now, service.deleted, kStoppedKept)) call.erase(service);
    }
  }
  for (const auto& [id, operation] : call.state.operations) {
    const bool ended = operation.status == "SUCCESS" || operation.status == "FAIL";
    if (ended && older(now, operation.updated, kOperationsKept)) call.erase(operation);
  }
  return {};
}

}  // namespace causeway::control
