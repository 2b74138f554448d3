#include "agent/task_supervisor.h"

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <algorithm>
#include <cerrno>
#include <map>
#include <set>

#include "agent/connections.h"
#include "agent/task_cgroup.h"
#include "base/fd.h"
#include "base/log.h"

namespace causeway::agent {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using control::TaskRecord;

constexpr auto kDrainLook = 100ms;
constexpr unsigned kQuietLooks = 3;  // without a connection end a drain: the data path followed long before

Fd open_pidfd(int pid) { return Fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))); }

bool signal_pidfd(const Fd& pidfd, int signal) {
  return pidfd && ::syscall(SYS_pidfd_send_signal, pidfd.get(), signal, nullptr, 0) == 0;
}

const std::string& cgroup_of(const TaskRecord& task) { return task.cgroup.empty() ? task.id : task.cgroup; }

bool ended(const TaskRecord& task) { return task.last_status == "STOPPED"; }

}  // namespace

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
    if (const TaskRecord* task = record(id)) check_ports(*task);
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

// --- Following -------------------------------------------------------------------------------------------------------

Result<void> TaskSupervisor::State::read_back() {
  auto opened = TaskCgroups::open(executor, options.tasks_cgroup);
  if (!opened) return opened.error();
  cgroups.emplace(std::move(*opened));
  active = true;

  std::vector<TaskRecord> tasks;  // a copy: ending one changes the state
  for (const auto& [cluster, by_id] : controller.state().tasks) {
    for (const auto& [id, task] : by_id) {
      if (!ended(task)) tasks.push_back(task);
    }
  }
  std::set<std::string> known;
  for (const TaskRecord& task : tasks) {
    known.insert(cgroup_of(task));
    const auto populated = cgroups->populated(cgroup_of(task));
    if (populated && *populated) {
      adopt(task);
    } else {
      end(task.cluster, task.id, "The task's processes were gone when the agent started");
      remove_cgroup(cgroup_of(task));
    }
  }
  sweep_strays(known);
  recheck();
  return {};
}

void TaskSupervisor::State::adopt(const TaskRecord& task) {
  const auto pids = cgroups->processes(cgroup_of(task));
  const bool program_lives = pids && std::find(pids->begin(), pids->end(), task.pid) != pids->end();
  // The pid is looked up in the task's own cgroup, so that a pid given anew to another process is not taken for it.
  if (const auto followed_it = follow(task, program_lives ? open_pidfd(task.pid) : Fd()); !followed_it) {
    log::error("task {} cannot be followed: {}", task.id, followed_it.error().message());
    return;
  }
  if (task.last_status == "PENDING") {  // the agent before ended between the two steps
    const int pid = pids && !pids->empty() ? pids->front() : 0;
    const auto cgroup_id = cgroups->id(cgroup_of(task));
    const auto started = controller.change([&](control::Call& call) {
      return control::task_started(call, task.cluster, task.id, pid, cgroup_id ? *cgroup_id : 0);
    });
    if (!started) log::error("task {} runs, but cannot be registered: {}", task.id, started.error().message());
  }
  if (task.desired_status == "STOPPED") {
    later(task.id, &State::begin_stop);
  } else {
    check_ports_of(task.id);
  }
  log::info("task {} of service {} goes on (pid {})", task.id, task.service, task.pid);
}

Result<void> TaskSupervisor::State::follow(const TaskRecord& task, Fd pidfd) {
  auto entry = std::make_unique<Followed>(executor);
  entry->cluster = task.cluster;
  entry->cgroup = cgroup_of(task);
  entry->pidfd = std::move(pidfd);
  const auto watched = cgroups->watch(entry->cgroup, [weak = weak_from_this(), id = task.id] {
    if (const auto self = weak.lock()) self->cgroup_changed(id);
  });
  if (!watched) return watched.error();
  followed[task.id] = std::move(entry);
  later(task.id, &State::cgroup_changed);  // it may have ended before the watch stood
  return {};
}

void TaskSupervisor::State::cgroup_changed(const std::string& id) {
  const auto found = followed.find(id);
  if (!active || found == followed.end()) return;
  const TaskRecord* task = record(id);
  if (task != nullptr && task->last_status == "PENDING") return;  // not moved in yet
  const auto populated = cgroups->populated(found->second->cgroup);
  if (populated && *populated) return;
  if (!populated && populated.error().code != ENOENT) {
    log::error("task {}: {}", id, populated.error().message());
    return;
  }
  const bool asked = task != nullptr && task->desired_status == "STOPPED";
  const std::string reason = asked && !task->stopped_reason.empty() ? task->stopped_reason
                             : asked                                 ? "Task stopped by user"
                                                                     : "Essential container in task exited";
  // Where the store refuses, the task stays followed, and the next look tries again.
  if (!end(found->second->cluster, id, reason)) return;
  const std::string cgroup = found->second->cgroup;
  followed.erase(id);
  remove_cgroup(cgroup);
  log::info("task {} has ended: {}", id, reason);
}

bool TaskSupervisor::State::end(const std::string& cluster, const std::string& id, const std::string& reason) {
  if (record(cluster, id) == nullptr) return true;
  const auto changed = controller.change(
      [&](control::Call& call) { return control::task_stopped(call, cluster, id, reason, std::nullopt); });
  if (!changed) log::error("the end of task {} cannot be recorded: {}", id, changed.error().message());
  return changed.has_value();
}

void TaskSupervisor::State::remove_cgroup(const std::string& name) {
  const auto removed = cgroups->remove(name);
  if (removed) {
    leftovers.erase(name);
  } else {
    leftovers.insert(name);  // the last process is on its way out; recheck() tries again
  }
}

void TaskSupervisor::State::sweep_strays(const std::set<std::string>& known) {
  const auto names = cgroups->list();
  if (!names) return;
  for (const std::string& name : *names) {
    if (known.contains(name)) continue;
    const auto populated = cgroups->populated(name);
    if (populated && *populated) {
      log::warn("{} holds processes of a task that the store does not know; they are left alone and cannot be dialled",
                cgroups->path(name));
    }
    remove_cgroup(name);
  }
}

void TaskSupervisor::State::recheck() {
  if (!active) return;
  const std::set<std::string> again = leftovers;
  for (const std::string& name : again) remove_cgroup(name);
  std::vector<std::string> ids;
  for (const auto& [id, entry] : followed) ids.push_back(id);
  for (const std::string& id : ids) {
    cgroup_changed(id);
    const TaskRecord* task = record(id);
    if (task == nullptr) continue;
    check_ports(TaskRecord(*task));
    if (task->desired_status == "STOPPED" && followed.at(id)->phase == Phase::running) begin_stop(id);
  }
  recheck_timer.expires_after(options.recheck);
  recheck_timer.async_wait([weak = weak_from_this()](boost::system::error_code error) {
    const auto self = weak.lock();
    if (self && !error) self->recheck();
  });
}

// --- Starting --------------------------------------------------------------------------------------------------------

Result<TaskRecord> TaskSupervisor::State::start_task(const control::TaskRequest& request, int pid) {
  const std::string subject = request.cluster + "/" + request.service;
  if (!active) return make_error("start a task of", subject, "the agent is stopping");
  Fd pidfd = pid > 0 ? open_pidfd(pid) : Fd();
  if (!pidfd) return make_error("start a task of", subject, "the process that asked is gone");

  TaskRecord task;
  const auto made = controller.change([&](control::Call& call) -> Result<void> {
    auto created = control::create_task(call, request);
    if (!created) return created.error();
    task = std::move(*created);
    return {};
  });
  if (!made) return made.error();

  const auto moved = move_in(task, pid, std::move(pidfd));
  if (!moved) {
    followed.erase(task.id);
    end(task.cluster, task.id, "The task could not be started: " + moved.error().message());
    remove_cgroup(cgroup_of(task));
    return moved.error();
  }
  log::info("task {} of service {} started (pid {}, {})", task.id, task.service, pid, task.address.to_string());
  const TaskRecord* now = record(task.cluster, task.id);
  return now == nullptr ? task : *now;
}

Result<std::uint64_t> TaskSupervisor::State::move_in(const TaskRecord& task, int pid, Fd pidfd) {
  const auto cgroup_id = cgroups->create(cgroup_of(task));
  if (!cgroup_id) return cgroup_id.error();
  // Watched before the process enters: no end can be missed.
  if (const auto watched = follow(task, std::move(pidfd)); !watched) return watched.error();
  // Recorded before the process enters: the first thing it does may be to bind or dial.
  const auto started = controller.change(
      [&](control::Call& call) { return control::task_started(call, task.cluster, task.id, pid, *cgroup_id); });
  if (!started) return started.error();
  const auto entered = cgroups->enter(cgroup_of(task), pid);
  if (!entered) return entered.error();
  return *cgroup_id;
}

// --- Listening -------------------------------------------------------------------------------------------------------

void TaskSupervisor::State::check_ports(const TaskRecord& task) {
  for (const std::uint16_t port : task.ports) check_port(task, port);
}

void TaskSupervisor::State::check_port(const TaskRecord& task, std::uint16_t port) {
  if (!options.is_listening) return;
  const auto listening = options.is_listening({task.address, port});
  if (!listening) {
    log::warn("task {}: whether port {} listens is unknown: {}", task.id, port, listening.error().message());
    return;
  }
  const auto changed =
      controller.change([&](control::Call& call) { return control::task_listening(call, task, port, *listening); });
  if (!changed) log::error("task {}: port {} cannot be recorded: {}", task.id, port, changed.error().message());
}

// --- Stopping: deregister, drain, SIGTERM, SIGKILL -------------------------------------------------------------------

void TaskSupervisor::State::begin_stop(const std::string& id) {
  Followed& entry = *followed.at(id);
  if (entry.phase != Phase::running) return;
  const auto deregistered = controller.change(
      [&](control::Call& call) { return control::task_deregister(call, entry.cluster, id); });
  if (!deregistered) {
    log::error("task {} cannot be deregistered: {}; trying again", id, deregistered.error().message());
    return;  // recheck() comes back
  }
  entry.phase = Phase::draining;
  entry.drain_until = std::chrono::steady_clock::now() + options.drain;
  drain_look(id);
}

bool TaskSupervisor::State::connected(const TaskRecord& task) const {
  for (const std::uint16_t port : task.ports) {
    const auto count = options.connections({task.address, port});
    if (!count || *count > 0) return true;  // unknown: the drain time decides
  }
  return false;
}

void TaskSupervisor::State::drain_look(const std::string& id) {
  const auto found = followed.find(id);
  const TaskRecord* task = record(id);
  if (found == followed.end() || !active) return;
  Followed& entry = *found->second;
  const auto now = std::chrono::steady_clock::now();
  if (now < entry.drain_until) entry.quiet_looks = task != nullptr && connected(*task) ? 0 : entry.quiet_looks + 1;
  if (now >= entry.drain_until || entry.quiet_looks >= kQuietLooks) {
    terminate(id);
    return;
  }
  entry.timer.expires_after(std::min<std::chrono::steady_clock::duration>(kDrainLook, entry.drain_until - now));
  entry.timer.async_wait([weak = weak_from_this(), id](boost::system::error_code error) {
    const auto self = weak.lock();
    if (self && !error) self->drain_look(id);
  });
}

void TaskSupervisor::State::terminate(const std::string& id) {
  Followed& entry = *followed.at(id);
  entry.phase = Phase::terminating;
  std::chrono::seconds timeout{30};
  if (const TaskRecord* task = record(id)) {
    timeout = std::chrono::seconds(task->stop_timeout_seconds);
    const auto marked = controller.change([&](control::Call& call) -> Result<void> {
      TaskRecord stopping = *record(id);
      stopping.last_status = "STOPPING";
      if (stopping.stopping == 0) stopping.stopping = call.now();
      call.put(stopping);
      return {};
    });
    if (!marked) log::warn("task {} is being stopped, which cannot be recorded: {}", id, marked.error().message());
  }
  if (!signal_pidfd(entry.pidfd, SIGTERM)) {
    // The program itself is gone, what it started is not.
    const auto pids = cgroups->processes(entry.cgroup);
    for (const int pid : pids ? *pids : std::vector<int>()) ::kill(pid, SIGTERM);
  }
  kill_later(id, timeout);
}

void TaskSupervisor::State::kill_later(const std::string& id, std::chrono::seconds after) {
  const auto found = followed.find(id);
  if (found == followed.end()) return;
  found->second->timer.expires_after(after);
  found->second->timer.async_wait([weak = weak_from_this(), id](boost::system::error_code error) {
    const auto self = weak.lock();
    if (!self || error || !self->active || !self->followed.contains(id)) return;
    const auto killed = self->cgroups->kill(self->followed.at(id)->cgroup);
    if (!killed) log::error("task {} cannot be killed: {}", id, killed.error().message());
    self->kill_later(id, 1s);  // until its end is seen
  });
}

// --- The interface ---------------------------------------------------------------------------------------------------

TaskSupervisor::TaskSupervisor(asio::any_io_executor executor, control::Controller& controller, SupervisorOptions options)
    : state_(std::make_shared<State>(std::move(executor), controller, std::move(options))) {}

TaskSupervisor::~TaskSupervisor() { stop(); }

Result<void> TaskSupervisor::start() { return state_->read_back(); }

void TaskSupervisor::stop() {
  state_->active = false;
  state_->recheck_timer.cancel();
  state_->followed.clear();
  state_->cgroups.reset();
}

Result<TaskRecord> TaskSupervisor::start_task(const control::TaskRequest& request, int pid) {
  return state_->start_task(request, pid);
}

Result<void> TaskSupervisor::stop_task(const std::string& cluster, const std::string& id, const std::string& reason) {
  static const control::Operations operations = control::ecs_operations();
  const auto stop_task = operations.find("StopTask");
  if (stop_task == operations.end()) return make_error("stop task", id, "the control plane has no StopTask");
  const auto answer = state_->controller.run(stop_task->second, {{"cluster", cluster}, {"task", id}, {"reason", reason}});
  if (answer.error) return make_error("stop task", id, answer.error->message);
  return {};
}

void TaskSupervisor::on_change(const std::vector<store::Event>& events) {
  for (const store::Event& event : events) {
    if (!event.value) continue;
    const std::size_t slash = event.key.rfind('/');
    const std::string last = slash == std::string::npos ? event.key : event.key.substr(slash + 1);
    if (event.key.starts_with("/ecs/tasks/")) {
      const TaskRecord* task = state_->record(last);
      const bool running = task != nullptr && state_->followed.at(last)->phase == State::Phase::running;
      if (running && task->desired_status == "STOPPED") state_->later(last, &State::begin_stop);
    } else if (event.key.starts_with("/instances/")) {
      // UpdateService registers running tasks in further services: their ports may listen already.
      control::InstanceRecord instance;
      if (control::decode(*event.value, instance) && !instance.listening && !instance.draining) {
        state_->later(instance.task_id, &State::check_ports_of);
      }
    }
  }
}

void TaskSupervisor::on_listen(const SocketAddress& address) {
  std::vector<TaskRecord> bound;
  for (const auto& [id, entry] : state_->followed) {
    const TaskRecord* task = state_->record(id);
    if (task != nullptr && task->address == address.ip) bound.push_back(*task);
  }
  for (const TaskRecord& task : bound) {
    if (std::find(task.ports.begin(), task.ports.end(), address.port) != task.ports.end()) {
      state_->check_port(task, address.port);
    }
  }
}

std::size_t TaskSupervisor::followed() const { return state_->followed.size(); }

}  // namespace causeway::agent
