#include "proxy/idle_pool.h"

#include <algorithm>

#include "net/socket_options.h"

namespace causeway::proxy {

UpstreamConnection IdlePool::take(EndpointId endpoint, const SocketAddress& address) {
  const auto it = endpoints_.find(endpoint);
  if (it == endpoints_.end() || it->second.address != address) return nullptr;
  auto& idle = it->second.idle;
  while (!idle.empty()) {
    auto connection = std::move(idle.back().connection);
    idle.pop_back();
    // A byte that came on its own (a late 408, say) would be taken for the answer to the next request.
    if (net::is_quiet(connection->fd())) return connection;
  }
  return nullptr;
}

void IdlePool::put(EndpointId endpoint, const SocketAddress& address, UpstreamConnection connection, SteadyTime now) {
  auto& entry = endpoints_[endpoint];
  if (entry.address != address) entry = PerEndpoint{address, {}};
  if (entry.idle.size() >= kMaxIdlePerEndpoint) return;
  entry.idle.push_back({std::move(connection), now});
}

void IdlePool::sweep(SteadyTime now) {
  for (auto& [id, entry] : endpoints_) {
    std::erase_if(entry.idle, [now](const Idle& idle) {
      return now - idle.since >= kMaxIdleTime || !net::is_quiet(idle.connection->fd());
    });
  }
  std::erase_if(endpoints_, [](const auto& entry) { return entry.second.idle.empty(); });
}

std::size_t IdlePool::shed(std::size_t count) {
  std::size_t closed = 0;
  for (auto it = endpoints_.begin(); it != endpoints_.end() && closed < count; ++it) {
    auto& idle = it->second.idle;
    const std::size_t here = std::min(idle.size(), count - closed);
    idle.erase(idle.begin(), idle.begin() + static_cast<std::ptrdiff_t>(here));
    closed += here;
  }
  return closed;
}

bool IdlePool::close_oldest() {
  PerEndpoint* with_oldest = nullptr;
  for (auto& [id, entry] : endpoints_) {
    if (entry.idle.empty()) continue;
    if (with_oldest == nullptr || entry.idle.front().since < with_oldest->idle.front().since) with_oldest = &entry;
  }
  if (with_oldest == nullptr) return false;
  with_oldest->idle.erase(with_oldest->idle.begin());
  return true;
}

std::size_t IdlePool::close_half(const SocketAddress* only) {
  std::size_t closed = 0;
  for (auto& [id, entry] : endpoints_) {
    if (only != nullptr && entry.address != *only) continue;
    const std::size_t half = (entry.idle.size() + 1) / 2;
    for (std::size_t i = 0; i < half; ++i) entry.idle[i].connection->reset();
    entry.idle.erase(entry.idle.begin(), entry.idle.begin() + static_cast<std::ptrdiff_t>(half));
    closed += half;
  }
  return closed;
}

std::size_t IdlePool::size() const {
  std::size_t sum = 0;
  for (const auto& [id, entry] : endpoints_) sum += entry.idle.size();
  return sum;
}

}  // namespace causeway::proxy
