#pragma once
#include <vector>

#include "kernel/plane.h"

namespace causeway::kernel {

/// Helpers that the programs use where they are there; the others they cannot do without.
struct OptionalHelpers {
  bool set_retval = false;
  bool mptcp = false;
  bool sock_destroy = false;
};
OptionalHelpers optional_helpers();

}  // namespace causeway::kernel
