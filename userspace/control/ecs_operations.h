#pragma once
// The operations of the ECS API, a group a file. Each answers as botocore's ecs/2014-11-13 model says.
#include "control/ecs_check.h"

namespace causeway::control {

void add_cluster_operations(Operations& operations);
void add_task_definition_operations(Operations& operations);
void add_service_operations(Operations& operations);
void add_service_reading_operations(Operations& operations);
void add_task_operations(Operations& operations);
void add_tag_operations(Operations& operations);

}  // namespace causeway::control
