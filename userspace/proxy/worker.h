#pragma once
// One thread with its own event loop, listeners, upstream state and counters. Of what workers share,
// nothing takes a lock on a request's way: the snapshot, counts of limits, blocks of the access log.
#include <atomic>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "net/acceptor.h"
#include "net/event_loop.h"
#include "proxy/context.h"
#include "proxy/memory_trim.h"

namespace causeway::proxy {

/// All members: any one thread, but not two at once. Callbacks run on the worker's thread.
class Worker {
 public:
  /// `slab`, `origins`, `admission` and `log_writer` outlive it. `nudge_others` hands a nudge to every other worker.
  Worker(std::size_t index, const feed::ProxySettings& settings, observe::Slab& slab, const OriginLookup& origins,
         Admission& admission, observe::LogWriter& log_writer, std::vector<Fd> listeners,
         std::function<void(ServiceId, Nudge)> nudge_others);
  /// Ends what is left at once.
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  void start();
  /// New connections are accepted from the first snapshot on; until then they wait in the listeners' queues.
  void publish(RoutesPtr routes, std::function<void()> applied);
  /// Accepts what waits, then nothing more; ends what is idle, and after the drain time everything. Once.
  void drain(std::function<void()> drained);

  /// From another worker; any thread.
  void nudge(ServiceId service, Nudge nudge);

  /// Asks the event loop to store `number`.
  void ping(std::uint64_t number);
  std::uint64_t answered() const { return answered_.load(std::memory_order_acquire); }

 private:
  void run();
  void accept(Fd socket);
  void look_at_process();
  void sweep();
  void look_at_drain();
  void end_connections();

  net::EventLoop loop_;
  Context context_;
  const bool is_first_;
  std::vector<std::unique_ptr<net::Acceptor>> acceptors_;
  net::Deadline sweep_timer_;
  net::Deadline drain_timer_;
  net::Deadline end_timer_;
  SteadyTime drain_end_{};
  MemoryTrim memory_trim_;
  bool accepting_ = false;
  std::function<void()> drained_;
  std::atomic<std::uint64_t> answered_{0};
  std::thread thread_;
};

}  // namespace causeway::proxy
