#pragma once
// Follows the tasks of this host from `causeway run` to their end. The programs are not the agent's children: they are
// known by their cgroup, live on when the agent ends, and are taken over by the next one.
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

#include "base/ip.h"
#include "base/result.h"
#include "control/controller.h"
#include "control/tasks.h"

namespace causeway::agent {

struct SupervisorOptions {
  std::string tasks_cgroup;                 ///< absolute path of SUBTREE/tasks
  /// At most, between deregistration and SIGTERM. Empty: the longest drain_timeout of the task's services.
  std::optional<std::chrono::milliseconds> drain;
  std::chrono::milliseconds recheck{2000};  ///< how often listening ports are looked at without an event
  std::function<Result<bool>(const SocketAddress&)> is_listening;  ///< kernel::is_listening
  /// Established connections to that address and port; the drain ends early at 0. Default: sock_diag.
  std::function<Result<std::size_t>(const SocketAddress&)> connections;
};

/// Control thread only (that of the executor, which is also the Controller's).
class TaskSupervisor {
 public:
  TaskSupervisor(boost::asio::any_io_executor executor, control::Controller& controller, SupervisorOptions options);
  ~TaskSupervisor();
  TaskSupervisor(const TaskSupervisor&) = delete;
  TaskSupervisor& operator=(const TaskSupervisor&) = delete;

  /// After Controller::start(): takes over tasks whose cgroups are populated, ends the records of the others, removes
  /// stray empty cgroups.
  Result<void> start();
  /// Stops following; programs, records and cgroups stay as they are.
  void stop();

  /// Makes a task of the service and moves process `pid`, which is about to exec the program, into its cgroup.
  /// Answers the RUNNING record. On an error nothing is left behind but a STOPPED record.
  Result<control::TaskRecord> start_task(const control::TaskRequest& request, int pid);
  /// Sets the desired status to STOPPED, as StopTask does; the rest follows by on_change().
  Result<void> stop_task(const std::string& cluster, const std::string& id, const std::string& reason);

  /// To be called for each change that the Controller applied: tasks whose desired status became STOPPED are
  /// deregistered, drained, sent SIGTERM, and killed after their stopTimeout.
  void on_change(const std::vector<store::Event>& events);
  /// A port may have begun or stopped listening (kernel::ListenEvent): looks, and records what it sees.
  void on_listen(const SocketAddress& address);

  std::size_t followed() const;  ///< tasks that run here now

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace causeway::agent
