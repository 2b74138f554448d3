#include "cli/attached.h"

#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <set>

#include <bpf/bpf.h>
#include <fcntl.h>
#include <fmt/core.h>

#include "base/fd.h"

namespace causeway::cli {
namespace {

struct Hook {
  bpf_attach_type type;
  const char* name;
};
constexpr std::array kHooks{
    Hook{BPF_CGROUP_INET4_CONNECT, "connect4"},
    Hook{BPF_CGROUP_INET6_CONNECT, "connect6"},
    Hook{BPF_CGROUP_UDP4_SENDMSG, "sendmsg4"},
    Hook{BPF_CGROUP_UDP6_SENDMSG, "sendmsg6"},
    Hook{BPF_CGROUP_UDP4_RECVMSG, "recvmsg4"},
    Hook{BPF_CGROUP_UDP6_RECVMSG, "recvmsg6"},
    Hook{BPF_CGROUP_INET4_GETPEERNAME, "getpeername4"},
    Hook{BPF_CGROUP_INET6_GETPEERNAME, "getpeername6"},
    Hook{BPF_CGROUP_INET4_BIND, "bind4"},
    Hook{BPF_CGROUP_INET6_BIND, "bind6"},
    Hook{BPF_CGROUP_GETSOCKOPT, "getsockopt"},
    Hook{BPF_CGROUP_SOCK_OPS, "sock_ops"},
    Hook{BPF_CGROUP_INET_EGRESS, "egress"},
    Hook{BPF_CGROUP_INET_INGRESS, "ingress"},
};
constexpr unsigned kMaxPrograms = 64;  // BPF_CGROUP_MAX_PROGS

/// Ids of the programs whose links are pinned below `root`; the kernel tells them in fdinfo.
std::set<unsigned> pinned_programs(const std::string& root) {
  std::set<unsigned> ids;
  std::error_code error;
  for (std::filesystem::recursive_directory_iterator it(root, error), end; !error && it != end; it.increment(error)) {
    const Fd pin(::bpf_obj_get(it->path().c_str()));
    if (!pin) continue;
    std::ifstream info(fmt::format("/proc/self/fdinfo/{}", pin.get()));
    bool link = false;
    unsigned id = 0;
    for (std::string line; std::getline(info, line);) {
      if (line.starts_with("link_type:")) link = true;
      if (line.starts_with("prog_id:")) id = static_cast<unsigned>(std::strtoul(line.c_str() + 8, nullptr, 10));
    }
    if (link && id != 0) ids.insert(id);
  }
  return ids;
}

std::string program_name(unsigned id) {
  const Fd program(::bpf_prog_get_fd_by_id(id));
  bpf_prog_info info{};
  __u32 size = sizeof info;
  if (!program || ::bpf_obj_get_info_by_fd(program.get(), &info, &size) != 0) return "?";
  return info.name;
}

}  // namespace

Result<std::vector<AttachedProgram>> attached_programs(const std::string& cgroup, const std::string& pin_root) {
  const Fd directory(::open(cgroup.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return errno_error(errno, "open cgroup", cgroup);
  const std::set<unsigned> ours = pinned_programs(pin_root);
  std::vector<AttachedProgram> out;
  for (const Hook& hook : kHooks) {
    std::array<__u32, kMaxPrograms> ids{};
    __u32 count = kMaxPrograms;
    if (::bpf_prog_query(directory.get(), hook.type, 0, nullptr, ids.data(), &count) != 0) {
      if (errno == EPERM) return errno_error(EPERM, "list BPF programs of", cgroup);
      continue;  // a hook that this kernel lacks
    }
    for (__u32 i = 0; i < count && i < kMaxPrograms; ++i) {
      out.push_back({hook.name, program_name(ids[i]), ids[i], ours.contains(ids[i])});
    }
  }
  return out;
}

}  // namespace causeway::cli
