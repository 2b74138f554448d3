#include "cli/doctor.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/core.h>
#include <linux/magic.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "agent/account.h"
#include "agent/agent_lock.h"
#include "base/fd.h"
#include "cli/attached.h"
#include "cli/client.h"
#include "cli/host_paths.h"
#include "cli/table.h"
#include "kernel/plane.h"

namespace causeway::cli {
namespace {

class Examination {
 public:
  Examination(const agent::Config& config, std::string socket_path)
      : config_(config), socket_(std::move(socket_path)) {}

  std::vector<Check> run() {
    machine();
    const bool root = ::geteuid() == 0;
    if (!root)
      add("privileges", Finding::missing, "not root", "run it as root: the agent needs root, and so does looking");
    agent_runs();
    cgroups(root);
    bpffs();
    if (root) features();
    if (!running_ && root) ports();
    accounts();
    return std::move(checks_);
  }

 private:
  void add(std::string subject, Finding finding, std::string text, std::string remedy = "") {
    checks_.push_back({std::move(subject), finding, std::move(text), std::move(remedy)});
  }

  void machine() {
    utsname name{};
    ::uname(&name);
    add("kernel", Finding::ok, fmt::format("{} {} {}", name.sysname, name.release, name.machine));
  }

  void agent_runs() {
    const auto holder = agent::agent_lock_holder(config_.lock_path());
    if (!holder) return add("agent", Finding::note, holder.error().message());
    running_ = holder->has_value();
    if (!running_)
      return add("agent", Finding::note, "not running", "start it: systemctl start causewayd, or causewayd as root");
    const std::string pid = (*holder)->pid > 0 ? fmt::format(" (pid {})", (*holder)->pid) : "";
    const auto status = Client(socket_, std::chrono::seconds(5)).get("/v1/status");
    if (!status) {
      return add("agent", Finding::missing,
                 fmt::format("runs{}, but does not answer: {}", pid, status.error().message()),
                 "its log may tell why (journalctl -u causewayd)");
    }
    add("agent", Finding::ok, "runs" + pid);
    const auto* effective = status->if_contains("interception_effective");
    if (effective != nullptr && effective->is_bool()) {
      if (effective->get_bool()) {
        add("interception", Finding::ok, "a dial of the canary alias reached the proxy");
      } else {
        add("interception", Finding::missing, "a dial of the canary alias did not reach the proxy",
            "another program on the cgroup may stand in the way (listed here); see the agent's log");
      }
    }
  }

  void cgroups(bool root) {
    const auto paths = host_paths(config_);
    if (!paths) {
      return add("cgroup v2", Finding::missing, paths.error().message(),
                 "mount it: mount -t cgroup2 none /sys/fs/cgroup/unified (the directory must exist), or boot with "
                 "systemd.unified_cgroup_hierarchy=1");
    }
    struct statfs info {};
    if (::statfs(paths->mount.c_str(), &info) != 0 || static_cast<unsigned long>(info.f_type) != CGROUP2_SUPER_MAGIC) {
      return add("cgroup v2", Finding::missing, paths->mount + " is no cgroup v2 mount",
                 "set cgroup.mount, or leave it empty");
    }
    add("cgroup v2", Finding::ok, fmt::format("mounted on {}; the agent's subtree: {}", paths->mount, paths->subtree));
    if (root) programs(paths->attach);
  }

  void programs(const std::string& cgroup) {
    const auto attached = attached_programs(cgroup, config_.paths.pin_root);
    if (!attached) return add("programs", Finding::note, attached.error().message());
    std::string ours, foreign;
    for (const AttachedProgram& program : *attached) {
      std::string& list = program.ours ? ours : foreign;
      list += (list.empty() ? "" : ", ") +
              (program.ours ? program.hook : fmt::format("{} {} (id {})", program.hook, program.name, program.id));
    }
    if (!ours.empty() && !running_) {
      add("programs", Finding::note, fmt::format("attached to {} without an agent: {}", cgroup, ours),
          "start the agent (it takes them over), or remove them: causeway detach");
    } else {
      add("programs", Finding::ok,
          ours.empty() ? fmt::format("none of ours on {}", cgroup) : fmt::format("attached to {}: {}", cgroup, ours));
    }
    if (!foreign.empty()) add("programs", Finding::note, fmt::format("others on {} (left alone): {}", cgroup, foreign));
  }

  void bpffs() {
    // The nearest directory that exists: the agent makes the pin root, and mounts bpffs where none is.
    std::filesystem::path at = config_.paths.pin_root;
    struct statfs info {};
    while (::statfs(at.c_str(), &info) != 0 && at.has_relative_path()) at = at.parent_path();
    if (static_cast<unsigned long>(info.f_type) == BPF_FS_MAGIC)
      return add("bpffs", Finding::ok, fmt::format("holds {}", config_.paths.pin_root));
    add("bpffs", Finding::note,
        fmt::format("{} is not on a bpffs; the agent mounts one at its start", config_.paths.pin_root));
  }

  void features() {
    for (const kernel::Feature& feature : kernel::features()) {
      if (feature.available) {
        add("bpf", Finding::ok, fmt::format("{}: {}", feature.name, feature.enables));
      } else {
        const Finding finding = optional_feature(feature) ? Finding::note : Finding::missing;
        add("bpf", finding, fmt::format("{} is missing ({}): {}", feature.name, feature.detail, feature.enables),
            finding == Finding::missing
                ? "a kernel of 5.15 or later with CONFIG_BPF_SYSCALL, CONFIG_CGROUP_BPF and CONFIG_DEBUG_INFO_BTF"
                : "");
      }
    }
  }

  /// What the agent works without: another error number at refusals, MPTCP sockets left alone.
  static bool optional_feature(const kernel::Feature& feature) {
    return feature.name == "bpf_set_retval in connect" || feature.name.starts_with("MPTCP sockets");
  }

  void ports() {
    struct Wanted {
      const char* key;
      SocketAddress at;
      int type;
    };
    const SocketAddress proxy4{IpAddress::v4(0x7f000001), config_.listen.proxy_port};
    const SocketAddress proxy6{*IpAddress::parse("::1"), config_.listen.proxy_port};
    const Wanted all[] = {
        {"listen.api", config_.listen.api, SOCK_STREAM},   {"listen.admin", config_.listen.admin, SOCK_STREAM},
        {"listen.dns", config_.listen.dns, SOCK_STREAM},   {"listen.dns", config_.listen.dns, SOCK_DGRAM},
        {"listen.dns6", config_.listen.dns6, SOCK_STREAM}, {"listen.dns6", config_.listen.dns6, SOCK_DGRAM},
        {"listen.proxy_port", proxy4, SOCK_STREAM},        {"listen.proxy_port", proxy6, SOCK_STREAM}};
    bool free = true;
    for (const Wanted& wanted : all) {
      const int why = bind_error(wanted.at, wanted.type);
      if (why == 0) continue;
      free = false;
      if (why == EADDRINUSE && std::string_view(wanted.key) == "listen.proxy_port" && proxy_goes_on()) {
        add("ports", Finding::note,
            fmt::format("{} {}: held by the proxy of an agent that was killed", wanted.key, wanted.at.to_string()),
            "start the agent: it takes them over");
        continue;
      }
      const char* protocol = wanted.type == SOCK_STREAM ? "tcp" : "udp";
      add("ports", Finding::missing,
          fmt::format("{} {} ({}): {}", wanted.key, wanted.at.to_string(), protocol, strerrordesc_np(why)),
          why == EADDRINUSE ? fmt::format("see who has it: ss -lp{} 'sport = :{}'; end that, or set {}",
                                          wanted.type == SOCK_STREAM ? "tn" : "un", wanted.at.port, wanted.key)
                            : fmt::format("set {} to an address of this host", wanted.key));
    }
    if (free) add("ports", Finding::ok, "all free");
  }

  /// Without an agent: whether one that was killed has left a proxy.
  bool proxy_goes_on() const {
    const auto paths = host_paths(config_);
    if (!paths) return false;
    int pid = 0;
    return static_cast<bool>(std::ifstream(paths->subtree + "/agent/proxy/cgroup.procs") >> pid);
  }

  /// 0, or why the agent could not listen there.
  static int bind_error(const SocketAddress& at, int type) {
    sockaddr_storage storage{};
    const socklen_t size = at.to(storage);
    const Fd fd(::socket(storage.ss_family, type | SOCK_CLOEXEC, 0));
    if (!fd) return errno;
    const int on = 1;  // as servers do: connections in TIME_WAIT do not count
    if (type == SOCK_STREAM) ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&storage), size) != 0) return errno;
    return type == SOCK_STREAM && ::listen(fd.get(), 1) != 0 ? errno : 0;
  }

  void accounts() {
    const auto account = agent::proxy_account(config_.proxy.user);
    if (!account)
      return add("proxy user", Finding::missing, account.error().message(), "set proxy.user to an account that exists");
    add("proxy user", Finding::ok, fmt::format("{} (uid {})", account->name, account->uid));
  }

  const agent::Config& config_;
  std::string socket_;
  std::vector<Check> checks_;
  bool running_ = false;
};

std::string word(Finding finding) {
  return finding == Finding::ok ? "ok" : finding == Finding::note ? "note" : "MISSING";
}

}  // namespace

std::vector<Check> examine(const agent::Config& config, const std::string& socket_path) {
  return Examination(config, socket_path).run();
}

int verdict(const std::vector<Check>& checks) {
  return std::any_of(checks.begin(), checks.end(), [](const Check& c) { return c.finding == Finding::missing; }) ? 1
                                                                                                                 : 0;
}

std::string doctor_text(const std::vector<Check>& checks, bool colour) {
  std::string out;
  for (const Check& check : checks) {
    const Tone tone = check.finding == Finding::ok     ? Tone::good
                      : check.finding == Finding::note ? Tone::quiet
                                                       : Tone::bad;
    const std::string space(8 - std::min<std::size_t>(7, word(check.finding).size()), ' ');
    out += fmt::format("{}{}{:<13} {}\n", paint(word(check.finding), tone, colour), space, check.subject,
                       printable(check.text));
    if (!check.remedy.empty()) out += fmt::format("{:22}-> {}\n", "", printable(check.remedy));
  }
  const auto missing =
      std::count_if(checks.begin(), checks.end(), [](const Check& c) { return c.finding == Finding::missing; });
  return out + (missing == 0
                    ? "\nNothing that the agent needs is missing.\n"
                    : fmt::format("\n{} of what the agent needs {} missing.\n", missing, missing == 1 ? "is" : "are"));
}

std::string doctor_json(const std::vector<Check>& checks) {
  boost::json::array list;
  for (const Check& check : checks) {
    list.push_back(boost::json::object{{"subject", check.subject},
                                       {"finding", check.finding == Finding::missing ? "missing" : word(check.finding)},
                                       {"text", check.text},
                                       {"remedy", check.remedy}});
  }
  return boost::json::serialize(boost::json::object{{"healthy", verdict(checks) == 0}, {"checks", std::move(list)}}) +
         "\n";
}

}  // namespace causeway::cli
