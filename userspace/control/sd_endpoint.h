#pragma once
// What the attributes of an instance must be for the records of its service.
#include <map>
#include <string>

#include "control/call.h"

namespace causeway::control::sd {

/// Why `attributes` cannot be registered in `service`, with what to do; "" where they can.
std::string unfit_attributes(const Settings& settings, const ServiceRecord& service,
                             const std::map<std::string, std::string>& attributes);

}  // namespace causeway::control::sd
