#pragma once
// cgroup v2 directories as the BPF programs know them: by id and depth.
#include <cstdint>
#include <iosfwd>
#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace causeway::kernel {

/// An existing cgroup v2 directory.
struct Cgroup {
  std::string path;
  Fd fd;
  std::uint64_t id = 0;     ///< as bpf_get_current_cgroup_id() gives it
  std::uint32_t level = 0;  ///< the hierarchy's root is 0, also where a cgroup namespace hides it
};

/// Opens `path`. Errors: it is missing, or not a cgroup v2 directory.
Result<Cgroup> open_cgroup(const std::string& path);

/// The cgroup v2 mount point in a /proc/PID/mountinfo: one that shows the whole hierarchy before a bind mount of a
/// part.
/// "" without one.
std::string cgroup2_mount_in(std::istream& mountinfo);

/// True if `path` is `ancestor` or lies below it.
bool is_below(const std::string& path, const std::string& ancestor);

}  // namespace causeway::kernel
