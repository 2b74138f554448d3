#pragma once
#include <chrono>
#include <memory>

#include "net/connect.h"
#include "observe/slab.h"
#include "proxy/context.h"
#include "upstream/retry.h"

namespace causeway::proxy {

enum class DialEnd : std::uint8_t {
  connected,
  failed,       ///< the endpoint's failure, reported and counted
  interrupted,  ///< the session ends; nothing was learned about the endpoint, and that is reported
  limited,      ///< this host lacks descriptors or memory, also after idle connections were closed; reported as
                ///< interrupted, counted
};

struct Dialled {
  DialEnd end = DialEnd::failed;
  upstream::Failure failure = upstream::Failure::refused;
  boost::system::error_code error;  ///< what the last try ended with
  UpstreamConnection connection;
};

/// Connects to a picked endpoint; counts into `slot` and reports every end but `connected` to the service's set. Where
/// this host lacks a descriptor or a port, idle connections are closed and it is tried once more; no_port is a failure
/// that another endpoint may not have.
net::Task<Dialled> dial(Context& context, net::Connector& connector, std::shared_ptr<ServiceState> service,
                        observe::Slot& slot, Target target, Lease lease, SteadyTime limit);

void count_overflow(observe::Slot& slot, observe::Overflow limit);
void count_failure(observe::Slot& slot, upstream::Failure failure);
std::uint64_t microseconds_since(SteadyTime start);

}  // namespace causeway::proxy
