#pragma once
// Finds what an ECS operation names: short name or ARN, wherever AWS takes both.
#include <string>
#include <string_view>

#include "control/ecs_check.h"

namespace causeway::control {

/// Letters, digits, `_`, `-`; 1 to 255 characters: clusters, services, families, containers.
bool is_ecs_name(std::string_view name);
/// Lower-case letters, digits, `_`, `-`, no leading `-`; 1 to 64 characters: port names and discovery names.
bool is_port_name(std::string_view name);
std::string lower_case(std::string_view text);

/// "production" or its ARN; "" is the cluster "default".
Checked<std::string> cluster_name(const Call& call, std::string_view reference);
/// The ACTIVE cluster of input.cluster, or ClusterNotFoundException.
Checked<const ClusterRecord*> find_cluster(const Call& call, const json::object& input);

/// A service or task that belongs to a cluster: "NAME", or an ARN "…:KIND/CLUSTER/NAME" ("…:KIND/NAME" in old ones).
struct ClusterMember {
  std::string cluster;  ///< "" where the reference does not tell
  std::string name;
};
Checked<ClusterMember> cluster_member(const Call& call, std::string_view kind, std::string_view reference);

/// A service in any status, or null. An ARN of another cluster finds nothing.
const EcsServiceRecord* find_ecs_service(const Call& call, const std::string& cluster, std::string_view reference);
const TaskRecord* find_task(const Call& call, const std::string& cluster, std::string_view reference);

/// FAMILY (its latest ACTIVE revision), FAMILY:REVISION or an ARN. ClientException says what is there.
Checked<const TaskDefinitionRecord*> find_task_definition(const Call& call, std::string_view reference);
/// By the ARN that a record holds, or null.
const TaskDefinitionRecord* task_definition_of(const State& state, std::string_view arn);

}  // namespace causeway::control
