#pragma once
// From the agent to the proxy over one SOCK_SEQPACKET-like stream pair: first the descriptors (listeners, counters,
// heartbeat map) with SCM_RIGHTS and the settings, then protobuf snapshot deltas, each acknowledged by its revision.
//
// Agent side: Publisher. Proxy side: Receiver. Both live on the executor given to them.
#include <boost/asio/any_io_executor.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/ip.h"
#include "base/result.h"
#include "feed/limits.h"
#include "model/snapshot.h"

namespace causeway::feed {

/// What a proxy gets at its start, beside the first snapshot.
struct ProxySettings {
  unsigned workers = 2;
  std::chrono::milliseconds drain{20000};
  ProxyLimits limits;
};

/// Descriptors handed over at the start.
struct Handover {
  std::vector<Fd> listeners;  ///< workers * families, SO_REUSEPORT; worker w takes every listener i with i % workers == w
  Fd counters;                ///< observe::Slab's memfd
  Fd heartbeat;               ///< kernel::Plane::heartbeat_fd(); may be absent (-1) in tests
  Fd access_log;              ///< the observe::LogWriter's end of its control socket; absent: no access log
};

/// Agent side. One a proxy process; made anew when the proxy is.
class Publisher {
 public:
  /// `socket` is one end of a socketpair(AF_UNIX, SOCK_STREAM). Descriptors are duplicated, the caller keeps its own.
  Publisher(boost::asio::any_io_executor executor, Fd socket);
  ~Publisher();
  Result<void> hand_over(const ProxySettings& settings, const Handover& handover);
  /// Sends the difference to what was sent last (everything the first time). Coalesces while the socket is full.
  void publish(SnapshotPtr snapshot);
  /// Asks the proxy to stop accepting and drain.
  void drain();
  Revision acknowledged() const;  ///< any thread
  void on_acknowledged(std::function<void(Revision)> callback);
  /// The proxy went away or spoke nonsense.
  void on_closed(std::function<void(Error)> callback);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

/// Proxy side.
class Receiver {
 public:
  /// Blocks for the hand-over at most `timeout`.
  static Result<std::pair<ProxySettings, Handover>> receive_handover(int socket, std::chrono::milliseconds timeout);

  Receiver(boost::asio::any_io_executor executor, Fd socket);
  ~Receiver();
  /// Called for each applied delta with the whole new snapshot (aliases, services with endpoints,
  /// clients' names; no DNS, no workloads).
  void on_snapshot(std::function<void(SnapshotPtr)> callback);
  void on_drain(std::function<void()> callback);
  /// The agent went away: the proxy goes on with what it has.
  void on_closed(std::function<void()> callback);
  void start();
  void acknowledge(Revision revision);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace causeway::feed
