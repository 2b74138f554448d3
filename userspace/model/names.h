#pragma once
#include <string_view>

#include "model/snapshot.h"

namespace causeway {

std::string_view to_string(AppProtocol protocol);
std::string_view to_string(Health health);

}  // namespace causeway
