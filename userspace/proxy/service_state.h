#pragma once
// One worker's view of one service: which endpoint next, its connections, and who waits for one.
#include <functional>
#include <memory>
#include <span>

#include "base/clock.h"
#include "base/random.h"
#include "observe/slab.h"
#include "proxy/connection_queue.h"
#include "proxy/idle_pool.h"
#include "proxy/lease.h"
#include "upstream/set.h"
#include "upstream/usage.h"

namespace causeway::proxy {

/// An endpoint as it was when it was picked: a snapshot may replace it while a connect waits.
struct Target {
  EndpointId id;
  SocketAddress address;
};

/// The way to an endpoint for one attempt.
struct Choice {
  enum class Kind : std::uint8_t {
    pooled,  ///< `connection` is idle and open
    dial,    ///< a connection to `target` may be made: `lease`
    none,    ///< there is no endpoint, or none other
    full,    ///< a limit is reached: `limit`
  };
  Kind kind = Kind::none;
  Target target;
  UpstreamConnection connection;
  Lease lease;
  observe::Overflow limit = observe::Overflow::connections;
};

/// What workers tell each other about a service whose limit is reached.
enum class Nudge : std::uint8_t {
  wanted,  ///< somebody waits for a connection: an idle one may be closed for it
  freed,   ///< one was closed
};

/// Sessions keep it alive when the service leaves the snapshot; the context outlives it. Not thread-safe.
class ServiceState {
 public:
  struct Surroundings {
    const Clock& clock;
    Random& random;
    /// Of the service and no client in particular; made when it is first needed.
    std::function<observe::Slot&()> slot;
    /// To the other workers.
    std::function<void(ServiceId, Nudge)> nudge;
  };
  ServiceState(std::shared_ptr<const Service> service, std::shared_ptr<const upstream::Usage> usage,
               Surroundings surroundings);
  ServiceState(const ServiceState&) = delete;
  ServiceState& operator=(const ServiceState&) = delete;
  ~ServiceState();

  const Service& service() const { return *set.service(); }
  const ServiceSettings& settings() const { return service().settings; }
  const std::shared_ptr<upstream::ServiceUsage>& usage() const { return usage_->service; }

  /// Follows a newer snapshot: idle connections to what left are closed, who waits looks again.
  void update(std::shared_ptr<const Service> service, std::shared_ptr<const upstream::Usage> usage);
  /// The service left the snapshot: sessions go on with it as it was, without an endpoint.
  void leave();

  enum class From : std::uint8_t {
    pool,  ///< an idle connection, or else a new one
    dial,  ///< a new one: HTTP requests went over the idle ones
  };
  /// An endpoint in turn that is not in `tried`, with an idle connection or the right to make one. At a limit an idle
  /// connection to another endpoint is taken rather than none, or closed. `pooled` and `dial` end in a report to `set`.
  Choice choose(std::span<const EndpointId> tried, From from, observe::Slot& slot);
  /// Another connection to the same endpoint.
  Choice choose_again(const Target& target, observe::Slot& slot);
  /// A connection that carried a whole response and nothing beyond it: for who waits, or to the pool.
  void give_back(const Target& target, UpstreamConnection connection);
  /// A connection was closed.
  void connection_freed();
  /// To the other workers: that a request of this one begins to wait.
  void ask_others() const { around_.nudge(service().id, Nudge::wanted); }
  /// From another worker.
  void nudged(Nudge nudge);
  void sweep() { pool.sweep(around_.clock.steady()); }

  // proxy/outcome.cpp: what attempts say about an endpoint, counted.
  void report_failure(EndpointId endpoint, observe::Slot& slot);
  void report_success(EndpointId endpoint, observe::Slot& slot);

  upstream::UpstreamSet set;
  ConnectionQueue waiting;
  bool changed = false;  ///< while a snapshot is applied
  bool left = false;     ///< no snapshot has it any longer: one that comes back is another ServiceState

 private:
  friend class Lease;
  struct Leased {
    Lease lease;
    observe::Overflow limit = observe::Overflow::connections;
  };
  Leased take_lease(EndpointId endpoint, observe::Slot& slot);
  Choice idle_of_another(std::span<const EndpointId> tried);
  void show_ejected();

  Surroundings around_;
  std::shared_ptr<const upstream::Usage> usage_;
  bool others_next_ = false;
  std::size_t shown_ejected_ = 0;

 public:
  IdlePool pool;  ///< last: its connections give their leases back
};

}  // namespace causeway::proxy
