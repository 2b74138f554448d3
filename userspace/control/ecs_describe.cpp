#include "control/ecs_describe.h"

#include <algorithm>

#include <fmt/core.h>

#include "control/ecs_find.h"
#include "control/ecs_ports.h"
#include "control/ecs_task_records.h"

namespace causeway::control {
namespace {

constexpr std::size_t kEventLimit = 100;  // as DescribeServices shows

struct TaskCounts {
  std::int64_t running = 0, pending = 0, failed = 0;
};

TaskCounts count(const std::vector<const TaskRecord*>& tasks) {
  TaskCounts counts;
  for (const auto* task : tasks) {
    if (task->last_status == "RUNNING") ++counts.running;
    if (task->last_status == "PENDING") ++counts.pending;
    if (task->stop_code == "TaskFailedToStart") ++counts.failed;
  }
  return counts;
}

/// 32 hex digits as a UUID is written; ids of tasks have that many.
std::string as_uuid(const std::string& hex) {
  if (hex.size() != 32) return hex;
  return fmt::format("{}-{}-{}-{}-{}", hex.substr(0, 8), hex.substr(8, 4), hex.substr(12, 4), hex.substr(16, 4),
                     hex.substr(20));
}

json::object event(const std::string& id, Seconds when, std::string message) {
  return {{"id", id}, {"createdAt", when}, {"message", std::move(message)}};
}

/// Told from the records: each start and end of a task that is still known, newest first.
json::array events_of(const EcsServiceRecord& service, const std::vector<const TaskRecord*>& tasks) {
  std::vector<std::pair<Seconds, json::object>> all;
  for (const auto* task : tasks) {
    if (task->started > 0) {
      all.emplace_back(task->started,
                       event(as_uuid(task->id), task->started,
                             fmt::format("(service {}) has started 1 tasks: (task {}).", service.name, task->id)));
    }
    if (task->stopped > 0) {
      const std::string id(task->id.rbegin(), task->id.rend());
      all.emplace_back(task->stopped, event(as_uuid(id), task->stopped,
                                            fmt::format("(service {}) task {} has stopped: {}", service.name, task->id,
                                                        task->stopped_reason)));
    }
  }
  std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  if (all.size() > kEventLimit) all.resize(kEventLimit);
  json::array out;
  for (auto& [when, entry] : all) out.push_back(std::move(entry));
  return out;
}

json::object deployment_of(const EcsServiceRecord& service, const TaskCounts& counts) {
  const bool complete = counts.running >= service.desired_count;
  json::object out{
      {"id", service.deployment_id},
      {"status", "PRIMARY"},
      {"taskDefinition", service.task_definition},
      {"desiredCount", service.desired_count},
      {"pendingCount", counts.pending},
      {"runningCount", counts.running},
      {"failedTasks", counts.failed},
      {"createdAt", service.deployment_created},
      {"updatedAt", service.deployment_created},
      {"rolloutState", complete ? "COMPLETED" : "IN_PROGRESS"},
      {"rolloutStateReason", complete ? "ECS deployment completed."
                                      : "ECS deployment in progress: tasks are started with \"causeway run\"."}};
  if (!service.service_connect.empty()) {
    out["serviceConnectConfiguration"] = service.service_connect;
    out["serviceConnectResources"] = service.service_connect_resources;
  }
  return out;
}

json::object describe_container(const TaskRecord& task, const json::object& definition) {
  json::object out{{"containerArn", task.arn + "/" + text_of(definition, "name")},
                   {"taskArn", task.arn},
                   {"name", text_of(definition, "name")},
                   {"image", text_of(definition, "image")},
                   {"lastStatus", task.last_status},
                   {"healthStatus", "UNKNOWN"}};
  json::array bindings;
  for (const auto& entry : list_of(definition, "portMappings")) {
    const auto& mapping = entry.as_object();
    bindings.push_back(json::object{{"bindIP", task.address.to_string()},
                                    {"containerPort", integer_of(mapping, "containerPort")},
                                    {"hostPort", integer_of(mapping, "containerPort")},
                                    {"protocol", text_of(mapping, "protocol")}});
  }
  out["networkBindings"] = std::move(bindings);
  out["networkInterfaces"] = json::array{json::object{{"privateIpv4Address", task.address.to_string()}}};
  if (task.pid > 0) out["runtimeId"] = std::to_string(task.pid);
  if (task.exit_code) out["exitCode"] = *task.exit_code;
  return out;
}

void add_time(json::object& out, const char* name, Seconds when) {
  if (when > 0) out[name] = when;
}

}  // namespace

json::object describe_service(const Call& call, const EcsServiceRecord& service, bool with_tags) {
  const auto tasks = tasks_of(call.state, service);
  const auto counts = count(tasks);
  json::object out{{"serviceArn", service.arn},
                   {"serviceName", service.name},
                   {"clusterArn", call.ecs_arn("cluster/" + service.cluster)},
                   {"status", service.status},
                   {"desiredCount", service.desired_count},
                   {"runningCount", counts.running},
                   {"pendingCount", counts.pending},
                   {"taskDefinition", service.task_definition},
                   {"serviceRegistries", service.service_registries},
                   {"createdAt", service.created},
                   {"launchType", "EXTERNAL"},
                   {"schedulingStrategy", "REPLICA"},
                   {"propagateTags", "NONE"},
                   {"enableECSManagedTags", false},
                   {"enableExecuteCommand", false},
                   {"loadBalancers", json::array()},
                   {"placementConstraints", json::array()},
                   {"placementStrategy", json::array()},
                   {"deploymentConfiguration", json::object{{"maximumPercent", 200}, {"minimumHealthyPercent", 100}}}};
  for (const auto& [name, value] : service.document) {
    if (name != "tags" && name != "clientToken") out[name] = value;
  }
  out["deployments"] = service.status == "INACTIVE" ? json::array() : json::array{deployment_of(service, counts)};
  out["events"] = events_of(service, tasks);
  if (with_tags) out["tags"] = list_of(service.document, "tags");
  return out;
}

json::object describe_task(const Call& call, const TaskRecord& task) {
  json::object out{{"taskArn", task.arn},
                   {"clusterArn", call.ecs_arn("cluster/" + task.cluster)},
                   {"taskDefinitionArn", task.task_definition},
                   {"group", "service:" + task.service},
                   {"lastStatus", task.last_status},
                   {"desiredStatus", task.desired_status},
                   {"healthStatus", "UNKNOWN"},
                   {"connectivity", "CONNECTED"},
                   {"launchType", "EXTERNAL"},
                   {"availabilityZone", call.settings.region + "a"},
                   {"attachments", json::array()},
                   {"attributes", json::array()},
                   {"overrides", json::object{{"containerOverrides", json::array()}}},
                   {"tags", json::array()},
                   {"version", 1}};
  if (const auto of_cluster = call.state.ecs_services.find(task.cluster); of_cluster != call.state.ecs_services.end()) {
    const auto service = of_cluster->second.find(task.service);
    if (service != of_cluster->second.end()) out["startedBy"] = service->second.deployment_id;
  }
  json::array containers;
  if (const auto* definition = task_definition_of(call.state, task.task_definition)) {
    for (const auto& container : list_of(definition->document, "containerDefinitions")) {
      containers.push_back(describe_container(task, container.as_object()));
    }
  }
  out["containers"] = std::move(containers);
  add_time(out, "createdAt", task.created);
  add_time(out, "startedAt", task.started);
  add_time(out, "stoppingAt", task.stopping);
  add_time(out, "stoppedAt", task.stopped);
  add_time(out, "executionStoppedAt", task.stopped);
  if (!task.stop_code.empty()) out["stopCode"] = task.stop_code;
  if (!task.stopped_reason.empty()) out["stoppedReason"] = task.stopped_reason;
  return out;
}

json::object missing(std::string arn) {
  return {{"arn", std::move(arn)}, {"reason", "MISSING"}};
}

}  // namespace causeway::control
