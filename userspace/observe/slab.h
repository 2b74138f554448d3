#pragma once
// The proxy's counters in shared memory: written by the proxy's workers without locks, read by the agent, alive
// beyond the proxy's restart. One region a worker, so a slot has one writer.
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>

#include "base/fd.h"
#include "base/result.h"
#include "model/ids.h"

namespace causeway::observe {

/// Upper bounds of the duration histograms, in microseconds; a further bucket takes the rest.
inline constexpr std::array<std::uint32_t, 14> kDurationBoundsUs{100,    250,    500,     1'000,   2'500,     5'000,     10'000,
                                                                 25'000, 50'000, 100'000, 250'000, 1'000'000, 5'000'000, 15'000'000};

enum class FailureReason : std::uint8_t { refused, reset, timeout, no_endpoint, unreachable, limit, other, count };

/// What bounds clients: `[limits]` of the configuration.
enum class Bound : std::uint8_t {
  header_bytes,
  header_fields,
  header_time,
  body_idle,
  connections,  ///< of all clients
  workload,     ///< connections of one workload
  descriptors,
  count
};

/// What a limit of the service refused.
enum class Overflow : std::uint8_t { connections, endpoint_connections, pending_requests, retries, retry_budget, count };

using Counter = std::atomic<std::uint64_t>;

struct Histogram {
  std::array<Counter, kDurationBoundsUs.size() + 1> buckets;
  Counter sum_us;
  /// One observation; single writer.
  void observe(std::uint64_t microseconds);
};

/// What one worker counted for one (service, client). Gauges may be read torn between counters, never within one.
struct Slot {
  std::atomic<std::uint64_t> key;  ///< service_id << 32 | client_id; 0: free
  Counter requests[6];             ///< by status class: [1] 1xx (101) ... [5] 5xx; [0] no status (client gone)
  Histogram request_duration;
  Counter connections_opened;
  Counter connections_active;  ///< gauge: opened less closed
  Counter connections_failed[static_cast<std::size_t>(FailureReason::count)];
  Histogram connect_duration;
  Counter bytes_sent;      ///< from the client to the endpoint
  Counter bytes_received;  ///< from the endpoint to the client
  Counter retries;
  Counter ejections;
  Counter ejection_returns;
  Counter overflows[static_cast<std::size_t>(Overflow::count)];
  Counter bounds_exceeded[static_cast<std::size_t>(Bound::count)];
  // Gauges of the service; only the sum over its clients has a meaning.
  Counter upstream_connections;
  Counter requests_pending;
  Counter retries_active;
  Counter endpoints_ejected;  ///< by the worker's own view
};

/// What one worker counted beside any service.
struct WorkerCounters {
  Counter access_log_lines;
  Counter access_log_dropped;    ///< lines for which no block was free
  Counter access_log_unwritten;  ///< lines that the log's output did not take; the log's writer counts them
};

inline constexpr std::size_t kSlotsPerWorker = 1024;
inline constexpr std::size_t kMaxWorkers = 16;

/// Adds to a counter that only this thread writes (a plain add: no locked instruction).
inline void bump(Counter& counter, std::uint64_t by = 1) {
  counter.store(counter.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
}
inline void drop(Counter& counter, std::uint64_t by = 1) {
  counter.store(counter.load(std::memory_order_relaxed) - by, std::memory_order_relaxed);
}

/// One mapping of the shared counters.
class Slab {
 public:
  /// Makes a sealed memfd for `workers` regions, all zero.
  static Result<Slab> create(std::size_t workers);
  /// Maps one that create() made, e.g. in another process.
  static Result<Slab> open(Fd memfd);
  Slab(Slab&&) noexcept;
  Slab& operator=(Slab&&) noexcept;
  ~Slab();

  int fd() const { return fd_.get(); }
  std::size_t workers() const;
  /// The slot of (service, client) in a worker's region, taken if new. Never fails: when the region is full it is the
  /// region's overflow slot (service 0xffffffff). Only that worker's thread calls it.
  Slot& slot(std::size_t worker, ServiceId service, ClientId client);
  WorkerCounters& worker(std::size_t worker);
  const WorkerCounters& worker(std::size_t worker) const;
  /// Called by a proxy that starts: connections of the one before are gone.
  void reset_gauges();
  /// Every slot in use, of all workers. Any thread.
  void for_each(const std::function<void(ServiceId, ClientId, const Slot&)>& visit) const;

 private:
  Slab(Fd fd, void* base, std::size_t bytes) : fd_(std::move(fd)), base_(base), bytes_(bytes) {}
  Fd fd_;
  void* base_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace causeway::observe
