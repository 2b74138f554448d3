#include "proxy/worker.h"

#include <malloc.h>
#include <pthread.h>

#include "base/log.h"
#include "proxy/accept.h"

namespace causeway::proxy {

using namespace std::chrono_literals;

namespace {
constexpr auto kSweepInterval = 1s;
constexpr auto kDrainLook = 10ms;
/// For sessions that were interrupted to end.
constexpr auto kAbortTime = 500ms;
}  // namespace

Worker::Worker(std::size_t index, const feed::ProxySettings& settings, observe::Slab& slab, const OriginLookup& origins,
               Admission& admission, observe::LogWriter& log_writer, std::vector<Fd> listeners,
               std::function<void(ServiceId, Nudge)> nudge_others)
    : context_(loop_, index, settings, slab, origins, admission, log_writer, std::move(nudge_others)),
      is_first_(index == 0),
      sweep_timer_(
          loop_.wheel, [](void* self) { static_cast<Worker*>(self)->sweep(); }, this),
      drain_timer_(
          loop_.wheel, [](void* self) { static_cast<Worker*>(self)->look_at_drain(); }, this),
      end_timer_(
          loop_.wheel, [](void* self) { static_cast<Worker*>(self)->end_connections(); }, this) {
  for (Fd& listener : listeners) {
    acceptors_.push_back(
        std::make_unique<net::Acceptor>(loop_, std::move(listener), [this](Fd socket) { accept(std::move(socket)); }));
    acceptors_.back()->when_exhausted([this] { return context_.relieve(); },
                                      [this](Fd socket) { turn_away(context_, std::move(socket)); });
  }
}

Worker::~Worker() {
  if (!thread_.joinable()) return;
  loop_.post([this] {
    acceptors_.clear();
    end_connections();
  });
  thread_.join();
}

/// Their coroutines refer to the context, so they must end before it does.
void Worker::end_connections() {
  if (context_.connections == 0) return loop_.stop();
  context_.abort();
  end_timer_.expires_after(kDrainLook);
}

void Worker::start() {
  sweep();
  thread_ = std::thread([this] { run(); });
  ::pthread_setname_np(thread_.native_handle(), "worker");
}

void Worker::run() {
  for (;;) {
    try {
      loop_.run();
      return;
    } catch (const std::exception& failure) {
      // Nothing that a stranger sends may end the other connections.
      log::error("a handler of a worker failed: {}", failure.what());
    }
  }
}

void Worker::accept(Fd socket) {
  auto session = serve(context_, std::move(socket));
  ++context_.connections;
  net::spawn(std::move(session), [this](const std::exception_ptr& failure) {
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
  loop_.post([this, routes = std::move(routes), applied = std::move(applied)]() mutable {
    context_.apply(std::move(routes));
    if (!std::exchange(accepting_, true)) {
      for (auto& acceptor : acceptors_) acceptor->start();
    }
    applied();
  });
}

void Worker::drain(std::function<void()> drained) {
  loop_.post([this, drained = std::move(drained)]() mutable {
    drained_ = std::move(drained);
    context_.drain();
    // Without a snapshot there is nobody to take them to: what waits stays in the queue for another proxy.
    if (accepting_) {
      for (auto& acceptor : acceptors_) acceptor->stop();
    }
    acceptors_.clear();
    drain_end_ = context_.clock.steady() + context_.settings.drain;
    look_at_drain();
  });
}

void Worker::look_at_drain() {
  const auto now = context_.clock.steady();
  if (context_.connections == 0 || now >= drain_end_ + kAbortTime) {
    if (auto drained = std::exchange(drained_, {})) drained();
    return;
  }
  if (now >= drain_end_) context_.abort();
  drain_timer_.expires_after(kDrainLook);
}

void Worker::sweep() {
  context_.sweep();
  if (is_first_) look_at_process();
  sweep_timer_.expires_after(kSweepInterval);
}

/// What concerns all workers: one of them does it.
void Worker::look_at_process() {
  Admission& admission = context_.admission;
  admission.set_descriptors(descriptor_limit(context_.settings.limits.descriptors));
  if (memory_trim_.due(admission.connections(), admission.take_peak(), context_.clock.steady())) ::malloc_trim(0);
}

void Worker::nudge(ServiceId service, Nudge nudge) {
  loop_.post([this, service, nudge] { context_.nudged(service, nudge); });
}

void Worker::ping(std::uint64_t number) {
  loop_.post([this, number] { answered_.store(number, std::memory_order_release); });
}

}  // namespace causeway::proxy
