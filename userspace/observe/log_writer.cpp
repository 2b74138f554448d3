#include "observe/log_writer.h"

#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/descriptors.h"
#include "base/log.h"
#include "observe/access_line.h"

namespace causeway::observe {
namespace {

using namespace std::chrono_literals;

constexpr auto kTellEvery = 10s;

std::uint64_t count_lines(std::string_view text) {
  return static_cast<std::uint64_t>(std::count(text.begin(), text.end(), '\n'));
}

/// What a pipe takes whole or not at all: lines of at most PIPE_BUF bytes together.
std::string_view whole_lines(std::string_view text) {
  if (text.size() <= kMaxLine) return text;
  const auto end = text.rfind('\n', kMaxLine - 1);
  return text.substr(0, end == std::string_view::npos ? kMaxLine : end + 1);
}

}  // namespace

Result<void> send_log_output(int socket, int fd) {
  auto sent = send_with_descriptors(socket, std::string_view("\0", 1), {&fd, 1});
  if (!sent) return make_error("hand over", "the access log", sent.error().message());
  return {};
}

LogWriter::LogWriter(Fd control, std::size_t workers, Slab& slab)
    : control_(std::move(control)), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), slab_(slab) {
  for (std::size_t i = 0; i < workers; ++i) rings_.push_back(std::make_unique<LogRing>());
  keep_spare();
}

LogWriter::~LogWriter() {
  if (!thread_.joinable()) return;
  stopping_ = true;
  wake();
  thread_.join();
}

void LogWriter::start() {
  if (thread_.joinable()) return;
  // A pipe without a reader and a file at its limit raise signals besides their errors; all signals are others' matter.
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { run(); });
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  ::pthread_setname_np(thread_.native_handle(), "access-log");
}

void LogWriter::wake() {
  const std::uint64_t one = 1;
  (void)!::write(wake_.get(), &one, sizeof one);
}

void LogWriter::run() {
  SteadyTime end = SteadyTime::max();
  for (;;) {
    const bool stopping = stopping_;  // read first: what was handed over before the stop is still written
    take_outputs();
    const bool all = write_blocks();
    if (!stopping) {
      wait(!all, -1);
      continue;
    }
    const auto now = std::chrono::steady_clock::now();
    if (end == SteadyTime::max()) end = now + kLastTime;
    if (all || now >= end) return count_left();
    wait(true, static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(end - now).count()));
  }
}

void LogWriter::take_outputs() {
  while (control_) {
    char byte = 0;
    const ssize_t waiting = ::recv(control_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (waiting < 0 && errno == EINTR) continue;
    if (waiting < 0 && errno == EAGAIN) return;
    if (waiting <= 0) {  // The agent is gone: the log goes on with what it has.
      control_.reset();
      return;
    }
    spare_.reset();  // clients may have all others
    std::vector<Fd> outputs;
    (void)receive_with_descriptors(control_.get(), {&byte, 1}, outputs);
    keep_spare();
    if (outputs.empty()) {
      log::error("the access log was not opened again: the proxy has no file descriptor left; send SIGHUP once more");
    } else {
      use(std::move(outputs.back()));
    }
  }
}

void LogWriter::keep_spare() {
  if (!spare_) spare_ = Fd(::fcntl(wake_.get(), F_DUPFD_CLOEXEC, 0));
}

void LogWriter::use(Fd output) {
  // Nothing can be added to a line that the one before took a part of.
  const auto block = rings_[turn_]->front();
  Counter& unwritten = slab_.worker(turn_).access_log_unwritten;
  if (!torn_.empty()) bump(unwritten);
  torn_.clear();
  if (offset_ > 0 && block[offset_ - 1] != '\n') {
    offset_ = block.find('\n', offset_) + 1;
    bump(unwritten);
  }
  output_ = std::move(output);
  struct stat status {};
  const bool known = ::fstat(output_.get(), &status) == 0;
  is_file_ = known && S_ISREG(status.st_mode);
  is_socket_ = known && S_ISSOCK(status.st_mode);
  told_ = {};
}

/// False: the output takes nothing now.
bool LogWriter::write_blocks() {
  for (std::size_t idle = 0; idle < rings_.size();) {
    LogRing& ring = *rings_[turn_];
    if (ring.front().empty()) {
      ++idle;
    } else {
      if (!write_block(ring, slab_.worker(turn_).access_log_unwritten)) return false;
      ring.pop();
      offset_ = 0;
      idle = 0;
      take_outputs();  // under load there is always another block
    }
    turn_ = (turn_ + 1) % rings_.size();
  }
  return true;
}

/// True: done with the oldest block, written or given up.
bool LogWriter::write_block(LogRing& ring, Counter& unwritten) {
  const std::string_view block = ring.front();
  while (!torn_.empty() || offset_ < block.size()) {
    const bool torn = !torn_.empty();
    const std::string_view rest = torn ? std::string_view(torn_) : block.substr(offset_);
    std::size_t written = 0;
    switch (write_some(is_file_ ? rest : whole_lines(rest), written)) {
      case Wrote::some:
        if (torn) {
          torn_.erase(0, written);
        } else {
          offset_ += written;
        }
        break;
      case Wrote::blocked:
        return false;
      case Wrote::failed: {
        const std::string_view left = block.substr(offset_);
        const bool inside = !torn && offset_ > 0 && block[offset_ - 1] != '\n';
        bump(unwritten, count_lines(left) - (inside ? 1 : 0));
        // Written first once the output works again: the line stays whole.
        if (inside) torn_ = left.substr(0, left.find('\n') + 1);
        return true;
      }
    }
  }
  return true;
}

LogWriter::Wrote LogWriter::write_some(std::string_view bytes, std::size_t& written) {
  for (;;) {
    const ssize_t n = is_socket_ ? ::send(output_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL)
                                 : ::write(output_.get(), bytes.data(), bytes.size());
    if (n > 0) {
      written = static_cast<std::size_t>(n);
      return Wrote::some;
    }
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return Wrote::blocked;
    tell(n < 0 ? errno : ENOSPC);
    return Wrote::failed;
  }
}

void LogWriter::wait(bool blocked, int timeout_ms) {
  pollfd waits[] = {{wake_.get(), POLLIN, 0},
                    {control_.get(), POLLIN, 0},  // -1 is passed over
                    {blocked ? output_.get() : -1, POLLOUT, 0}};
  ::poll(waits, std::size(waits), timeout_ms);
  std::uint64_t ignored;
  (void)!::read(wake_.get(), &ignored, sizeof ignored);
}

void LogWriter::count_left() {
  if (!torn_.empty()) bump(slab_.worker(turn_).access_log_unwritten);
  for (std::size_t i = 0; i < rings_.size(); ++i) {
    LogRing& ring = *rings_[(turn_ + i) % rings_.size()];
    Counter& unwritten = slab_.worker((turn_ + i) % rings_.size()).access_log_unwritten;
    for (; !ring.front().empty(); ring.pop(), offset_ = 0) bump(unwritten, count_lines(ring.front().substr(offset_)));
  }
}

void LogWriter::tell(int error) {
  const auto now = std::chrono::steady_clock::now();
  if (told_ != SteadyTime{} && now - told_ < kTellEvery) return;
  told_ = now;
  if (!output_) return log::warn("write access log: the agent has handed over no file for it; lines are dropped");
  log::warn("{}; lines are dropped until it takes some again", errno_error(error, "write", "access log").message());
}

}  // namespace causeway::observe
