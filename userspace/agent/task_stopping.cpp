// StopTask on this host: deregister, drain, SIGTERM, SIGKILL.
#include <algorithm>

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/task_supervisor_state.h"
#include "base/log.h"

namespace causeway::agent {
namespace {

using namespace std::chrono_literals;

constexpr auto kDrainLook = 100ms;
constexpr unsigned kQuietLooks = 3;  // without a connection end a drain: the data path followed long before

bool signal_pidfd(const Fd& pidfd, int signal) {
  return pidfd && ::syscall(SYS_pidfd_send_signal, pidfd.get(), signal, nullptr, 0) == 0;
}

}  // namespace

void TaskSupervisor::State::begin_stop(const std::string& id) {
  Followed& entry = *followed.at(id);
  if (entry.phase != Phase::running) return;
  const auto deregistered =
      controller.change([&](control::Call& call) { return control::task_deregister(call, entry.cluster, id); });
  if (!deregistered) {
    log::error("task {} cannot be deregistered: {}; trying again", id, deregistered.error().message());
    return;  // recheck() comes back
  }
  entry.phase = Phase::draining;
  entry.drain_until = std::chrono::steady_clock::now() + options.drain.value_or(drain_timeout(id));
  drain_look(id);
}

std::chrono::milliseconds TaskSupervisor::State::drain_timeout(const std::string& id) const {
  std::chrono::milliseconds longest{0};
  for (const auto& [number, service] : controller.snapshot()->services) {
    const auto& endpoints = service->endpoints;
    const bool stands_in =
        std::any_of(endpoints.begin(), endpoints.end(), [&](const Endpoint& each) { return each.instance_id.starts_with(id); });
    if (stands_in) longest = std::max(longest, service->settings.drain_timeout);
  }
  return longest;
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

}  // namespace causeway::agent
