#pragma once
// What CreateService and UpdateService are given, checked and laid into a service's record.
#include "control/ecs_check.h"

namespace causeway::control {

const Shape& create_service_shape();
const Shape& update_service_shape();

/// Sets the record's members that the input has: task definition, count, registries, Service Connect and those that are
/// kept as given. The task definition must be there, from the input or the record.
Checked<> apply_service_input(const Call& call, const json::object& input, const ClusterRecord& cluster,
                              EcsServiceRecord& service);

}  // namespace causeway::control
