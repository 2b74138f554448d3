#include "kernel/leaving.h"

#include <algorithm>

#include <time.h>

namespace causeway::kernel {
namespace {

using namespace std::chrono_literals;

/// A connect() that read the rows before they changed is through by then.
constexpr MonotonicTime kSettled = 1s;
constexpr MonotonicTime kLongestPause = 60s;
/// However many late dials: a look walks through the host's sockets.
constexpr MonotonicTime kShortestPause = 100ms;

}  // namespace

MonotonicTime monotonic_now() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

Result<void> Leaving::adopt() {
  auto found = map_.entries();
  if (!found) return found.error();
  entries_.clear();
  for (const auto& [endpoint, entry] : *found) entries_[endpoint] = {entry, MonotonicTime(entry.due_ns), kSettled};
  return {};
}

Result<void> Leaving::leave(std::uint32_t endpoint, MonotonicTime now, std::chrono::milliseconds drain) {
  if (has(endpoint)) return {};
  const MonotonicTime due = now + drain;
  const cw_leaving entry{static_cast<std::uint64_t>(now.count()), static_cast<std::uint64_t>(due.count())};
  entries_[endpoint] = {entry, due, kSettled};
  return map_.put(endpoint, entry);
}

Result<void> Leaving::stay(std::uint32_t endpoint) {
  if (entries_.erase(endpoint) == 0) return {};
  if (const Result<bool> gone = map_.erase(endpoint); !gone) return gone.error();
  return {};
}

std::vector<std::uint32_t> Leaving::all() const {
  std::vector<std::uint32_t> ids;
  ids.reserve(entries_.size());
  for (const auto& [endpoint, entry] : entries_) ids.push_back(endpoint);
  return ids;
}

void Leaving::recheck(std::uint32_t endpoint, MonotonicTime now) {
  const auto found = entries_.find(endpoint);
  if (found == entries_.end() || now < MonotonicTime(found->second.in_map.due_ns)) return;
  MonotonicTime& look_at = found->second.look_at;
  look_at = std::min(look_at, std::max(now, looked_ + kShortestPause));
}

std::optional<MonotonicTime> Leaving::next() const {
  std::optional<MonotonicTime> next;
  for (const auto& [endpoint, entry] : entries_) next = std::min(next.value_or(entry.look_at), entry.look_at);
  return next;
}

std::vector<std::uint32_t> Leaving::due(MonotonicTime now) const {
  std::vector<std::uint32_t> ids;
  for (const auto& [endpoint, entry] : entries_) {
    if (entry.look_at <= now) ids.push_back(endpoint);
  }
  return ids;
}

bool Leaving::looked_at(std::uint32_t endpoint, MonotonicTime now, bool is_idle) {
  const auto found = entries_.find(endpoint);
  if (found == entries_.end()) return false;
  Entry& entry = found->second;
  const MonotonicTime settled = MonotonicTime(entry.in_map.since_ns) + kSettled;
  if (is_idle && now >= settled) return stay(endpoint).has_value();
  entry.look_at = is_idle ? settled : now + entry.pause;
  looked_ = now;
  if (!is_idle) entry.pause = std::min(entry.pause * 2, kLongestPause);
  return false;
}

}  // namespace causeway::kernel
