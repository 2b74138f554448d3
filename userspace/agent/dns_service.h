#pragma once
// The DNS server on a thread of its own: a slow disk or a burst of API calls must not delay name resolution.
#include <memory>
#include <string>
#include <vector>

#include "base/ip.h"
#include "base/result.h"
#include "dns/server.h"
#include "kernel/plane.h"

namespace causeway::agent {

/// The nameservers of a resolv.conf(5) file, port 53; none where it cannot be read.
std::vector<SocketAddress> resolvers_of(const std::string& path);

/// start() and stop() from one thread; the rest from any.
class DnsService {
 public:
  /// `plane` must outlive this.
  DnsService(kernel::Plane& plane, dns::ServerOptions options);
  ~DnsService();

  /// Opens the sockets and starts the thread, which beats into the plane's heartbeat.
  Result<void> start();
  void stop();
  dns::Server& server();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace causeway::agent
