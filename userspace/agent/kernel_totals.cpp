#include "agent/kernel_totals.h"

#include <algorithm>

namespace causeway::agent {
namespace {

using observe::FailureReason;

// The programs' numbers are the registry's.
static_assert(static_cast<int>(FailureReason::refused) == CW_FAILED_REFUSED);
static_assert(static_cast<int>(FailureReason::reset) == CW_FAILED_RESET);
static_assert(static_cast<int>(FailureReason::timeout) == CW_FAILED_TIMEOUT);
static_assert(static_cast<int>(FailureReason::no_endpoint) == CW_FAILED_NO_ENDPOINT);
static_assert(static_cast<int>(FailureReason::unreachable) == CW_FAILED_UNREACHABLE);
static_assert(static_cast<int>(FailureReason::limit) == CW_FAILED_LIMIT);
static_assert(static_cast<int>(FailureReason::other) == CW_FAILED_OTHER);
static_assert(static_cast<int>(FailureReason::count) == CW_FAILED_REASONS);
static_assert(observe::kDurationBoundsUs == std::array<std::uint32_t, CW_DURATION_BUCKETS - 1> CW_DURATION_BOUNDS_US);
static_assert(observe::kRttBoundsUs == std::array<std::uint32_t, CW_RTT_BUCKETS - 1> CW_RTT_BOUNDS_US);
static_assert(observe::kLifetimeBoundsUs == std::array<std::uint32_t, CW_LIFETIME_BUCKETS - 1> CW_LIFETIME_BOUNDS_US);

observe::Totals totals_of(const cw_counters& counted) {
  observe::Totals totals;
  std::copy(std::begin(counted.failed), std::end(counted.failed), totals.connections_failed.begin());
  std::copy(std::begin(counted.connect_buckets), std::end(counted.connect_buckets), totals.connect_buckets.begin());
  totals.connect_sum_us = counted.connect_sum_us;
  std::copy(std::begin(counted.rtt_buckets), std::end(counted.rtt_buckets), totals.rtt_buckets.begin());
  std::copy(std::begin(counted.lifetime_buckets), std::end(counted.lifetime_buckets), totals.lifetime_buckets.begin());
  totals.rtt_sum_us = counted.rtt_sum_us;
  totals.lifetime_sum_us = counted.lifetime_sum_us;
  totals.retransmits = counted.retransmits;
  totals.drained = counted.ended;
  totals.overflows[static_cast<std::size_t>(observe::Overflow::connections)] =
      counted.overflows[CW_OVERFLOW_CONNECTIONS];
  totals.overflows[static_cast<std::size_t>(observe::Overflow::endpoint_connections)] =
      counted.overflows[CW_OVERFLOW_ENDPOINT_CONNECTIONS];
  totals.connections_opened = counted.opened;
  // Read one after another while connections end: for a moment more may seem closed than opened.
  totals.connections_active = counted.opened - std::min(counted.opened, counted.closed);
  totals.ejections = counted.ejections;
  totals.ejection_returns = counted.ejection_returns;
  totals.bytes_sent = counted.bytes_sent;
  totals.bytes_received = counted.bytes_received;
  return totals;
}

}  // namespace

observe::TotalsMap kernel_totals(const kernel::Plane& plane) {
  observe::TotalsMap totals;
  for (const auto& each : plane.path_counters()) totals[{each.service, each.client}] = totals_of(each.counted);
  return totals;
}

}  // namespace causeway::agent
