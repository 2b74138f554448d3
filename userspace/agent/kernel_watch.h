#pragma once
// What the agent does for the kernel part while that runs: hears its events, and ends connections to endpoints that
// left once their drain time is over.
#include <functional>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "base/ip.h"
#include "kernel/plane.h"

namespace causeway::agent {

/// The kernel part as a sink of snapshots. Control thread only, but acknowledged(): any.
class KernelWatch final : public SnapshotSink {
 public:
  /// `on_listen`: a port of a task may have begun or stopped listening.
  KernelWatch(boost::asio::io_context& context, kernel::Plane& plane,
              std::function<void(const SocketAddress&)> on_listen);

  void publish(SnapshotPtr snapshot) override;
  Revision acknowledged() const override { return plane_.acknowledged(); }
  /// Begins to hear events.
  void start();
  void stop();

 private:
  void hear();
  void tell(const kernel::EjectionEvent& event) const;
  void end_connections();
  void wait_for_next_end();

  kernel::Plane& plane_;
  std::function<void(const SocketAddress&)> on_listen_;
  boost::asio::posix::stream_descriptor events_;
  boost::asio::steady_timer timer_;
  SnapshotPtr newest_;
  bool stopped_ = false;
};

}  // namespace causeway::agent
