#include "kernel/pins.h"

#include <cerrno>
#include <filesystem>
#include <system_error>

#include <bpf/bpf.h>
#include <fmt/format.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "causeway/abi/config.h"
#include "kernel/plane.h"

namespace causeway::kernel {
namespace {

namespace fs = std::filesystem;

constexpr const char* kBpffs = "/sys/fs/bpf";

Result<bool> on_bpffs(const fs::path& path) {
  fs::path existing = path;
  std::error_code ignored;
  while (!fs::exists(existing, ignored) && existing != existing.parent_path()) existing = existing.parent_path();
  struct statfs info {};
  if (::statfs(existing.c_str(), &info) != 0) return errno_error(errno, "statfs", existing.string());
  return info.f_type == BPF_FS_MAGIC;
}

Result<void> make_directory(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) return errno_error(error.value(), "make directory", path);
  return {};
}

/// Every file of a pin directory goes, then the directory.
Result<void> remove_directory(const fs::path& directory, bool are_links, std::vector<std::string>& removed) {
  std::error_code error;
  std::vector<fs::path> files;
  for (const auto& file : fs::directory_iterator(directory, error)) files.push_back(file.path());
  if (error) return errno_error(error.value(), "list", directory.string());
  for (const fs::path& file : files) {
    if (are_links) {
      // Unpinning alone would leave it attached as long as a process that hangs still holds it.
      if (const Fd link(bpf_obj_get(file.c_str())); link) bpf_link_detach(link.get());
    }
    if (const Result<void> gone = unpin(file.string()); !gone) return gone;
    removed.push_back(file.string());
  }
  if (!fs::remove(directory, error) && error) return errno_error(error.value(), "remove", directory.string());
  return {};
}

}  // namespace

std::string links_directory(const std::string& pin_root) {
  return pin_root + "/links";
}

std::string maps_directory(const std::string& pin_root) {
  return fmt::format("{}/maps-{}", pin_root, CW_ABI_VERSION);
}

Result<void> make_pin_directories(const std::string& pin_root) {
  if (Result<void> made = make_directory(links_directory(pin_root)); !made) return made;
  return make_directory(maps_directory(pin_root));
}

Result<Fd> lock_pins(const std::string& pin_root) {
  const std::string path = links_directory(pin_root);
  // Whoever can open it could take the lock, too.
  if (::chmod(path.c_str(), 0700) != 0) return errno_error(errno, "chmod", path);
  Fd directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return errno_error(errno, "open", path);
  if (::flock(directory.get(), LOCK_EX | LOCK_NB) == 0) return directory;
  if (errno != EWOULDBLOCK) return errno_error(errno, "lock", path);
  return make_error("use pin root", pin_root, "another agent runs with it; stop it, or give this one its own paths.pin_root");
}

Result<Fd> open_pin(const std::string& path) {
  const int fd = bpf_obj_get(path.c_str());
  if (fd >= 0) return Fd(fd);
  if (fd == -ENOENT) return Fd();
  return errno_error(-fd, "open pin", path);
}

Result<void> pin(int fd, const std::string& path) {
  if (const int status = bpf_obj_pin(fd, path.c_str()); status < 0) return errno_error(-status, "pin", path);
  return {};
}

Result<void> unpin(const std::string& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return errno_error(errno, "unpin", path);
  return {};
}

void remove_foreign_maps(const std::string& pin_root) {
  std::error_code error;
  std::vector<fs::path> directories;
  for (const auto& entry : fs::directory_iterator(pin_root, error)) directories.push_back(entry.path());
  for (const fs::path& directory : directories) {
    if (!directory.filename().string().starts_with("maps-") || directory == maps_directory(pin_root)) continue;
    std::vector<std::string> removed;
    (void)remove_directory(directory, false, removed);
  }
}

Result<void> ensure_bpffs(const std::string& pin_root) {
  const Result<bool> there = on_bpffs(pin_root);
  if (!there) return there.error();
  if (*there) return {};
  if (pin_root != kBpffs && !pin_root.starts_with(std::string(kBpffs) + "/")) {
    return make_error(
        "use pin root", pin_root,
        "it is not on a bpffs; mount one there (`mount -t bpf bpf DIRECTORY`) or choose a directory under /sys/fs/bpf");
  }
  if (::mount("bpf", kBpffs, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700") != 0) {
    return errno_error(errno, "mount bpffs on", kBpffs);
  }
  return {};
}

Result<std::vector<std::string>> detach(const std::string& pin_root) {
  std::vector<std::string> removed;
  std::error_code error;
  if (!fs::exists(pin_root, error)) return removed;
  const Result<bool> there = on_bpffs(pin_root);
  if (!there) return there.error();
  if (!*there) return make_error("detach", pin_root, "it is not on a bpffs, so nothing of an agent is pinned there");
  // Links first: a program must not meet a map that is gone from its fellows.
  if (fs::exists(links_directory(pin_root), error)) {
    if (const Result<void> gone = remove_directory(links_directory(pin_root), true, removed); !gone)
      return gone.error();
  }
  std::vector<fs::path> directories;
  for (const auto& entry : fs::directory_iterator(pin_root, error)) directories.push_back(entry.path());
  for (const fs::path& directory : directories) {
    if (!directory.filename().string().starts_with("maps-")) continue;
    if (const Result<void> gone = remove_directory(directory, false, removed); !gone) return gone.error();
  }
  // What else somebody keeps there is not ours, and keeps the directory.
  fs::remove(pin_root, error);
  return removed;
}

}  // namespace causeway::kernel
