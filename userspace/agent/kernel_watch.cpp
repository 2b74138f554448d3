#include "agent/kernel_watch.h"

#include <algorithm>

#include <fcntl.h>
#include <fmt/core.h>

#include "base/log.h"

namespace causeway::agent {
namespace {

namespace asio = boost::asio;

/// As the proxy names it.
std::string name_of(const Snapshot& snapshot, ServiceId id, EndpointId endpoint) {
  const auto found = snapshot.services.find(id);
  if (found == snapshot.services.end()) return "an endpoint of a service that left";
  const Service& service = *found->second;
  const auto each = std::find_if(service.endpoints.begin(), service.endpoints.end(),
                                 [endpoint](const Endpoint& one) { return one.id == endpoint; });
  return fmt::format("endpoint {} of service \"{}\" in namespace \"{}\"",
                     each != service.endpoints.end() ? each->address.to_string() : "that left", service.discovery_name,
                     service.namespace_name);
}

}  // namespace

KernelWatch::KernelWatch(asio::io_context& context, kernel::Plane& plane,
                         std::function<void(const SocketAddress&)> on_listen)
    : plane_(plane),
      on_listen_(std::move(on_listen)),
      events_(context, ::fcntl(plane.events_fd(), F_DUPFD_CLOEXEC, 0)),
      timer_(context) {}

void KernelWatch::publish(SnapshotPtr snapshot) {
  newest_ = snapshot;
  plane_.publish(std::move(snapshot));
  wait_for_next_end();
}

void KernelWatch::start() {
  hear();
}

void KernelWatch::stop() {
  stopped_ = true;
  events_.cancel();
  timer_.cancel();
}

void KernelWatch::hear() {
  events_.async_wait(asio::posix::stream_descriptor::wait_read, [this](boost::system::error_code error) {
    if (error || stopped_) return;
    const bool rechecks = plane_.drain_events({[this](const kernel::ListenEvent& event) { on_listen_(event.address); },
                                               [this](const kernel::EjectionEvent& event) { tell(event); }});
    if (rechecks) wait_for_next_end();
    hear();
  });
}

void KernelWatch::tell(const kernel::EjectionEvent& event) const {
  if (!newest_) return;
  const std::string name = name_of(*newest_, event.service, event.endpoint);
  if (event.ejected) {
    log::info("{} keeps failing and is left out for a while", name);
  } else {
    log::info("{} is taken back", name);
  }
}

void KernelWatch::end_connections() {
  const auto ended = plane_.end_connections();
  if (!ended) log::warn("{}", ended.error().message());
  std::size_t connections = 0;
  if (ended) {
    for (const auto& each : *ended) connections += each.count;
  }
  if (connections > 0) {
    log::info("ended {} connections to {} endpoints that left or are unhealthy, and whose drain time is over",
              connections, ended->size());
  }
  wait_for_next_end();
}

void KernelWatch::wait_for_next_end() {
  timer_.cancel();
  const auto next = plane_.next_end();
  if (!next || stopped_) return;
  timer_.expires_at(*next);
  timer_.async_wait([this](boost::system::error_code error) {
    if (!error && !stopped_) end_connections();
  });
}

}  // namespace causeway::agent
