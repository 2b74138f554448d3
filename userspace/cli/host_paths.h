#pragma once
// Where the agent of a configuration keeps its things, found without making any of them.
#include <string>

#include "agent/config.h"
#include "base/result.h"

namespace causeway::cli {

struct HostPaths {
  std::string mount;   ///< cgroup v2
  std::string attach;  ///< what programs are attached to
  std::string subtree;
};

/// The Error says that there is no cgroup v2 mount and how to get one.
Result<HostPaths> host_paths(const agent::Config& config);

}  // namespace causeway::cli
