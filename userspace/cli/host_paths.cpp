#include "cli/host_paths.h"

#include "kernel/plane.h"

namespace causeway::cli {

Result<HostPaths> host_paths(const agent::Config& config) {
  HostPaths paths;
  paths.mount = config.cgroup.mount;
  if (paths.mount.empty()) {
    auto found = kernel::find_cgroup2_mount();
    if (!found) return found.error();
    paths.mount = *found;
  }
  paths.attach = config.cgroup.attach.empty() ? paths.mount : config.cgroup.attach;
  paths.subtree = paths.mount + "/" + config.cgroup.subtree;
  return paths;
}

}  // namespace causeway::cli
