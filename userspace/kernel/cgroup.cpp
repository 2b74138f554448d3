#include "kernel/cgroup.h"

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "kernel/cgroup_level.h"
#include "kernel/plane.h"

namespace causeway::kernel {
namespace {

constexpr ino_t kHierarchyRootId = 1;

/// A directory is a mount's root where its parent lies on another file system.
Result<std::uint32_t> level_of(const std::string& path) {
  std::filesystem::path here = std::filesystem::path(path).lexically_normal();
  if (!here.has_filename()) here = here.parent_path();
  std::uint32_t depth = 0;
  struct stat now {};
  if (::stat(here.c_str(), &now) != 0) return errno_error(errno, "stat cgroup", path);
  for (;;) {
    const std::filesystem::path parent = here.parent_path();
    struct stat above {};
    if (::stat(parent.c_str(), &above) != 0) return errno_error(errno, "stat cgroup", parent.string());
    if (above.st_dev != now.st_dev || parent == here) break;
    here = parent;
    now = above;
    ++depth;
  }
  if (now.st_ino == kHierarchyRootId) return depth;
  const Result<std::uint32_t> hidden = level_of_mount_root(here.string());
  if (!hidden) return hidden.error();
  return depth + *hidden;
}

/// mountinfo writes space, tab, newline and backslash as \\ooo (proc(5)).
std::string unescape(const std::string& text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::string digits = text[i] == '\\' ? text.substr(i + 1, 3) : "";
    if (digits.size() == 3 && digits.find_first_not_of("01234567") == std::string::npos) {
      plain += static_cast<char>(std::stoi(digits, nullptr, 8));
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

}  // namespace

Result<Cgroup> open_cgroup(const std::string& path) {
  Cgroup cgroup;
  cgroup.path = path;
  cgroup.fd = Fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!cgroup.fd) return errno_error(errno, "open cgroup", path);
  struct statfs fs {};
  struct stat stat {};
  if (::fstatfs(cgroup.fd.get(), &fs) != 0 || ::fstat(cgroup.fd.get(), &stat) != 0) {
    return errno_error(errno, "stat cgroup", path);
  }
  if (fs.f_type != CGROUP2_SUPER_MAGIC) {
    return make_error("open cgroup", path,
                      "it is not a cgroup v2 directory; `causeway doctor` shows where cgroup v2 is mounted");
  }
  cgroup.id = stat.st_ino;  // a cgroup's id is its inode number since Linux 5.5
  const Result<std::uint32_t> level = level_of(path);
  if (!level) return level.error();
  cgroup.level = *level;
  return cgroup;
}

bool is_below(const std::string& path, const std::string& ancestor) {
  const auto relative = std::filesystem::path(path).lexically_normal().lexically_relative(
      std::filesystem::path(ancestor).lexically_normal());
  return !relative.empty() && *relative.begin() != "..";
}

std::string cgroup2_mount_in(std::istream& mountinfo) {
  std::string line, found;
  while (std::getline(mountinfo, line)) {
    // proc(5): ID PARENT MAJOR:MINOR ROOT POINT OPTIONS [TAG...] - TYPE SOURCE OPTIONS
    std::istringstream fields(line);
    std::string skip, root, point, word, type;
    fields >> skip >> skip >> skip >> root >> point >> skip;
    while (fields >> word && word != "-") {
    }
    fields >> type;
    if (type != "cgroup2") continue;
    if (root == "/") return unescape(point);
    if (found.empty()) found = unescape(point);
  }
  return found;
}

Result<std::string> find_cgroup2_mount() {
  std::ifstream mountinfo("/proc/self/mountinfo");
  if (!mountinfo) return errno_error(errno, "open", "/proc/self/mountinfo");
  const std::string found = cgroup2_mount_in(mountinfo);
  if (found.empty()) {
    return make_error("find", "cgroup v2",
                      "it is not mounted; mount it with `mount -t cgroup2 none /sys/fs/cgroup/unified` or boot with "
                      "systemd.unified_cgroup_hierarchy=1");
  }
  return Result<std::string>(boost::system::in_place_value, found);
}

}  // namespace causeway::kernel
