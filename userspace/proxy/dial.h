#pragma once
#include <chrono>
#include <memory>

#include "net/connect.h"
#include "observe/slab.h"
#include "proxy/context.h"
#include "upstream/retry.h"

namespace causeway::proxy {

/// An endpoint as it was when it was picked: a snapshot may replace it while a connect waits.
struct Target {
  EndpointId id;
  SocketAddress address;
};

enum class DialEnd : std::uint8_t {
  connected,
  failed,       ///< the endpoint's failure, reported and counted
  interrupted,  ///< the session ends; nothing was learned about the endpoint, and that is reported
  limited,      ///< this host lacks descriptors, memory or ports; reported as interrupted
};

struct Dialled {
  DialEnd end = DialEnd::failed;
  upstream::Failure failure = upstream::Failure::refused;
  std::unique_ptr<net::Connection> connection;
};

/// Connects to a picked endpoint; counts into `slot` and reports every end but `connected` to the service's set.
net::Task<Dialled> dial(net::Connector& connector, std::shared_ptr<ServiceState> service,
                        observe::Slot& slot, Target target, SteadyTime limit);

void count_failure(observe::Slot& slot, upstream::Failure failure);
std::uint64_t microseconds_since(SteadyTime start);

}  // namespace causeway::proxy
