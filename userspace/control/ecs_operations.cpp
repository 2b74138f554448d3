#include "control/ecs_operations.h"

namespace causeway::control {

Operations ecs_operations() {
  Operations operations;
  add_cluster_operations(operations);
  add_task_definition_operations(operations);
  add_service_operations(operations);
  add_service_reading_operations(operations);
  add_task_operations(operations);
  add_tag_operations(operations);
  return operations;
}

}  // namespace causeway::control
