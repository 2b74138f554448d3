#pragma once
// Ends a proxy that hangs: its process lives, but its heartbeat stands still. ProxyProcess then starts another.
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "agent/proxy_process.h"
#include "causeway/abi/heartbeat.h"

namespace causeway::agent {

/// Control thread. `proxy` and `heartbeat` outlive it.
class ProxyWatch {
 public:
  ProxyWatch(boost::asio::any_io_executor executor, const ProxyProcess& proxy, cw_heartbeat* heartbeat);

  void start();
  void stop() { timer_.cancel(); }

 private:
  void look();

  const ProxyProcess& proxy_;
  cw_heartbeat* heartbeat_;
  boost::asio::steady_timer timer_;
  std::uint64_t seen_ = 0;      ///< the beat at the last look
  unsigned standing_ = 0;       ///< looks since it moved
};

}  // namespace causeway::agent
