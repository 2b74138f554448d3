#pragma once
#include <chrono>
#include <exception>
#include <memory>
#include <utility>

#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>

#include "net/task.h"

namespace causeway::net {

/// Runs both until both have ended; the second in the caller's own coroutine. The caller stays their one owner: what
/// they refer to lives until this returns. Ending one early is the other's business (Connection::interrupt).
inline Task<> join(Executor executor, Task<> first, Task<> second) {
  using Timer = boost::asio::basic_waitable_timer<std::chrono::steady_clock,
                                                  boost::asio::wait_traits<std::chrono::steady_clock>, Executor>;
  struct Shared {
    explicit Shared(Executor e) : wake(e) {}
    Timer wake;
    bool done = false;
    std::exception_ptr failure;
  };
  const auto shared = std::make_shared<Shared>(executor);
  boost::asio::co_spawn(executor, std::move(first), [shared](std::exception_ptr failure) {
    shared->done = true;
    shared->failure = failure;
    shared->wake.cancel();
  });
  std::exception_ptr failure;
  try {
    co_await std::move(second);
  } catch (...) {
    failure = std::current_exception();
  }
  while (!shared->done) {
    boost::system::error_code ignored;
    shared->wake.expires_at(std::chrono::steady_clock::time_point::max());
    co_await shared->wake.async_wait(boost::asio::redirect_error(use_task, ignored));
  }
  if (failure == nullptr) failure = shared->failure;
  if (failure != nullptr) std::rethrow_exception(failure);
}

}  // namespace causeway::net
