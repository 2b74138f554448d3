#pragma once
// Endpoints that get no new connection, kept until those that they had are over. The map beside it outlives the agent.
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <unordered_map>
#include <vector>

#include "kernel/object.h"

namespace causeway::kernel {

/// CLOCK_MONOTONIC, as the programs have it.
using MonotonicTime = std::chrono::nanoseconds;
MonotonicTime monotonic_now();

/// One thread.
class Leaving {
 public:
  explicit Leaving(Map<std::uint32_t, cw_leaving>& map) : map_(map) {}

  /// Begins with what an earlier agent left to do.
  Result<void> adopt();
  /// From now on the endpoint gets no new connection; `drain` until those it has are ended. One that leaves already
  /// keeps its time.
  Result<void> leave(std::uint32_t endpoint, MonotonicTime now, std::chrono::milliseconds drain);
  /// It gets connections again.
  Result<void> stay(std::uint32_t endpoint);
  bool has(std::uint32_t endpoint) const { return entries_.contains(endpoint); }
  std::vector<std::uint32_t> all() const;

  /// It may have got a connection after its time: it is looked at soon, if it leaves and its time is over.
  void recheck(std::uint32_t endpoint, MonotonicTime now);

  /// When the next is to be looked at; none: none leaves.
  std::optional<MonotonicTime> next() const;
  /// Those whose time is over.
  std::vector<std::uint32_t> due(MonotonicTime now) const;
  /// After a look at one that was due. True: it is done with, and forgotten. One that still has connections is looked
  /// at again, less and less often.
  bool looked_at(std::uint32_t endpoint, MonotonicTime now, bool is_idle);

 private:
  struct Entry {
    cw_leaving in_map{};
    MonotonicTime look_at{};
    MonotonicTime pause{};
  };

  Map<std::uint32_t, cw_leaving>& map_;
  std::unordered_map<std::uint32_t, Entry> entries_;
  MonotonicTime looked_{};  ///< at any of them, the last time
};

}  // namespace causeway::kernel
