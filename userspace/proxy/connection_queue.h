#pragma once
// Requests of one worker that wait for a connection to one service, in the order in which they came.
#include <coroutine>
#include <utility>

#include <boost/intrusive/list.hpp>

#include "net/event_loop.h"

namespace causeway::proxy {

class ConnectionQueue {
  using Hook = boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;

 public:
  /// In the queue while it lives. co_await: until it is woken; it looks then for itself what there is.
  class Waiter : public Hook {
   public:
    Waiter(net::EventLoop& loop, ConnectionQueue& queue) : loop_(loop) { queue.waiters_.push_back(*this); }
    Waiter(const Waiter&) = delete;
    Waiter& operator=(const Waiter&) = delete;

    void wake() {
      if (std::exchange(woken_, true)) return;
      if (waiting_) loop_.schedule(std::exchange(waiting_, {}));
    }

    bool await_ready() const noexcept { return woken_; }
    void await_suspend(std::coroutine_handle<> waiting) noexcept { waiting_ = waiting; }
    void await_resume() noexcept { woken_ = false; }

   private:
    friend class ConnectionQueue;
    net::EventLoop& loop_;
    std::coroutine_handle<> waiting_;
    bool woken_ = false;
  };

  bool empty() const { return waiters_.empty(); }
  std::size_t size() const { return waiters_.size(); }
  bool is_first(const Waiter& waiter) const { return &waiters_.front() == &waiter; }

  /// The first that is not on its way already.
  void wake_first() { wake_from(waiters_.begin()); }
  /// The next one behind `waiter`, to whom what came free was of no use.
  void wake_behind(Waiter& waiter) { wake_from(std::next(waiters_.iterator_to(waiter))); }
  void wake_all() {
    for (Waiter& waiter : waiters_) waiter.wake();
  }

 private:
  using List =
      boost::intrusive::list<Waiter, boost::intrusive::base_hook<Hook>, boost::intrusive::constant_time_size<false>>;
  void wake_from(List::iterator at) {
    while (at != waiters_.end() && at->woken_) ++at;
    if (at != waiters_.end()) at->wake();
  }

  List waiters_;
};

}  // namespace causeway::proxy
