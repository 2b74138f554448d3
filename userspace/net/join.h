#pragma once
#include <coroutine>
#include <exception>
#include <utility>

#include "net/task.h"

namespace causeway::net {

/// Set once, awaited once, by one thread.
class Latch {
 public:
  void set() {
    set_ = true;
    if (waiting_) std::exchange(waiting_, {}).resume();
  }
  bool await_ready() const noexcept { return set_; }
  void await_suspend(std::coroutine_handle<> waiting) noexcept { waiting_ = waiting; }
  void await_resume() const noexcept {}

 private:
  bool set_ = false;
  std::coroutine_handle<> waiting_;
};

/// Runs both until both have ended. The caller stays their one owner: what they refer to lives until this returns.
/// Ending one early is the other's business (Connection::interrupt). The first failure is thrown on.
inline Task<> join(Task<> first, Task<> second) {
  Latch ended;
  std::exception_ptr failure;
  spawn(std::move(first), [&](std::exception_ptr f) {
    failure = std::move(f);
    ended.set();
  });
  std::exception_ptr second_failure;
  try {
    co_await std::move(second);
  } catch (...) {
    second_failure = std::current_exception();
  }
  co_await ended;
  if (failure == nullptr) failure = second_failure;
  if (failure != nullptr) std::rethrow_exception(failure);
}

}  // namespace causeway::net
