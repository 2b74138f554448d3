#include "kernel/cgroup_level.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>

#include <bpf/bpf.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "kernel/insn.h"

namespace causeway::kernel {
namespace {

constexpr std::uint32_t kDeepest = 64;

/// `args` are (level, cgroup id); returns 1 if this process's ancestor at that level has that id.
Result<Fd> load_comparison() {
  const std::array insns{
      insn::load(BPF_DW, 6, 1, 8),  // r6 = args[1]
      insn::load(BPF_DW, 1, 1, 0),  // r1 = args[0]
      insn::call(BPF_FUNC_get_current_ancestor_cgroup_id),
      insn::move(1, 0),
      insn::set(0, 0),
      insn::jump_not_equal(1, 6, 1),
      insn::set(0, 1),
      insn::exit(),
  };
  const int fd = bpf_prog_load(BPF_PROG_TYPE_RAW_TRACEPOINT, "cw_level", "GPL", insns.data(), insns.size(), nullptr);
  if (fd < 0) return errno_error(-fd, "load", "the program that finds the depth of a cgroup");
  return Fd(fd);
}

/// This process's cgroup v2 path, relative to its cgroup namespace's root.
Result<std::string> own_cgroup() {
  std::ifstream file("/proc/self/cgroup");
  std::string line;
  while (std::getline(file, line)) {
    if (line.starts_with("0::")) return Result<std::string>(boost::system::in_place_value, line.substr(3));
  }
  return make_error("read", "/proc/self/cgroup", "there is no cgroup v2 line (0::)");
}

}  // namespace

Result<std::uint32_t> level_of_mount_root(const std::string& mount_root) {
  const Result<std::string> own = own_cgroup();
  if (!own) return own.error();
  const std::string path = *own == "/" ? mount_root : mount_root + *own;
  struct stat stat {};
  if (own->find("/..") != std::string::npos || ::stat(path.c_str(), &stat) != 0) {
    return make_error("find the depth of cgroup", mount_root, "this process runs in a cgroup outside of it: " + *own);
  }
  const Result<Fd> program = load_comparison();
  if (!program) return program.error();
  const auto below = *own == "/" ? 0u : static_cast<std::uint32_t>(std::count(own->begin(), own->end(), '/'));
  for (std::uint32_t level = 0; level < kDeepest; ++level) {
    std::array<std::uint64_t, 2> args{level, stat.st_ino};
    LIBBPF_OPTS(bpf_test_run_opts, run);
    run.ctx_in = args.data();
    run.ctx_size_in = sizeof args;
    if (const int status = bpf_prog_test_run_opts(program->get(), &run); status < 0) {
      return errno_error(-status, "run", "the program that finds the depth of a cgroup");
    }
    if (run.retval == 1 && level >= below) return level - below;
  }
  return make_error("find the depth of cgroup", path, "the kernel does not know it as an ancestor of this process");
}

}  // namespace causeway::kernel
