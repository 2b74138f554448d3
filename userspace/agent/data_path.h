#pragma once
// The order in which sinks learn of a new revision: additions reach the data path before the names, removals go the
// other way round. Per revision: DNS forgets what is gone; the proxy learns everything; once it acknowledged, the
// kernel; then DNS learns what is new.
#include <deque>
#include <functional>
#include <utility>
#include <vector>

#include "model/snapshot.h"

namespace causeway::agent {

/// `base` without the names that `allowed` lacks.
SnapshotPtr restrict_names(const SnapshotPtr& base, const SnapshotPtr& allowed);

/// Control thread only.
class DataPath {
 public:
  struct Sinks {
    std::function<void(SnapshotPtr)> proxy;
    std::function<bool()> proxy_alive;
    SnapshotSink* kernel = nullptr;
    SnapshotSink* dns = nullptr;
    std::function<void(Revision)> reached;  ///< every sink acts on everything up to this revision
  };

  explicit DataPath(Sinks sinks) : sinks_(std::move(sinks)) {}

  void publish(SnapshotPtr next);
  void proxy_acknowledged(Revision revision);
  /// What the proxy had not acknowledged goes to the kernel without it.
  void proxy_ended();
  /// Calls `done` once the kernel part acts on `revision`: now, or after a later publish.
  void when_kernel_acts(Revision revision, std::function<void()> done);

 private:
  void advance(const SnapshotPtr& snapshot);

  Sinks sinks_;
  std::vector<std::pair<Revision, std::function<void()>>> kernel_waits_;
  SnapshotPtr named_;                  ///< what DNS answers now
  std::deque<SnapshotPtr> in_flight_;  ///< sent to the proxy, not acknowledged; the last is the newest
};

}  // namespace causeway::agent
