#pragma once
// One thread's waiting: sockets (edge-triggered epoll, each registered once), deadlines, coroutines to go on with, and
// functions from other threads.
#include <array>
#include <atomic>
#include <coroutine>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <vector>

#include <sys/epoll.h>

#include "base/fd.h"
#include "net/deadline.h"

namespace causeway::net {

class EventLoop;

/// A descriptor that the loop watches. Its owner is not moved while it is watched; it may destroy itself, and others,
/// in on_events().
class Watch {
 public:
  /// EPOLL* bits that are on now.
  virtual void on_events(std::uint32_t events) = 0;

 protected:
  Watch() = default;
  ~Watch() = default;
};

/// All members but post(): on the thread that runs it, or before and after one does.
class EventLoop {
 public:
  /// Throws std::system_error: no descriptor left.
  EventLoop();
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  /// Until stop(), or an exception of a posted function or a watch; it can be run again then, and loses nothing.
  void run();
  /// Ends run() after what is in hand.
  void stop() { stopped_ = true; }
  /// One wait of at most `milliseconds`, and what came up. For tests.
  void run_once(int milliseconds);

  /// Any thread. Functions run in order, later, on the loop's thread.
  void post(std::function<void()> function);

  /// False: errno says why (ENOSPC: fs.epoll.max_user_watches).
  bool watch(int fd, std::uint32_t events, Watch& watch);
  void change(int fd, std::uint32_t events, Watch& watch);
  /// For a descriptor that lives on elsewhere: closing this one would leave it in the kernel's set.
  void unwatch(int fd, const Watch& watch);
  /// Events of `watch` that are at hand are dropped. To be called before the descriptor is closed, which takes it out of
  /// the kernel's set.
  void forget(const Watch& watch);

  /// Resumes it later: never inside the call that asks for it.
  void schedule(std::coroutine_handle<> coroutine) { ready_.push_back(coroutine); }

  /// co_await loop.yield(): the others come first, sockets that became ready meanwhile too.
  struct Yield {
    EventLoop& loop;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> coroutine) const { loop.schedule(coroutine); }
    void await_resume() const noexcept {}
  };
  Yield yield() { return {*this}; }

  DeadlineWheel wheel;

 private:
  static constexpr int kBatch = 128;

  void turn(int milliseconds);
  void dispatch();
  void run_ready();
  void run_posted();

  Fd epoll_;
  Fd wake_;  ///< eventfd
  std::array<epoll_event, kBatch> batch_{};
  int next_ = 0;  ///< of the batch, not dispatched yet
  int count_ = 0;
  bool stopped_ = false;
  std::vector<std::coroutine_handle<>> ready_;
  std::vector<std::coroutine_handle<>> resuming_;
  std::size_t resumed_ = 0;

  std::mutex posting_;
  std::deque<std::function<void()>> posted_;  ///< guarded by posting_
  std::atomic<bool> has_posted_{false};        ///< there are some; written under posting_
};

}  // namespace causeway::net
