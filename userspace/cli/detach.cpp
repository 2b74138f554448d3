#include "cli/detach.h"

#include <cerrno>
#include <charconv>
#include <fstream>
#include <sstream>

#include <dirent.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/agent_lock.h"
#include "base/fd.h"
#include "cli/host_paths.h"
#include "kernel/plane.h"

namespace causeway::cli {
namespace {

using Clock = std::chrono::steady_clock;

std::string contents(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

bool populated(const std::string& cgroup) {
  return contents(cgroup + "/cgroup.events").find("populated 1") != std::string::npos;
}

/// Waits until no process lives in the cgroup: cgroup.events reports changes as POLLPRI.
bool wait_empty(const std::string& cgroup, std::chrono::milliseconds limit) {
  const Fd events(::open((cgroup + "/cgroup.events").c_str(), O_RDONLY | O_CLOEXEC));
  const auto deadline = Clock::now() + limit;
  while (populated(cgroup)) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return false;
    // The timeout covers a change between the look and the poll.
    pollfd changed{events.get(), POLLPRI, 0};
    ::poll(&changed, 1, static_cast<int>(std::min<long>(left, 200)));
  }
  return true;
}

void end_proxies(const std::string& cgroup, std::chrono::milliseconds drain, Detached& out) {
  std::istringstream pids(contents(cgroup + "/cgroup.procs"));
  bool any = false;
  for (int pid = 0; pids >> pid;) {
    if (pid <= 0 || ::kill(pid, SIGTERM) != 0) continue;
    any = true;
    out.removed.push_back(fmt::format("process {} (a proxy that outlived its agent)", pid));
  }
  if (!any || wait_empty(cgroup, drain)) return;
  std::ofstream(cgroup + "/cgroup.kill") << "1";
  wait_empty(cgroup, std::chrono::seconds(2));
}

void remove_cgroup(const std::string& path, Detached& out) {
  if (::rmdir(path.c_str()) == 0) {
    out.removed.push_back(path);
  } else if (errno != ENOENT) {
    const bool busy = errno == EBUSY || errno == ENOTEMPTY;
    out.kept.push_back(path + (busy ? " (processes live there)" : fmt::format(" ({})", strerrordesc_np(errno))));
  }
}

std::vector<std::string> children(const std::string& path) {
  std::vector<std::string> out;
  DIR* directory = ::opendir(path.c_str());
  if (directory == nullptr) return out;
  while (const dirent* entry = ::readdir(directory)) {
    if (entry->d_type == DT_DIR && entry->d_name[0] != '.') out.push_back(path + "/" + entry->d_name);
  }
  ::closedir(directory);
  return out;
}

}  // namespace

Result<Detached> detach(const agent::Config& config, bool force, std::chrono::milliseconds drain) {
  if (::geteuid() != 0) return make_error("detach", "", "only root may remove BPF programs and cgroups; try sudo");
  const auto holder = agent::agent_lock_holder(config.lock_path());
  if (!holder) return holder.error();
  if (*holder && !force) {
    return make_error(
        "detach", config.paths.run_dir,
        fmt::format("the agent runs{}; stop it (it then detaches by itself), or take its programs away from it "
                    "with --force",
                    (*holder)->pid > 0 ? fmt::format(" (pid {})", (*holder)->pid) : std::string()));
  }
  Fd lock;  // keeps an agent from starting meanwhile
  if (!*holder && ::access(config.paths.run_dir.c_str(), F_OK) == 0) {
    auto taken = agent::take_agent_lock(config.lock_path());
    if (!taken) return taken.error();
    lock = std::move(*taken);
  }
  Detached out;
  const auto pins = kernel::detach(config.paths.pin_root);
  if (!pins) return pins.error();
  out.removed = *pins;
  if (*holder) return out;  // its cgroups are in use

  const auto paths = host_paths(config);
  if (!paths) return paths.error();
  end_proxies(paths->subtree + "/agent/proxy", drain, out);
  for (const std::string& task : children(paths->subtree + "/tasks")) remove_cgroup(task, out);
  const std::vector<std::string> own{"/agent/proxy", "/agent", "/tasks", ""};
  for (const std::string& name : own) {
    const bool holds_kept = (name == "/tasks" || name.empty()) && !out.kept.empty();
    if (!holds_kept) remove_cgroup(paths->subtree + name, out);
  }
  if (::unlink(config.socket_path().c_str()) == 0) out.removed.push_back(config.socket_path());
  const std::string jail = config.paths.run_dir + "/empty";  // the proxy's root directory
  if (::rmdir(jail.c_str()) == 0) out.removed.push_back(jail);
  agent::release_agent_lock(std::move(lock), config.lock_path());
  return out;
}

}  // namespace causeway::cli
