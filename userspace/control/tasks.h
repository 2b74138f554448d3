#pragma once
// Tasks of ECS services as records: made by `causeway run`, followed by the agent's supervisor, ended by either side.
#include <cstdint>
#include <string>

#include "control/call.h"

namespace causeway::control {

struct TaskRequest {
  std::string cluster;
  std::string service;
};

/// Makes a PENDING TaskRecord with the lowest free address of the task range, its ports and its stop timeout from the
/// task definition. Errors name what is missing: cluster, service, an ACTIVE one.
Result<TaskRecord> create_task(Call& call, const TaskRequest& request);
/// The program runs in its cgroup: RUNNING, and each named port is registered as an instance, not listening yet:
/// in the Cloud Map service of each serviceRegistries entry, and in each Service Connect discovery service.
Result<void> task_started(Call& call, const std::string& cluster, const std::string& id, int pid,
                          std::uint64_t cgroup_id);
/// A port of a task listens, or no longer does; unchanged state writes nothing.
Result<void> task_listening(Call& call, const TaskRecord& task, std::uint16_t port, bool listening);
/// Its instances drain (Health::draining in the snapshot) and leave DNS. Step 1 of StopTask.
Result<void> task_deregister(Call& call, const std::string& cluster, const std::string& id);
/// Its cgroup is empty: instances removed, STOPPED; the record is kept for an hour like ECS does.
Result<void> task_stopped(Call& call, const std::string& cluster, const std::string& id, std::string reason,
                          std::optional<int> exit_code);
/// Drops STOPPED tasks and finished operations older than an hour / a day (of those, the controller drops some sooner).
Result<void> forget_old(Call& call);

}  // namespace causeway::control
