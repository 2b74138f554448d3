#pragma once
// What a task takes over from its service: ports and instances.
#include <set>
#include <string>
#include <vector>

#include "control/ecs_registry.h"

namespace causeway::control {

/// The records of a service's tasks, in any status.
std::vector<const TaskRecord*> tasks_of(const State& state, const EcsServiceRecord& service);

/// Whether traffic may go to it: RUNNING, and wanted so.
bool is_serving(const TaskRecord& task);

/// Sets the task definition, its ports (those of serviceRegistries too) and its stop timeout.
void follow_definition(TaskRecord& task, const EcsServiceRecord& service, const TaskDefinitionRecord& definition);

/// Registers a serving task as `service` stands; what it has in `looked_in` beyond that is deregistered.
void register_task(RegistryEdits& edits, const Call& call, const TaskRecord& task, const EcsServiceRecord& service,
                   const TaskDefinitionRecord& definition, const std::set<std::string>& looked_in);

/// Asks for its end: the agent's supervisor deregisters, drains and ends the program. A task that was asked before
/// keeps the first reason.
TaskRecord ask_to_stop(Call& call, const TaskRecord& task, std::string stop_code, std::string reason);

}  // namespace causeway::control
