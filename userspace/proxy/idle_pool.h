#pragma once
// Upstream connections between two requests.
#include <chrono>
#include <memory>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/ip.h"
#include "model/ids.h"
#include "proxy/lease.h"

namespace causeway::proxy {

inline constexpr std::size_t kMaxIdlePerEndpoint = 128;  ///< of one worker
inline constexpr std::chrono::seconds kMaxIdleTime{60};

/// One worker's idle connections to the endpoints of one service. Not thread-safe.
class IdlePool {
 public:
  /// The connection used last on which nothing came since; null if there is none. Others that it meets are closed: the
  /// server ended them, or sent what nobody asked for.
  UpstreamConnection take(EndpointId endpoint, const SocketAddress& address);
  /// The connection carried a whole response and nothing beyond it.
  void put(EndpointId endpoint, const SocketAddress& address, UpstreamConnection connection, SteadyTime now);

  /// Closes those to endpoints (at addresses) that `keep` does not hold for.
  template <class Keep>
  void retain(Keep keep) {
    std::erase_if(endpoints_, [&](const auto& entry) { return !keep(entry.first, entry.second.address); });
  }
  /// One to any endpoint that `may` holds for, as take(); what it belongs to goes into `endpoint` and `address`.
  template <class May>
  UpstreamConnection take_any(May may, EndpointId& endpoint, SocketAddress& address) {
    for (auto& [id, entry] : endpoints_) {
      if (entry.idle.empty() || !may(id, entry.address)) continue;
      endpoint = id;
      address = entry.address;
      if (auto connection = take(id, entry.address)) return connection;
    }
    return nullptr;
  }
  /// Closes the one that is idle for longest. False: there is none.
  bool close_oldest();
  /// Closes the older half of each endpoint's, or of those to one address; the number. With RST: a port that waits in
  /// TIME_WAIT is not free.
  std::size_t close_half(const SocketAddress* only);
  /// Closes those that are idle for too long or were ended by their server.
  void sweep(SteadyTime now);
  /// Closes up to `count`, those that were idle for longest at their endpoint first. How many it closed.
  std::size_t shed(std::size_t count);
  std::size_t size() const;

 private:
  struct Idle {
    UpstreamConnection connection;
    SteadyTime since;
  };
  struct PerEndpoint {
    SocketAddress address;
    std::vector<Idle> idle;  ///< the last is the newest
  };
  std::unordered_map<EndpointId, PerEndpoint> endpoints_;
};

}  // namespace causeway::proxy
