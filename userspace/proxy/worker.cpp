#include "proxy/worker.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <pthread.h>

#include "base/log.h"
#include "proxy/accept.h"

namespace causeway::proxy {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using boost::system::error_code;

namespace {
constexpr auto kSweepInterval = 1s;
constexpr auto kDrainLook = 10ms;
constexpr auto kAbortLook = 1ms;
/// For sessions that were interrupted to end.
constexpr auto kAbortTime = 500ms;
}  // namespace

Worker::Worker(std::size_t index, const feed::ProxySettings& settings, observe::Slab& slab, const OriginLookup& origins,
               std::vector<Fd> listeners)
    : work_(io_.get_executor()),
      context_(io_, index, settings, slab, origins),
      sweep_timer_(io_.get_executor()),
      drain_timer_(io_.get_executor()) {
  for (Fd& listener : listeners) {
    acceptors_.push_back(std::make_unique<net::Acceptor>(io_.get_executor(), std::move(listener),
                                                         [this](Fd socket) { accept(std::move(socket)); }));
  }
}

Worker::~Worker() {
  if (!thread_.joinable()) return;
  asio::post(io_, [this] {
    acceptors_.clear();
    end_connections();
  });
  thread_.join();
}

/// Their coroutines refer to the context, so they must end before it does.
void Worker::end_connections() {
  if (context_.connections == 0) return io_.stop();
  context_.abort();
  drain_timer_.expires_after(kAbortLook);
  drain_timer_.async_wait([this](error_code) { end_connections(); });
}

void Worker::start() {
  sweep_later();
  thread_ = std::thread([this] { run(); });
  ::pthread_setname_np(thread_.native_handle(), "worker");
}

void Worker::run() {
  for (;;) {
    try {
      io_.run();
      return;
    } catch (const std::exception& failure) {
      // Nothing that a stranger sends may end the other connections.
      log::error("a handler of a worker failed: {}", failure.what());
    }
  }
}

void Worker::accept(Fd socket) {
  ++context_.connections;
  asio::co_spawn(io_.get_executor(), serve(context_, std::move(socket)), [this](const std::exception_ptr& failure) {
    --context_.connections;
    if (failure == nullptr) return;
    try {
      std::rethrow_exception(failure);
    } catch (const std::exception& what) {
      log::error("a connection ended: {}", what.what());
    }
  });
}

void Worker::publish(RoutesPtr routes, std::function<void()> applied) {
  asio::post(io_, [this, routes = std::move(routes), applied = std::move(applied)]() mutable {
    context_.apply(std::move(routes));
    if (!std::exchange(accepting_, true)) {
      for (auto& acceptor : acceptors_) acceptor->start();
    }
    applied();
  });
}

void Worker::drain(std::function<void()> drained) {
  asio::post(io_, [this, drained = std::move(drained)]() mutable {
    drained_ = std::move(drained);
    context_.drain();
    // Without a snapshot there is nobody to take them to: what waits stays in the queue for another proxy.
    if (accepting_) {
      for (auto& acceptor : acceptors_) acceptor->stop();
    }
    acceptors_.clear();
    watch_drain(context_.clock.steady() + context_.settings.drain);
  });
}

void Worker::watch_drain(SteadyTime end) {
  const auto now = context_.clock.steady();
  if (context_.connections == 0 || now >= end + kAbortTime) {
    if (auto drained = std::exchange(drained_, {})) drained();
    return;
  }
  if (now >= end) context_.abort();
  drain_timer_.expires_after(kDrainLook);
  drain_timer_.async_wait([this, end](error_code error) {
    if (!error) watch_drain(end);  // not if end_connections() took the timer
  });
}

void Worker::sweep_later() {
  sweep_timer_.expires_after(kSweepInterval);
  sweep_timer_.async_wait([this](error_code error) {
    if (error) return;
    context_.sweep();
    sweep_later();
  });
}

void Worker::ping(std::uint64_t number) {
  asio::post(io_, [this, number] { answered_.store(number, std::memory_order_release); });
}

}  // namespace causeway::proxy
