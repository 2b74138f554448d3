#pragma once
// One agent a run directory: a flock(2) on run_dir/agent.lock, which the kernel lets go however the agent ends.
#include <optional>
#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace causeway::agent {

/// Takes the lock for this process's life (close-on-exec) and writes its pid into the file; makes the directory if it
/// is missing (mode 0755). EWOULDBLOCK in `code`: another agent holds it; the message names its pid and what to do.
Result<Fd> take_agent_lock(const std::string& path);

/// Removes the file and lets the lock go, at a clean end. An agent that opened the file meanwhile takes a new one.
void release_agent_lock(Fd lock, const std::string& path);

/// Whether an agent holds the lock. `pid` is what it wrote, 0 where unreadable.
struct LockHolder {
  int pid = 0;
};
Result<std::optional<LockHolder>> agent_lock_holder(const std::string& path);

}  // namespace causeway::agent
