#pragma once
// The inside of TaskSupervisor: task_supervisor.cpp follows and starts tasks, task_stopping.cpp ends them.
#include <map>
#include <optional>
#include <set>

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include "agent/connections.h"
#include "agent/task_cgroup.h"
#include "agent/task_supervisor.h"
#include "base/fd.h"

namespace causeway::agent {

namespace asio = boost::asio;
using control::TaskRecord;

struct TaskSupervisor::State : std::enable_shared_from_this<State> {
  enum class Phase { running, draining, terminating };

  /// A task whose processes live in a cgroup of ours.
  struct Followed {
    explicit Followed(const asio::any_io_executor& executor) : timer(executor) {}
    std::string cluster;
    std::string cgroup;
    Fd pidfd;  ///< of the program that `run` became; empty when it is gone and its children are not
    Phase phase = Phase::running;
    std::chrono::steady_clock::time_point drain_until;
    unsigned quiet_looks = 0;
    asio::steady_timer timer;
  };

  State(asio::any_io_executor ex, control::Controller& c, SupervisorOptions o)
      : executor(std::move(ex)), controller(c), options(std::move(o)), recheck_timer(executor) {
    if (!options.connections) options.connections = open_connections;
  }

  // Following
  Result<void> read_back();
  void adopt(const TaskRecord& task);
  Result<void> follow(const TaskRecord& task, Fd pidfd);
  void cgroup_changed(const std::string& id);
  bool end(const std::string& cluster, const std::string& id, const std::string& reason);
  void remove_cgroup(const std::string& name);
  void sweep_strays(const std::set<std::string>& known);
  void recheck();
  // Starting
  Result<TaskRecord> start_task(const control::TaskRequest& request, int pid);
  Result<std::uint64_t> move_in(const TaskRecord& task, int pid, Fd pidfd);
  // Listening
  void check_ports(const TaskRecord& task);
  void check_port(const TaskRecord& task, std::uint16_t port);
  // Stopping
  void begin_stop(const std::string& id);
  std::chrono::milliseconds drain_timeout(const std::string& id) const;
  void drain_look(const std::string& id);
  bool connected(const TaskRecord& task) const;
  void terminate(const std::string& id);
  void kill_later(const std::string& id, std::chrono::seconds after);

  const TaskRecord* record(const std::string& cluster, const std::string& id) const {
    const auto in_cluster = controller.state().tasks.find(cluster);
    if (in_cluster == controller.state().tasks.end()) return nullptr;
    const auto found = in_cluster->second.find(id);
    return found == in_cluster->second.end() ? nullptr : &found->second;
  }
  const TaskRecord* record(const std::string& id) const {
    const auto found = followed.find(id);
    return found == followed.end() ? nullptr : record(found->second->cluster, id);
  }
  /// Runs `step` for a followed task from the executor: never inside a change of the Controller.
  void later(const std::string& id, void (State::*step)(const std::string&)) {
    asio::post(executor, [weak = weak_from_this(), id, step] {
      const auto self = weak.lock();
      if (self && self->active && self->followed.contains(id)) (self.get()->*step)(id);
    });
  }
  void check_ports_of(const std::string& id) {
    if (const TaskRecord* task = record(id)) check_ports(TaskRecord(*task));  // a copy: a look may change the record
  }

  asio::any_io_executor executor;
  control::Controller& controller;
  SupervisorOptions options;
  std::optional<TaskCgroups> cgroups;
  std::map<std::string, std::unique_ptr<Followed>> followed;  // by task id
  std::set<std::string> leftovers;                            // cgroups still to be removed
  asio::steady_timer recheck_timer;
  bool active = false;
};

}  // namespace causeway::agent
