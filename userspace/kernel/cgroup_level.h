#pragma once
#include <cstdint>
#include <string>

#include "base/result.h"

namespace causeway::kernel {

/// The depth of a cgroup v2 mount's root in the whole hierarchy, which a cgroup namespace (a container) hides: the
/// kernel is asked, through a program run once in this process, at which depth this process's own cgroup lies.
/// Error: this process's cgroup is not below `mount_root`.
Result<std::uint32_t> level_of_mount_root(const std::string& mount_root);

}  // namespace causeway::kernel
