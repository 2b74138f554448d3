#include "agent/layout.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

#include <fmt/core.h>

#include "base/fd.h"
#include "kernel/plane.h"

namespace causeway::agent {
namespace {

Result<void> make_directory(const std::string& path) {
  if (::mkdir(path.c_str(), 0755) == 0 || errno == EEXIST) return {};
  auto error = errno_error(errno, "make cgroup", path);
  error.cause += "; the agent needs root and a writable cgroup v2 (settings cgroup.mount and cgroup.subtree)";
  return error;
}

Result<void> join(const std::string& cgroup) {
  const auto path = cgroup + "/cgroup.procs";
  const Fd procs(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!procs || ::write(procs.get(), "0", 1) != 1) return errno_error(errno, "enter cgroup", path);
  return {};
}

}  // namespace

Result<Layout> make_layout(const Config& config) {
  Layout layout;
  layout.mount = config.cgroup.mount;
  if (layout.mount.empty()) {
    auto found = kernel::find_cgroup2_mount();
    if (!found) return found.error();
    layout.mount = *found;
  } else if (::access((layout.mount + "/cgroup.procs").c_str(), F_OK) != 0) {
    return make_error("use cgroup mount", layout.mount,
                      "it is no cgroup v2 directory (no cgroup.procs); correct cgroup.mount, or leave it out to have it found");
  }
  layout.attach = config.cgroup.attach.empty() ? layout.mount : config.cgroup.attach;
  layout.subtree = layout.mount + "/" + config.cgroup.subtree;
  layout.agent = layout.subtree + "/agent";
  layout.proxy = layout.agent + "/proxy";
  layout.tasks = layout.subtree + "/tasks";
  // A subtree may be nested ("hosts/a"): its parents are made too.
  std::error_code ignored;
  std::filesystem::create_directories(std::filesystem::path(layout.subtree).parent_path(), ignored);
  for (const auto& path : {layout.subtree, layout.agent, layout.proxy, layout.tasks}) {
    if (auto made = make_directory(path); !made) return made.error();
  }
  if (::access((layout.attach + "/cgroup.procs").c_str(), F_OK) != 0) {
    return make_error("use cgroup", layout.attach, "it is no cgroup v2 directory; correct cgroup.attach, or leave it out for the mount's root");
  }
  return layout;
}

Result<void> enter_agent_cgroup(const Layout& layout) {
  if (auto joined = join(layout.agent); !joined) return joined;
  std::ifstream procs(layout.agent + "/cgroup.procs");
  for (int pid = 0; procs >> pid;) {
    if (pid == ::getpid()) continue;
    (void)join(layout.mount);
    return make_error("use cgroup", layout.agent,
                      fmt::format("another agent (pid {}) runs in it; stop it, or give this one its own cgroup.subtree and "
                                  "paths.pin_root",
                                  pid));
  }
  return {};
}

void leave_layout(const Layout& layout) {
  (void)join(layout.mount);
  for (const auto& path : {layout.proxy, layout.agent, layout.tasks, layout.subtree}) ::rmdir(path.c_str());
}

}  // namespace causeway::agent
