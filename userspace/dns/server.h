#pragma once
// The DNS server of the agent: answers names of the snapshot, forwards the rest to the resolver that was asked.
#include <atomic>
#include <memory>
#include <optional>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

#include "base/fd.h"
#include "base/ip.h"
#include "base/result.h"
#include "model/snapshot.h"

namespace causeway::dns {

/// Who asks, and whom it meant to ask.
struct Asker {
  NamespaceNumber namespace_number = kEveryNamespace;
  ClientId client = kHostClient;
  std::optional<SocketAddress> resolver;  ///< as dialled; empty: asked us directly
};

/// Tells who is behind a query; the real one asks the kernel part. Called on the server's thread.
class AskerLookup {
 public:
  virtual ~AskerLookup() = default;
  virtual Asker udp(const SocketAddress& peer) = 0;
  virtual Asker tcp(int accepted_fd, const SocketAddress& peer) = 0;
};

struct ServerOptions {
  std::vector<SocketAddress> listen;              ///< UDP and TCP on each
  std::vector<SocketAddress> fallback_resolvers;  ///< for queries that asked us directly: /etc/resolv.conf's
  std::chrono::milliseconds forward_timeout{5000};
};

/// Written by the DNS thread, read by any. A query is counted once, in one of the first seven: `forwarded` when a
/// resolver's answer was relayed, `servfail` when none came.
struct Counters {
  std::atomic<std::uint64_t> answered{0}, nxdomain{0}, nodata{0}, forwarded{0}, servfail{0}, refused{0}, malformed{0};
  std::atomic<std::uint64_t> forward_timeouts{0};  ///< resolvers that did not answer in time
};

/// Single-threaded on its executor, but publish/acknowledged/counters: any thread.
class Server final : public SnapshotSink {
 public:
  Server(boost::asio::any_io_executor executor, AskerLookup& askers, ServerOptions options);
  ~Server() override;

  /// Opens the sockets; call before the executor runs.
  Result<void> start();
  void stop();
  std::vector<SocketAddress> addresses() const;

  void publish(SnapshotPtr snapshot) override;
  Revision acknowledged() const override;
  const Counters& counters() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace causeway::dns
