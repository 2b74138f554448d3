#pragma once
// The cgroups of tasks: one directory a task below SUBTREE/tasks of the cgroup v2 mount (on its own or in a hybrid
// hierarchy: only the v2 membership of a process changes).
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

#include "base/result.h"

namespace causeway::agent {

/// Owns SUBTREE/tasks. One thread: that of the executor. Errors name the path.
class TaskCgroups {
 public:
  /// Makes `directory` (absolute, below a cgroup v2 mount) and its missing parents.
  static Result<TaskCgroups> open(boost::asio::any_io_executor executor, std::string directory);
  TaskCgroups(TaskCgroups&&) noexcept;
  TaskCgroups& operator=(TaskCgroups&&) noexcept;
  /// Stops watching; cgroups and processes stay.
  ~TaskCgroups();

  const std::string& directory() const;
  std::string path(const std::string& name) const;

  /// Makes the cgroup of a task and returns its id (the inode, as BPF sees it). EEXIST where it stands already.
  Result<std::uint64_t> create(const std::string& name);
  Result<std::uint64_t> id(const std::string& name) const;
  Result<void> enter(const std::string& name, int pid);
  /// Whether a live process is in it or below; ENOENT without the cgroup.
  Result<bool> populated(const std::string& name) const;
  Result<std::vector<int>> processes(const std::string& name) const;
  /// SIGKILL to everything in it and below, forks included (cgroup.kill, Linux 5.14; before that, signals until empty).
  Result<void> kill(const std::string& name);
  /// Removes it and the cgroups that its programs made below; EBUSY while a process lives there. Absent is fine.
  Result<void> remove(const std::string& name);
  Result<std::vector<std::string>> list() const;

  /// Calls `on_change` on the executor whenever cgroup.events of that cgroup changed (the kernel reports at most every
  /// 10 ms a cgroup), until unwatch() or remove(). The receiver asks populated().
  Result<void> watch(const std::string& name, std::function<void()> on_change);
  void unwatch(const std::string& name);

 private:
  struct State;
  explicit TaskCgroups(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

}  // namespace causeway::agent
