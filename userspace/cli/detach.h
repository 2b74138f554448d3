#pragma once
// `causeway detach`: what an agent that crashed left in the kernel.
#include <chrono>
#include <string>
#include <vector>

#include "agent/config.h"
#include "base/result.h"

namespace causeway::cli {

struct Detached {
  std::vector<std::string> removed;  ///< pins, cgroups, the socket
  std::vector<std::string> kept;     ///< with the reason: cgroups of tasks that run on
};

/// Removes pins and attachments, ends a proxy that outlived its agent (SIGTERM, SIGKILL after `drain`), and removes the
/// agent's cgroups that are empty. Refuses while an agent holds its lock, unless forced. Safe to call twice. Root only.
Result<Detached> detach(const agent::Config& config, bool force, std::chrono::milliseconds drain);

}  // namespace causeway::cli
