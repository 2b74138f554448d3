#pragma once
// /metrics, /healthz and /readyz on a thread of their own: they answer, with the truth, while the control thread hangs.
#include <memory>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

#include "agent/local_api.h"
#include "agent/proxy_process.h"
#include "base/ip.h"
#include "base/result.h"
#include "dns/server.h"
#include "kernel/plane.h"
#include "model/snapshot.h"
#include "observe/slab.h"
#include "observe/totals.h"

namespace causeway::agent {

/// What the metrics are read from; all outlive the service, and each is read through functions that any thread may call.
struct AdminParts {
  const observe::Slab* slab = nullptr;
  const ProxyProcess* proxy = nullptr;
  const kernel::Plane* plane = nullptr;
  const dns::Server* dns = nullptr;
};

/// Calls on the control thread, whose executor is given: its life is what /healthz tells.
class AdminService {
 public:
  explicit AdminService(boost::asio::any_io_executor control);
  ~AdminService();

  Result<void> listen(const SocketAddress& address);
  void start(const AdminParts& parts);
  void publish(SnapshotPtr snapshot);
  void set_interception_effective(bool effective);
  void stop();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

/// The same counters by service, for `causeway services`.
std::vector<ServiceCounters> service_counters(const observe::PathTotals& paths);

}  // namespace causeway::agent
