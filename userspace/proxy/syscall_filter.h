#pragma once
#include "base/result.h"

namespace causeway::proxy {

/// From here on, system calls that a proxy never makes, and an intruder would, fail with EPERM: other programs, other
/// processes' memory, namespaces and mounts, kernel interfaces with a history of holes. Needs no_new_privs; inherited
/// by threads made later. A kernel without seccomp is accepted: the user and the empty capability sets remain.
Result<void> refuse_system_calls();

}  // namespace causeway::proxy
