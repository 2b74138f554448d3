#pragma once
// Weighted round robin, an endpoint a request.
#include <cstdint>
#include <span>
#include <vector>

#include "base/random.h"
#include "model/ids.h"
#include "model/snapshot.h"

namespace causeway::upstream {

/// Which endpoints of a service may be chosen at all, before ejection:
/// the healthy ones; if there is none, every `unhealthy` one (as Cloud Map's HEALTHY_OR_ELSE_ALL: a wrong health check
/// must not take a service down); never `starting` (nothing listens) nor `draining` ones.
std::vector<const Endpoint*> candidates(const Service& service);

/// Round robin over a fixed schedule. Picking is O(1) unless endpoints are skipped. Not thread-safe.
class RoundRobin {
 public:
  /// `random` chooses where to begin, so that many workers do not all begin at the same endpoint.
  explicit RoundRobin(Random& random) : random_(random) {}

  /// Replaces the endpoints (ordered by id), and goes on behind the one that was picked last: nobody is passed over or
  /// served twice because another endpoint came or went.
  void assign(const std::vector<const Endpoint*>& endpoints);
  bool empty() const { return schedule_.empty(); }

  /// The next endpoint that is not in `tried`, or nullptr. Valid until what assign() was given is gone.
  const Endpoint* pick(std::span<const EndpointId> tried);

 private:
  Random& random_;
  std::vector<const Endpoint*>
      schedule_;  ///< an endpoint of weight w stands here w times (weights reduced), evenly spread
  std::size_t next_ = 0;
  EndpointId last_{};
  bool begun_ = false;
  bool weighted_ = false;
};

}  // namespace causeway::upstream
