#include "agent/agent_lock.h"

#include <cerrno>
#include <charconv>
#include <filesystem>

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace causeway::agent {
namespace {

constexpr unsigned kAttempts = 10;

int written_pid(int fd) {
  char text[16]{};
  const ssize_t n = ::pread(fd, text, sizeof text - 1, 0);
  int pid = 0;
  if (n > 0) std::from_chars(text, text + n, pid);
  return pid;
}

bool is_file_at(int fd, const std::string& path) {
  struct stat opened {
  }, named{};
  return ::fstat(fd, &opened) == 0 && ::stat(path.c_str(), &named) == 0 && opened.st_ino == named.st_ino &&
         opened.st_dev == named.st_dev;
}

Error held_by_another(int fd, const std::string& path) {
  const int pid = written_pid(fd);
  Error held = make_error("lock", path,
                          fmt::format("another agent{} runs with this run directory; stop it, or give this one its own "
                                      "(paths.run_dir)",
                                      pid > 0 ? fmt::format(" (pid {})", pid) : std::string()));
  held.code = EWOULDBLOCK;
  return held;
}

}  // namespace

void release_agent_lock(Fd lock, const std::string& path) {
  if (lock) ::unlink(path.c_str());
}

Result<Fd> take_agent_lock(const std::string& path) {
  std::error_code made;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), made);
  if (made) return errno_error(made.value(), "make the directory of", path);
  for (unsigned attempt = 0; attempt < kAttempts; ++attempt) {
    Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd) return errno_error(errno, "open", path);
    ::fchmod(fd.get(), 0600);  // whoever can read it could wait for the lock, and keep it
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
      return errno == EWOULDBLOCK ? held_by_another(fd.get(), path) : errno_error(errno, "lock", path);
    }
    if (!is_file_at(fd.get(), path)) continue;  // its holder removed it between our open and our lock
    const std::string pid = fmt::format("{}\n", ::getpid());
    if (::ftruncate(fd.get(), 0) != 0 ||
        ::pwrite(fd.get(), pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
      return errno_error(errno, "write", path);
    }
    return fd;
  }
  return make_error("lock", path, "it is removed again and again; is another agent starting and stopping?");
}

Result<std::optional<LockHolder>> agent_lock_holder(const std::string& path) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd && (errno == ENOENT || errno == ENOTDIR)) return std::optional<LockHolder>();
  if (!fd) return errno_error(errno, "open", path);
  if (::flock(fd.get(), LOCK_SH | LOCK_NB) == 0) return std::optional<LockHolder>();  // let go as fd closes
  if (errno != EWOULDBLOCK) return errno_error(errno, "lock", path);
  return std::optional<LockHolder>(LockHolder{written_pid(fd.get())});
}

}  // namespace causeway::agent
