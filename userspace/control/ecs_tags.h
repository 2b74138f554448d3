#pragma once
// Tags as the ECS API writes them: [{"key": …, "value": …}].
#include "control/ecs_check.h"

namespace causeway::control {

const Shape& tag_shape();
/// At most 50, keys 1 to 128 characters and each once; `aws:` is reserved.
Checked<> check_tags(const json::array& tags);

}  // namespace causeway::control
