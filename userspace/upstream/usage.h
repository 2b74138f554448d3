#pragma once
// How much of a service's limits is in use: counted over all workers of the process, without a lock.
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "model/snapshot.h"

namespace causeway::upstream {

/// A number of things in use. Any thread.
///
/// Sequentially consistent, so that of a thread that gives back and then looks for waiting ones, and another that
/// begins to wait and then looks for a free one, at least one sees the other.
class UseCount {
 public:
  /// Counts one more, unless `limit` or more are in use. Compared first: a count that goes beyond the limit and back
  /// would make another thread's take() fail beside a free one.
  bool take(std::uint32_t limit) {
    std::uint32_t now = count_.load(std::memory_order_relaxed);
    do {
      if (now >= limit) return false;
    } while (!count_.compare_exchange_weak(now, now + 1));
    return true;
  }
  void give_back() { count_.fetch_sub(1); }
  std::uint32_t value() const { return count_.load(); }

 private:
  std::atomic<std::uint32_t> count_{0};
};

struct EndpointUsage {
  UseCount connections;
};

/// On a cache line of its own: workers write it with every connection.
struct alignas(64) ServiceUsage {
  UseCount connections;  ///< being made, in use, and idle ones
  UseCount pending;      ///< requests that wait for a connection
  UseCount retries;
};

/// The counts of a service as one snapshot has it. Immutable; the counts are not.
struct Usage {
  std::shared_ptr<ServiceUsage> service;
  std::vector<std::shared_ptr<EndpointUsage>> endpoints;  ///< as Service::endpoints
};

using Usages = SharedMap<ServiceId, std::shared_ptr<const Usage>>;

/// Keeps the counts from snapshot to snapshot. One thread.
class UsageRegistry {
 public:
  /// The counts of every service of the snapshot; those of services and endpoints that left are forgotten (whoever
  /// still uses them keeps them).
  Usages follow(const Snapshot& snapshot);

 private:
  decltype(Snapshot::services) services_;  ///< of the last snapshot
  Usages usages_;
};

/// `usage` after the service's endpoints became others: counts of those that stay are kept.
std::shared_ptr<const Usage> follow_endpoints(const Usage& usage, const Service& before, const Service& now);

}  // namespace causeway::upstream
