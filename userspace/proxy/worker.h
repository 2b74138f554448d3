#pragma once
// One thread with its own event loop, listeners, upstream state and counters. Workers share nothing but the snapshot.
#include <atomic>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include "base/fd.h"
#include "net/acceptor.h"
#include "proxy/context.h"

namespace causeway::proxy {

/// All members: any one thread, but not two at once. Callbacks run on the worker's thread.
class Worker {
 public:
  /// `slab` and `origins` outlive it.
  Worker(std::size_t index, const feed::ProxySettings& settings, observe::Slab& slab, const OriginLookup& origins,
         std::vector<Fd> listeners);
  /// Ends what is left at once.
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  void start();
  /// New connections are accepted from the first snapshot on; until then they wait in the listeners' queues.
  void publish(RoutesPtr routes, std::function<void()> applied);
  /// Accepts what waits, then nothing more; ends what is idle, and after the drain time everything. Once.
  void drain(std::function<void()> drained);

  /// Asks the event loop to store `number`.
  void ping(std::uint64_t number);
  std::uint64_t answered() const { return answered_.load(std::memory_order_acquire); }

 private:
  using Timer = boost::asio::basic_waitable_timer<std::chrono::steady_clock,
                                                  boost::asio::wait_traits<std::chrono::steady_clock>, net::Executor>;
  void run();
  void accept(Fd socket);
  void sweep_later();
  void watch_drain(SteadyTime end);
  void end_connections();

  boost::asio::io_context io_{1};
  boost::asio::executor_work_guard<net::Executor> work_;
  Context context_;
  std::vector<std::unique_ptr<net::Acceptor>> acceptors_;
  Timer sweep_timer_;
  Timer drain_timer_;
  bool accepting_ = false;
  std::function<void()> drained_;
  std::atomic<std::uint64_t> answered_{0};
  std::thread thread_;
};

}  // namespace causeway::proxy
