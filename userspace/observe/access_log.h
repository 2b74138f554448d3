#pragma once
// The access log as a worker sees it.
#include "observe/access_line.h"
#include "observe/log_ring.h"
#include "observe/slab.h"

namespace causeway::observe {

class LogWriter;

/// Appends lines to the worker's own block. Takes no lock, makes no system call but one a block, and allocates only a
/// block that it did not have yet. One thread.
class AccessLog {
 public:
  /// Both outlive it.
  AccessLog(LogRing& ring, LogWriter& writer, WorkerCounters& counters)
      : ring_(ring), writer_(writer), counters_(counters) {}
  ~AccessLog() { finish(); }
  AccessLog(const AccessLog&) = delete;
  AccessLog& operator=(const AccessLog&) = delete;

  /// Drops and counts the line while the writer has all blocks.
  void write(const AccessRecord& record, const AccessLogSettings& settings);
  /// Called once a second: lines wait no longer than that, and a log that rests gives its memory back.
  void tick();
  /// Hands over what there is.
  void finish();

 private:
  void wake();

  LogRing& ring_;
  LogWriter& writer_;
  WorkerCounters& counters_;
  TimeText time_;
  bool written_ = false;  ///< since the last tick
};

}  // namespace causeway::observe
