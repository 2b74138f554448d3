#pragma once
// The thread that writes the access log. Whatever its output does (a full disk, a pipe that nobody reads), only this
// thread waits for it.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/fd.h"
#include "base/result.h"
#include "observe/log_ring.h"
#include "observe/slab.h"

namespace causeway::observe {

/// Gives the output to the writer at the other end of `socket` (one end of a socketpair(AF_UNIX, SOCK_SEQPACKET)), in
/// place of the one it has. `fd` should not block: opened with O_NONBLOCK, or a socket. Does not block itself: a full
/// socket is an Error.
Result<void> send_log_output(int socket, int fd);

class LogWriter {
 public:
  /// `control` brings outputs, now and later; without one, and until one came, lines are dropped. `slab` outlives it;
  /// `workers` is how many have a ring.
  LogWriter(Fd control, std::size_t workers, Slab& slab);
  /// Waits at most kLastTime for an output that takes nothing.
  ~LogWriter();
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;

  static constexpr std::chrono::milliseconds kLastTime{1000};

  LogRing& ring(std::size_t worker) { return *rings_[worker]; }
  /// Starts the thread, if it does not run. One thread calls it.
  void start();
  /// A block was handed over. Any thread; one system call.
  void wake();

 private:
  enum class Wrote : std::uint8_t { some, blocked, failed };

  void run();
  void take_outputs();
  void keep_spare();
  void use(Fd output);
  bool write_blocks();
  bool write_block(LogRing& ring, Counter& unwritten);
  Wrote write_some(std::string_view bytes, std::size_t& written);
  void wait(bool blocked, int timeout_ms);
  void count_left();
  void tell(int error);

  Fd control_;
  Fd wake_;
  Slab& slab_;
  std::vector<std::unique_ptr<LogRing>> rings_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;

  // The thread's own.
  Fd spare_;  ///< for the next output, however many the clients have
  Fd output_;
  bool is_file_ = false;  ///< a regular file: takes any number of bytes at once
  bool is_socket_ = false;
  std::size_t turn_ = 0;    ///< the worker whose block is written
  std::size_t offset_ = 0;  ///< how much of that block is
  std::string torn_;        ///< the rest of a line of which the output took a part before it failed
  SteadyTime told_{};       ///< when a failure was logged last
};

}  // namespace causeway::observe
