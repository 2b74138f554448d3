#pragma once
// What the sessions of one worker share: never touched by another thread.
#include <map>
#include <memory>
#include <unordered_map>

#include <boost/intrusive/list.hpp>

#include "base/clock.h"
#include "base/random.h"
#include "feed/feed.h"
#include "net/acceptor.h"
#include "net/buffer.h"
#include "net/event_loop.h"
#include "net/splice.h"
#include "observe/access_log.h"
#include "observe/slab.h"
#include "proxy/admission.h"
#include "proxy/origin_lookup.h"
#include "proxy/routes.h"
#include "proxy/service_state.h"

namespace causeway::proxy {

struct Downstream;

using DownstreamHook = boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;
using DownstreamList = boost::intrusive::list<Downstream, boost::intrusive::base_hook<DownstreamHook>,
                                              boost::intrusive::constant_time_size<false>>;

class Context {
 public:
  Context(net::EventLoop& event_loop, std::size_t worker, const feed::ProxySettings& settings, observe::Slab& slab,
          const OriginLookup& origins, Admission& admission, observe::LogWriter& log_writer,
          std::function<void(ServiceId, Nudge)> nudge_others);
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  /// Follows a newer snapshot: ejections and pools of what stays are kept, connections to what left are ended.
  void apply(RoutesPtr routes);
  const Routes* routes() const { return routes_.get(); }
  /// Null if the snapshot lacks it.
  std::shared_ptr<ServiceState> service(ServiceId id);
  /// As it stands in the access log.
  std::string_view client_name(ClientId client) const;
  observe::Slot& slot(ServiceId service, ClientId client) { return slab_.slot(worker_, service, client); }

  /// Sessions end when they can: HTTP with the response in flight.
  void drain();
  bool draining() const { return draining_; }
  /// Ends the waits of every connection now.
  void abort();
  /// Once a second: idle upstream connections, lines of the access log.
  void sweep();
  /// From another worker.
  void nudged(ServiceId service, Nudge nudge);
  /// Closes half of the idle connections to endpoints: this host lacks descriptors, or ports to that address alone (null:
  /// to any). The number.
  std::size_t shed_idle(const SocketAddress* only);

  using Relief = net::Acceptor::Relief;
  /// Descriptors are scarce: ends something idle. freed: a pooled connection to an endpoint; soon: a client between two
  /// requests, whose descriptor is free after this turn of the loop.
  Relief relieve();

  net::EventLoop& loop;
  const feed::ProxySettings settings;
  const OriginLookup& origins;
  Admission& admission;
  SystemClock clock;
  FastRandom random;
  net::BufferPool buffers;
  net::PipePool pipes;
  DownstreamList downstreams;
  observe::AccessLog access_log;
  std::size_t connections = 0;  ///< clients' connections, also those not yet routed
  std::size_t refusals = 0;     ///< of them, those that are being told so

 private:
  std::size_t worker_;
  observe::Slab& slab_;
  const std::function<void(ServiceId, Nudge)> nudge_others_;
  RoutesPtr routes_;
  std::unordered_map<ServiceId, std::shared_ptr<ServiceState>> services_;  ///< those used since they came
  bool draining_ = false;
};

}  // namespace causeway::proxy
