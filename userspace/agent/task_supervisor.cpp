#include "agent/task_supervisor.h"

#include <algorithm>
#include <cerrno>

#include <sys/syscall.h>
#include <unistd.h>

#include "agent/task_supervisor_state.h"
#include "base/log.h"

namespace causeway::agent {
namespace {

Fd open_pidfd(int pid) {
  return Fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
}

const std::string& cgroup_of(const TaskRecord& task) {
  return task.cgroup.empty() ? task.id : task.cgroup;
}

bool ended(const TaskRecord& task) {
  return task.last_status == "STOPPED";
}

}  // namespace

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
                             : asked                                ? "Task stopped by user"
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
    check_ports_of(id);
    const TaskRecord* task = record(id);  // none once a look has seen its end
    const bool asked = task != nullptr && task->desired_status == "STOPPED";
    if (asked && followed.at(id)->phase == Phase::running) begin_stop(id);
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
  if (!options.is_listening || !followed.contains(task.id)) return;
  const auto listening = options.is_listening({task.address, port});
  if (!listening) {
    log::warn("task {}: whether port {} listens is unknown: {}", task.id, port, listening.error().message());
    return;
  }
  // A task that has ended closes its ports first: one change for both reaches the data path in half the time.
  if (!*listening) {
    const auto populated = cgroups->populated(cgroup_of(task));
    if (populated && !*populated) return cgroup_changed(task.id);
  }
  const auto changed =
      controller.change([&](control::Call& call) { return control::task_listening(call, task, port, *listening); });
  if (!changed) log::error("task {}: port {} cannot be recorded: {}", task.id, port, changed.error().message());
}

// --- The interface ---------------------------------------------------------------------------------------------------

TaskSupervisor::TaskSupervisor(asio::any_io_executor executor, control::Controller& controller,
                               SupervisorOptions options)
    : state_(std::make_shared<State>(std::move(executor), controller, std::move(options))) {}

TaskSupervisor::~TaskSupervisor() {
  stop();
}

Result<void> TaskSupervisor::start() {
  return state_->read_back();
}

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
  const auto answer =
      state_->controller.run(stop_task->second, {{"cluster", cluster}, {"task", id}, {"reason", reason}});
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

std::size_t TaskSupervisor::followed() const {
  return state_->followed.size();
}

}  // namespace causeway::agent
