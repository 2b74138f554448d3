// A connection for the next attempt: an idle one, a new one, or one that another request gives back.
#include <cerrno>

#include <boost/asio/error.hpp>
#include <fmt/core.h>

#include "proxy/http1_session.h"

namespace causeway::proxy {

using boost::system::error_code;

net::Task<Http1Session::Acquired> Http1Session::acquire() {
  ServiceState& state = service();
  reused_ = false;
  sent_ = 0;
  response_begun_ = false;
  last_response_ = false;
  record_.first_byte.reset();
  Choice choice;
  const bool same = std::exchange(fresh_, false) && state.set.may_reuse(target_.id);
  if (same) choice = state.choose_again(target_, slot());
  if (choice.kind != Choice::Kind::dial) {
    choice = {};
    choice.kind = Choice::Kind::full;
    // Those who wait already come first.
    if (state.waiting.empty()) choice = state.choose(tried_, ServiceState::From::pool, slot());
    if (choice.kind == Choice::Kind::full) {
      if (held_ != nullptr) co_return Acquired::exhausted;  // what is at hand is better than to wait
      const Acquired waited = co_await wait_for_connection(choice);
      if (waited != Acquired::ready) co_return waited;
    }
  }
  if (choice.kind == Choice::Kind::none) {
    if (!tried_.empty()) co_return Acquired::exhausted;  // answered with what the last endpoint's failure was
    observe::bump(slot().connections_failed[static_cast<std::size_t>(observe::FailureReason::no_endpoint)]);
    co_return Acquired::no_endpoint;
  }
  if (!same && !tried_.empty()) {
    ++retries_;
    observe::bump(slot().retries);
  }
  target_ = choice.target;
  record_.upstream = target_.address;
  if (choice.kind == Choice::Kind::pooled) {
    upstream_ = std::move(choice.connection);
    reused_ = true;
    reported_ = false;
    co_return Acquired::ready;
  }
  const Acquired connected = co_await connect(std::move(choice.lease));
  co_return connected;
}

net::Task<Http1Session::Acquired> Http1Session::connect(Lease lease) {
  set_waits({.limit = limit_, .watch_client = true});
  Dialled dialled = co_await dial(context(), connector_, down_.service, slot(), target_, std::move(lease), limit_);
  switch (dialled.end) {
    case DialEnd::connected:
      break;
    case DialEnd::interrupted:
      co_return Acquired::interrupted;
    case DialEnd::limited:
      refusal_ = dialled.error.value() == EMFILE || dialled.error.value() == ENFILE
                     ? "this host has no file descriptor left for a connection"
                     : "this host has no memory, or no place in its tables, left for a connection";
      co_return Acquired::refused;
    case DialEnd::failed:
      failure_ = dialled.failure;
      co_return Acquired::failed;
  }
  upstream_ = std::move(dialled.connection);
  reported_ = false;
  co_return Acquired::ready;
}

/// Fills `choice` with anything but `full`, and answers `ready`; or says why not, with `refusal_`. Bounded by the
/// per-request timeout, and by max_pending_requests.
net::Task<Http1Session::Acquired> Http1Session::wait_for_connection(Choice& choice) {
  ServiceState& state = service();
  const ServiceSettings settings = state.settings();
  const Hold pending(state.usage(), &upstream::ServiceUsage::pending, settings.max_pending_requests,
                     slot().requests_pending);
  if (!pending) {
    count_overflow(slot(), observe::Overflow::pending_requests);
    refusal_ = settings.max_pending_requests == 0
                   ? fmt::format("{} has no connection free, and none may wait for one (max_pending_requests is 0)",
                                 service_text())
                   : fmt::format("{} requests wait for a connection to {} already (max_pending_requests)",
                                 settings.max_pending_requests, service_text());
    co_return Acquired::refused;
  }
  SteadyTime limit = limit_;
  if (limit == SteadyTime::max() && settings.per_request_timeout.count() > 0)
    limit = started_ + settings.per_request_timeout;
  set_waits({.limit = limit, .watch_client = true});
  error_code interrupted = client().interrupted();
  {
    ConnectionQueue::Waiter waiter(context().loop, state.waiting);
    waiter_ = &waiter;
    // One may have come free since it was looked for: who gives back now sees this request wait.
    if (!interrupted && state.waiting.is_first(waiter)) {
      choice = state.choose(tried_, ServiceState::From::pool, slot());
    } else {
      // Those ahead may wait for an endpoint that this request need not have: they look, and wake who is behind them.
      state.waiting.wake_first();
    }
    if (choice.kind == Choice::Kind::full) state.ask_others();
    while (choice.kind == Choice::Kind::full && !interrupted) {
      co_await waiter;
      interrupted = client().interrupted();
      if (interrupted) break;
      choice = state.choose(tried_, ServiceState::From::pool, slot());
      // What came free may be of use to another one, who may go elsewhere.
      if (choice.kind == Choice::Kind::full && choice.limit == observe::Overflow::endpoint_connections)
        state.waiting.wake_behind(waiter);
    }
    waiter_ = nullptr;
  }
  // More may have come free than was taken; and a wake that came with an interrupt is not lost.
  state.waiting.wake_first();
  if (!interrupted) co_return Acquired::ready;
  if (interrupted != boost::asio::error::timed_out) co_return Acquired::interrupted;
  count_overflow(slot(), choice.limit);
  refusal_ =
      fmt::format("{}: no connection came free in time, all that {} allows were in use", service_text(),
                  choice.limit == observe::Overflow::connections ? "max_connections" : "max_endpoint_connections");
  co_return Acquired::late;
}

}  // namespace causeway::proxy
