#pragma once
#include <functional>

#include "base/fd.h"
#include "net/deadline.h"
#include "net/event_loop.h"

namespace causeway::net {

/// Accepts from one listener on one worker. Not thread-safe.
class Acceptor final : private Watch {
 public:
  /// Gets non-blocking, close-on-exec sockets with TCP_NODELAY.
  using OnAccept = std::function<void(Fd)>;

  /// Takes over a listening socket; other processes may hold it, too. `loop` outlives it.
  Acceptor(EventLoop& loop, Fd listener, OnAccept on_accept);
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;
  ~Acceptor();
  void start();
  /// Accepts what waits in the queue, then closes this descriptor of the listener.
  void stop();

 private:
  enum class Drained { yes, no, exhausted };
  Drained accept_burst();
  void on_events(std::uint32_t events) override;
  void on_pause_over();
  void close();

  EventLoop& loop_;
  Fd listener_;
  OnAccept on_accept_;
  Deadline pause_;
  bool watched_ = false;
  bool warned_ = false;
};

}  // namespace causeway::net
