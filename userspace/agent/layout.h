#pragma once
// Where this agent's cgroups lie, and moving itself into its own.
#include <string>

#include "agent/config.h"
#include "base/result.h"

namespace causeway::agent {

/// Absolute paths below the cgroup v2 mount. Everything under `subtree` is this agent's.
struct Layout {
  std::string mount;    ///< the cgroup v2 mount
  std::string attach;   ///< what the programs are attached to
  std::string subtree;  ///< mount/SUBTREE
  std::string agent;    ///< subtree/agent: exempt from interception
  std::string proxy;    ///< subtree/agent/proxy: proxies, so that an orphan is found after a crash
  std::string tasks;    ///< subtree/tasks
};

/// Finds the mount and makes the directories. The error says what is missing and which key sets it.
Result<Layout> make_layout(const Config& config);

/// Moves this process, with all its threads, into layout.agent: its own sockets are exempt from then on. An Error where
/// another process is there.
Result<void> enter_agent_cgroup(const Layout& layout);

/// Moves this process back to the mount's root and removes the directories that are empty.
void leave_layout(const Layout& layout);

}  // namespace causeway::agent
