#pragma once
#include <chrono>
#include <functional>
#include <memory>

#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>

#include "base/fd.h"
#include "net/task.h"

namespace causeway::net {

/// Accepts from one listener on one worker. Not thread-safe.
class Acceptor {
 public:
  /// Gets non-blocking, close-on-exec sockets with TCP_NODELAY.
  using OnAccept = std::function<void(Fd)>;

  /// Takes over a listening socket; other processes may hold it, too.
  Acceptor(Executor executor, Fd listener, OnAccept on_accept);
  ~Acceptor();
  void start();
  /// Accepts what waits in the queue, then closes this descriptor of the listener.
  void stop();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace causeway::net
