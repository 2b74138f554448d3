#pragma once
// The agent's own interface on run_dir/agent.sock (mode 0600, root only), for the `causeway` command: JSON, described
// in docs/local-api.md.
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "agent/config.h"
#include "agent/kernel_view.h"
#include "agent/task_supervisor.h"
#include "control/api.h"
#include "model/ids.h"
#include "web/server.h"

namespace causeway::agent {

struct SinkStatus {
  std::string name;  ///< "proxy", "kernel", "dns"
  Revision acknowledged;
};

/// What was counted for one service, over all clients and both paths.
struct ServiceCounters {
  ServiceId service;
  std::uint64_t requests = 0;
  std::uint64_t failed_requests = 0;  ///< 5xx
  std::uint64_t connections_opened = 0;
  std::uint64_t connections_active = 0;
  std::uint64_t connections_failed = 0;
  std::uint64_t retries = 0;
};

/// What only the wiring knows.
struct RuntimeStatus {
  std::chrono::seconds uptime{0};
  std::vector<SinkStatus> sinks;
  int proxy_pid = 0;  ///< 0: not running now
  std::uint64_t proxy_restarts = 0;
  std::optional<bool> interception_effective;  ///< empty: not verified yet
  std::string kernel_error;                    ///< kernel::Plane::last_error(), or ""
  std::string attached_to;                     ///< the cgroup directory
  std::vector<ServiceCounters> services;
};

/// All must outlive the handler.
struct LocalApiSources {
  const Config& config;
  control::Controller& controller;
  TaskSupervisor& supervisor;
  const control::Credentials& credentials;
  std::function<RuntimeStatus()> status;
  /// Calls back once the kernel part acts on the controller's present snapshot (true), or after a few seconds (false).
  /// Left empty, a new task is answered at once.
  std::function<void(std::function<void(bool)>)> when_kernel_acts = {};
  KernelView kernel = {};
};

/// For web::Server::listen_unix(config.socket_path(), 0600). Control thread only.
web::Handler make_local_api(LocalApiSources sources);

}  // namespace causeway::agent
