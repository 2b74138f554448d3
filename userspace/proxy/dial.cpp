#include "proxy/dial.h"

#include <algorithm>
#include <cerrno>

#include <boost/asio/error.hpp>

namespace causeway::proxy {

using boost::system::error_code;
using observe::FailureReason;
using upstream::Failure;

namespace {

bool is_local_limit(const error_code& error) {
  switch (error.value()) {
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
    case ENOSPC:         // fs.epoll.max_user_watches
    case EADDRNOTAVAIL:  // no free local port
    case EAGAIN:
      return true;
    default:
      return false;
  }
}

Failure failure_of(const error_code& error) {
  switch (error.value()) {
    case ETIMEDOUT:
      return Failure::connect_timeout;
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ENETDOWN:
    case EHOSTDOWN:
    case EACCES:
    case EPERM:
      return Failure::unreachable;
    default:
      return Failure::refused;
  }
}

void count(observe::Slot& slot, FailureReason reason) {
  observe::bump(slot.connections_failed[static_cast<std::size_t>(reason)]);
}

}  // namespace

void count_overflow(observe::Slot& slot, observe::Overflow limit) {
  observe::bump(slot.overflows[static_cast<std::size_t>(limit)]);
}

void count_failure(observe::Slot& slot, Failure failure) {
  switch (failure) {
    case Failure::refused:
      return count(slot, FailureReason::refused);
    case Failure::unreachable:
      return count(slot, FailureReason::unreachable);
    case Failure::connect_timeout:
    case Failure::timeout:
      return count(slot, FailureReason::timeout);
    case Failure::reset:
      return count(slot, FailureReason::reset);
    case Failure::bad_response:
      return count(slot, FailureReason::other);
    case Failure::server_error:
    case Failure::unavailable:
    case Failure::given_up:
      return;  // an answer, not a failed connection
    case Failure::no_port:
      return count(slot, FailureReason::limit);
  }
}

std::uint64_t microseconds_since(SteadyTime start) {
  const auto passed = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - start);
  return static_cast<std::uint64_t>(std::max<std::int64_t>(passed.count(), 0));
}

net::Task<Dialled> dial(Context& context, net::Connector& connector, std::shared_ptr<ServiceState> service,
                        observe::Slot& slot, Target target, Lease lease, SteadyTime limit) {
  const auto start = std::chrono::steady_clock::now();
  std::chrono::nanoseconds timeout = service->settings().connect_timeout;
  const bool hurried = limit != SteadyTime::max() && limit - start < timeout;  // by the request's own time
  if (hurried)
    timeout = std::clamp<std::chrono::nanoseconds>(limit - start, std::chrono::nanoseconds(1), timeout);
  net::Connected connected = co_await connector.connect(target.address, timeout);
  if (is_local_limit(connected.error)) {
    const bool no_port = connected.error.value() == EADDRNOTAVAIL;
    const bool no_descriptor = connected.error == boost::system::errc::too_many_files_open;
    const bool freed = context.shed_idle(no_port ? &target.address : nullptr) > 0 ||
                       (no_descriptor && context.relieve() == Context::Relief::freed);
    const auto left = timeout - (std::chrono::steady_clock::now() - start);
    if (freed && left.count() > 0) connected = co_await connector.connect(target.address, left);
  }
  Dialled dialled;
  dialled.error = connected.error;
  const error_code error = connected.error;
  if (connected.connection != nullptr) {
    slot.connect_duration.observe(microseconds_since(start));
    dialled.end = DialEnd::connected;
    dialled.connection = UpstreamConnection(connected.connection.release(), CloseAndRelease{std::move(lease)});
  } else if (error == boost::asio::error::operation_aborted || error == boost::asio::error::connection_aborted) {
    dialled.end = DialEnd::interrupted;
    service->set.report_abandoned(target.id);
  } else if (is_local_limit(error)) {
    const bool other_may = error.value() == EADDRNOTAVAIL;  // ports are taken for each destination
    dialled.end = other_may ? DialEnd::failed : DialEnd::limited;
    dialled.failure = Failure::no_port;
    count(slot, FailureReason::limit);
    service->set.report_abandoned(target.id);
  } else {
    dialled.failure = failure_of(error);
    count_failure(slot, dialled.failure);
    if (hurried && dialled.failure == Failure::connect_timeout) {
      service->set.report_abandoned(target.id);  // it was not given the time that a connect may take
    } else {
      service->report_failure(target.id, slot);
    }
  }
  co_return dialled;
}

}  // namespace causeway::proxy
