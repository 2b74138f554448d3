#pragma once
// The workers as one: what the main thread does with them.
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "feed/feed.h"
#include "observe/log_writer.h"
#include "observe/slab.h"
#include "proxy/origin_lookup.h"
#include "proxy/worker.h"

namespace causeway::proxy {

/// On the main thread's io_context; its callbacks run there.
class Proxy {
 public:
  /// Worker w takes every listener i with i % workers == w. `origins` outlives it. `access_log` brings
  /// the log's outputs, see observe::LogWriter.
  static Result<std::unique_ptr<Proxy>> create(boost::asio::io_context& main, const feed::ProxySettings& settings,
                                               std::vector<Fd> listeners, Fd counters, const OriginLookup& origins,
                                               Fd access_log = Fd());
  ~Proxy();

  /// `applied` once every worker acts on it. Revisions grow.
  void publish(SnapshotPtr snapshot, std::function<void(Revision)> applied);
  /// `done` when the last connection has ended, at the latest after the drain time. A second call changes nothing.
  void drain(std::function<void()> done);

  /// True if every worker's event loop turned since the last call (or has not been asked yet).
  bool workers_live();
  std::size_t workers() const { return workers_.size(); }

 private:
  /// How workers reach each other, on the rare occasion that one waits for what another may have.
  class Peers {
   public:
    void begin(const std::vector<std::unique_ptr<Worker>>& workers);
    void end();
    /// Any thread.
    void nudge(std::size_t from, ServiceId service, const Nudge& nudge);

   private:
    std::mutex mutex_;
    std::vector<Worker*> workers_;
  };

  Proxy(boost::asio::io_context& main, observe::Slab slab) : main_(main), slab_(std::move(slab)) {}

  boost::asio::io_context& main_;
  observe::Slab slab_;
  std::unique_ptr<Admission> admission_;
  std::unique_ptr<observe::LogWriter> log_writer_;
  upstream::UsageRegistry usages_;
  RoutesPtr routes_;  ///< the newest
  std::shared_ptr<Peers> peers_ = std::make_shared<Peers>();
  std::vector<std::unique_ptr<Worker>> workers_;
  std::uint64_t pings_ = 0;
  bool draining_ = false;
};

}  // namespace causeway::proxy
