#pragma once
// What only the kernel part knows of the services on its path, for those who show it.
#include <cstdint>
#include <functional>

#include "model/ids.h"

namespace causeway::agent {

/// Left empty: nothing is known.
struct KernelView {
  std::function<bool(EndpointId)> is_ejected;     ///< left out because it keeps failing
  std::function<std::int64_t(ServiceId)> active;  ///< dials and connections, to those that left too
};

}  // namespace causeway::agent
