#pragma once
// The kernel path's counters as the registry of metrics has them.
#include "kernel/plane.h"
#include "observe/totals.h"

namespace causeway::agent {

/// Any thread.
observe::TotalsMap kernel_totals(const kernel::Plane& plane);

}  // namespace causeway::agent
