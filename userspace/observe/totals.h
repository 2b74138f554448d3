#pragma once
// The shared counters added up over the workers, with names instead of numbers.
#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>

#include "model/snapshot.h"
#include "observe/exposition.h"
#include "observe/slab.h"

namespace causeway::observe {

inline constexpr std::array<std::uint32_t, 13> kRttBoundsUs{50,     100,    250,    500,     1'000,   2'500,    5'000,
                                                           10'000, 25'000, 50'000, 100'000, 250'000, 1'000'000};
inline constexpr std::array<std::uint32_t, 8> kLifetimeBoundsUs{
    1'000, 10'000, 100'000, 1'000'000, 10'000'000, 60'000'000, 600'000'000, 3'600'000'000};

/// What was counted for one (service, client), over all workers.
struct Totals {
  std::array<std::uint64_t, 6> requests{};  ///< by status class, [0] without
  std::array<std::uint64_t, kDurationBoundsUs.size() + 1> request_buckets{};
  std::array<std::uint64_t, kDurationBoundsUs.size() + 1> connect_buckets{};
  std::array<std::uint64_t, static_cast<std::size_t>(FailureReason::count)> connections_failed{};
  std::array<std::uint64_t, static_cast<std::size_t>(Bound::count)> bounds_exceeded{};
  std::uint64_t request_sum_us = 0, connect_sum_us = 0;
  std::uint64_t connections_opened = 0, connections_active = 0;
  std::uint64_t bytes_sent = 0, bytes_received = 0, retries = 0, ejections = 0, ejection_returns = 0;
  std::array<std::uint64_t, static_cast<std::size_t>(Overflow::count)> overflows{};
  /// Of the kernel path alone.
  std::array<std::uint64_t, kRttBoundsUs.size() + 1> rtt_buckets{};
  std::array<std::uint64_t, kLifetimeBoundsUs.size() + 1> lifetime_buckets{};
  std::uint64_t rtt_sum_us = 0, lifetime_sum_us = 0, retransmits = 0, drained = 0;
  std::uint64_t upstream_connections = 0, requests_pending = 0, retries_active = 0, endpoints_ejected = 0;

  void add(const Slot& slot);
};

using TotalsMap = std::map<std::pair<ServiceId, ClientId>, Totals>;
TotalsMap add_up(const Slab& slab);

/// Names of clients, remembered beyond the end of their last task: their counters go on.
class ClientNames {
 public:
  void learn(const Snapshot& snapshot);
  /// "host", the ECS service's name, or "unknown".
  std::string_view of(ClientId client) const;

 private:
  std::map<ClientId, std::string> names_;
};

/// Series of at most this many (service, client) pairs; what is beyond goes into one named "other".
inline constexpr std::size_t kMaxPairs = 1024;

/// What was counted where. Of the kernel path there are connections and bytes alone.
struct PathTotals {
  TotalsMap proxy, kernel;
};

/// Adds requests, connections, bytes, retries, ejections, and what of the services' limits is in use. Services that `snapshot` lacks are left out.
void expose_totals(Exposition& out, const PathTotals& totals, const Snapshot& snapshot, const ClientNames& clients);
/// Adds how many endpoints of each service on the kernel path are left out there.
void expose_ejected(Exposition& out, const Snapshot& snapshot, const std::function<bool(EndpointId)>& is_ejected);
/// Adds what of the services' limits is in use on the kernel path.
void expose_kernel_usage(Exposition& out, const Snapshot& snapshot,
                         const std::function<std::int64_t(ServiceId)>& active);
/// Adds the access log's lines, written and dropped.
void expose_access_log(Exposition& out, const Slab& slab);
/// Adds the endpoints by health, zeros included, so that a service without any is seen.
void expose_endpoints(Exposition& out, const Snapshot& snapshot);

}  // namespace causeway::observe
