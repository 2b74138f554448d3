#include "proxy/admission.h"

#include <algorithm>
#include <limits>

#include <sys/resource.h>

namespace causeway::proxy {

namespace {

/// Kept for connections to endpoints: a client that was let in must be served.
constexpr std::size_t kReservedShare = 8;
constexpr std::size_t kMinReserved = 32;
constexpr std::size_t kMaxReserved = 8192;
/// A client that is served has its own descriptor and its endpoint's.
constexpr std::size_t kPerServed = 2;
/// Of what is kept, the part that refusals may hold.
constexpr std::size_t kRefusalShare = 4;
constexpr std::size_t kMaxRefusals = 64;

/// The count with one more; nothing at the limit. Not added first and then taken back: that could refuse another client
/// beside a free place.
std::optional<std::uint32_t> take_one(std::atomic<std::uint32_t>& count, std::size_t limit) {
  std::uint32_t now = count.load(std::memory_order_relaxed);
  do {
    if (now >= limit) return std::nullopt;
  } while (!count.compare_exchange_weak(now, now + 1, std::memory_order_relaxed));
  return now + 1;
}

std::size_t reserved(std::size_t limit) {
  return std::min(std::clamp(limit / kReservedShare, kMinReserved, kMaxReserved), limit / 2);
}

}  // namespace

Admission::Admission(const feed::ProxyLimits& limits, std::size_t descriptors, std::size_t workers)
    : limits_(limits), workers_(std::max<std::size_t>(workers, 1)) {
  set_descriptors(descriptors);
}

void Admission::set_descriptors(std::size_t limit) {
  limit = std::min<std::size_t>(limit, std::numeric_limits<int>::max());
  const std::size_t kept = reserved(limit);
  mark_ = static_cast<int>(limit - kept);
  max_connections_ = std::min<std::size_t>(limits_.connections, limit - kept);
  max_served_ = std::min<std::size_t>(limits_.connections, (limit - kept) / kPerServed);
  max_refusals_ = std::clamp<std::size_t>(kept / kRefusalShare / workers_, 1, kMaxRefusals);
}

std::size_t Admission::max_per_workload() const {
  if (limits_.connections_per_workload != 0) return limits_.connections_per_workload;
  return std::max<std::size_t>(max_served_.load(std::memory_order_relaxed) * 3 / 4, 1);
}

Admission::Verdict Admission::enter(ClientId client) {
  const auto total = take_one(total_, limits_.connections);
  if (!total) return {std::nullopt, observe::Bound::connections};
  if (*total > peak_.load(std::memory_order_relaxed)) peak_.store(*total, std::memory_order_relaxed);
  auto& connections = connections_of(client);
  if (!take_one(connections, max_per_workload())) {
    total_.fetch_sub(1, std::memory_order_relaxed);
    return {std::nullopt, observe::Bound::workload};
  }
  return {Place(*this, connections)};
}

Admission::Place::~Place() {
  if (admission_ == nullptr) return;
  workload_->fetch_sub(1, std::memory_order_relaxed);
  admission_->total_.fetch_sub(1, std::memory_order_relaxed);
}

std::atomic<std::uint32_t>& Admission::connections_of(ClientId client) {
  const std::uint64_t key = std::uint64_t{client.value} + 1;
  const std::size_t start = key * 0x9e3779b97f4a7c15ull >> 32;  // Fibonacci hashing: numbers of clients are dense
  for (std::size_t probe = 0; probe < kProbes; ++probe) {
    Workload& workload = workloads_[(start + probe) % kWorkloads];
    std::uint64_t held = workload.key.load(std::memory_order_relaxed);
    // Workers that meet the client at once try the same place: one takes it, the other sees that.
    if (held == 0 && workload.key.compare_exchange_strong(held, key, std::memory_order_relaxed)) held = key;
    if (held == key) return workload.connections;
  }
  return others_;
}

std::size_t descriptor_limit(std::uint32_t configured) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return configured != 0 ? configured : 1024;
  const auto allowed = std::min<rlim_t>(limit.rlim_cur, std::numeric_limits<int>::max());
  return configured == 0 ? allowed : std::min<std::size_t>(allowed, configured);
}

}  // namespace causeway::proxy
