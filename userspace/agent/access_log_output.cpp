#include "agent/access_log_output.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

namespace causeway::agent {
namespace {

using namespace std::chrono_literals;

constexpr auto kTryAgainAfter = 10s;
constexpr int kAppend = O_WRONLY | O_APPEND | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
constexpr mode_t kMode = 0640;

Result<Fd> open_stdout() {
  struct stat status {};
  if (::fstat(STDOUT_FILENO, &status) != 0) return errno_error(errno, "open access log", "stdout");
  // A file's offset must stay shared with whoever else writes to it; a socket cannot be opened again, and is written to
  // with MSG_DONTWAIT.
  const bool shared = S_ISREG(status.st_mode) || S_ISSOCK(status.st_mode);
  Fd fd(shared ? ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3) : ::open("/proc/self/fd/1", kAppend));
  if (!fd) return errno_error(errno, "open access log", "stdout");
  return fd;
}

}  // namespace

Result<Fd> open_access_log(const std::string& path) {
  if (path == "stdout") return open_stdout();
  std::error_code ignored;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), ignored);
  Fd fd(::open(path.c_str(), kAppend | O_CREAT, kMode));
  // A FIFO that nobody reads yet: open for reading too, it fills and is read later (fifo(7)).
  if (!fd && errno == ENXIO) fd = Fd(::open(path.c_str(), (kAppend & ~O_WRONLY) | O_RDWR));
  if (!fd) return errno_error(errno, "open access log", path);
  return fd;
}

void AccessLogOutput::follow(const Snapshot& snapshot) {
  if (wanted_ || path_.empty()) return;
  using Ptr = std::shared_ptr<const Service>;
  for_each_difference(seen_, snapshot.services, [this](ServiceId, const Ptr* /*was*/, const Ptr* is) {
    wanted_ = wanted_ || (is != nullptr && (*is)->access_log.format != AccessLogFormat::off);
  });
  seen_ = snapshot.services;
  if (!wanted_) return;
  seen_.clear();
  open();
}

void AccessLogOutput::reopen() {
  if (wanted_) open();
}

void AccessLogOutput::open() {
  timer_.cancel();
  auto fd = open_access_log(path_);
  if (fd) return give_(std::move(*fd));
  log::error("{}; correct access_log.path, or what is in its way; trying again every {} s", fd.error().message(),
             kTryAgainAfter / 1s);
  timer_.expires_after(kTryAgainAfter);
  timer_.async_wait([this](boost::system::error_code error) {
    if (!error) open();
  });
}

}  // namespace causeway::agent
