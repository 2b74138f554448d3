// ListTasks, DescribeTasks, StopTask.
#include <fmt/core.h>

#include "control/ecs_describe.h"
#include "control/ecs_find.h"
#include "control/ecs_operations.h"
#include "control/ecs_task_records.h"

namespace causeway::control {
namespace {

constexpr std::int64_t kDescribeTasksLimit = 100;

/// The service that a filter names: the name to compare with.
Checked<std::string> wanted_service(const Call& call, const ClusterRecord& cluster, const json::object& input) {
  const auto reference = text_of(input, "serviceName");
  if (reference.empty()) return std::string();
  const auto* service = find_ecs_service(call, cluster.name, reference);
  if (service != nullptr) return service->name;
  return refusal("ServiceNotFoundException",
                 fmt::format("Service \"{}\" not found in cluster \"{}\"; list-services --cluster {} "
                             "shows its services",
                             reference, cluster.name, cluster.name));
}

bool is_family(const TaskRecord& task, const std::string& family) {
  return task.task_definition.find(fmt::format(":task-definition/{}:", family)) != std::string::npos;
}

Checked<json::object> list_tasks(Call& call, const json::object& input) {
  const auto cluster = find_cluster(call, input);
  if (!cluster) return cluster.error();
  const auto service = wanted_service(call, **cluster, input);
  if (!service) return service.error();
  const auto family = text_of(input, "family");
  const auto started_by = text_of(input, "startedBy");
  const auto desired = has(input, "desiredStatus") ? text_of(input, "desiredStatus") : std::string("RUNNING");
  std::vector<std::string> arns;
  if (const auto tasks = call.state.tasks.find((*cluster)->name); tasks != call.state.tasks.end()) {
    for (const auto& [id, task] : tasks->second) {
      if (task.desired_status != desired || has(input, "containerInstance")) continue;
      if (!service->empty() && task.service != *service) continue;
      if (!family.empty() && !is_family(task, family)) continue;
      if (!started_by.empty()) {
        const auto* owner = find_ecs_service(call, task.cluster, task.service);
        if (owner == nullptr || owner->deployment_id != started_by) continue;
      }
      if (has(input, "launchType") && text_of(input, "launchType") != "EXTERNAL") continue;
      arns.push_back(task.arn);
    }
  }
  return page(input, "taskArns", arns);
}

Checked<json::object> describe_tasks(Call& call, const json::object& input) {
  const auto cluster = find_cluster(call, input);
  if (!cluster) return cluster.error();
  const auto references = texts_of(input, "tasks");
  if (references.empty()) return invalid_parameter("tasks is empty; name 1 to 100 tasks");
  json::array found;
  json::array failures;
  for (const auto& reference : references) {
    if (const auto* task = find_task(call, (*cluster)->name, reference)) {
      found.push_back(describe_task(call, *task));
    } else {
      const bool is_arn = reference.starts_with("arn:");
      failures.push_back(
          missing(is_arn ? reference : call.ecs_arn(fmt::format("task/{}/{}", (*cluster)->name, reference))));
    }
  }
  return json::object{{"tasks", std::move(found)}, {"failures", std::move(failures)}};
}

Checked<json::object> stop_task(Call& call, const json::object& input) {
  const auto cluster = find_cluster(call, input);
  if (!cluster) return cluster.error();
  const auto reference = text_of(input, "task");
  const auto* task = find_task(call, (*cluster)->name, reference);
  if (task == nullptr) {
    return invalid_parameter(
        fmt::format("The referenced task was not found: \"{}\" in cluster \"{}\"; list-tasks --cluster {} "
                    "shows its tasks",
                    reference, (*cluster)->name, (*cluster)->name));
  }
  const auto reason = has(input, "reason") ? text_of(input, "reason") : std::string("Task stopped by user");
  return json::object{{"task", describe_task(call, ask_to_stop(call, *task, "UserInitiated", reason))}};
}

}  // namespace

void add_task_operations(Operations& operations) {
  static const Shape list{text("cluster"),
                          text("containerInstance"),
                          text("family", 255),
                          text("nextToken"),
                          integer("maxResults", 1, 100),
                          text("startedBy"),
                          text("serviceName"),
                          text("desiredStatus").one_of("RUNNING|PENDING|STOPPED"),
                          text("launchType").one_of("EC2|FARGATE|EXTERNAL|MANAGED_INSTANCES")};
  static const Shape describe{text("cluster"), texts("tasks", kDescribeTasksLimit).required(), texts("include")};
  static const Shape stop{text("cluster"), text("task").required(), text("reason")};
  operations["ListTasks"] = handler(list, list_tasks);
  operations["DescribeTasks"] = handler(describe, describe_tasks);
  operations["StopTask"] = handler(stop, stop_task);
}

}  // namespace causeway::control
