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
  /// Whether a descriptor is free again: now, or after this turn of the loop.
  enum class Relief { freed, soon, none };
  /// What to do without descriptors: `relieve` may free some. If it cannot, what waits is taken one by one on a spare
  /// descriptor and goes to `turn_away`, which must close it: left in the queue, those clients would wait for nothing.
  void when_exhausted(std::function<Relief()> relieve, OnAccept turn_away);
  void start();
  /// Accepts what waits in the queue, then closes this descriptor of the listener.
  void stop();

 private:
  enum class Drained { yes, no, later, exhausted };
  Drained accept_burst();
  Drained on_exhausted();
  Drained turn_one_away();
  void on_events(std::uint32_t events) override;
  void on_pause_over();
  void close();

  EventLoop& loop_;
  Fd listener_;
  OnAccept on_accept_;
  std::function<Relief()> relieve_;
  OnAccept turn_away_;
  Fd spare_;  ///< closed for a moment to take a connection that is turned away
  Deadline pause_;
  bool watched_ = false;
  bool warned_ = false;
};

}  // namespace causeway::net
