#pragma once
// How the ECS API shows services and tasks.
#include "control/ecs_check.h"

namespace causeway::control {

json::object describe_service(const Call& call, const EcsServiceRecord& service, bool with_tags);
json::object describe_task(const Call& call, const TaskRecord& task);
/// A list of {arn, reason MISSING}.
json::object missing(std::string arn);

}  // namespace causeway::control
