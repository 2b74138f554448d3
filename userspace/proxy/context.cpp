#include "proxy/context.h"

#include <boost/asio/error.hpp>

#include "observe/log_writer.h"
#include "proxy/session.h"

namespace causeway::proxy {

namespace {

/// Clients looked at for one that is idle: a bound on the work for each that connects.
constexpr std::size_t kIdleLook = 256;
/// Descriptors of a client that is served, its own and its endpoint's: with one pooled connection closed for each that
/// connects, idle clients would use up what is kept for endpoints.
constexpr std::size_t kPerClient = 2;

/// The service as it was, without an endpoint: for sessions that outlive it.
std::shared_ptr<const Service> without_endpoints(const Service& service) {
  auto empty = std::make_shared<Service>(service);
  empty->endpoints.clear();
  return empty;
}

void close_unusable(ServiceState& state) {
  state.pool.retain([&](EndpointId id, const SocketAddress& address) {
    const Endpoint* endpoint = state.set.find(id);
    return endpoint != nullptr && endpoint->address == address && state.set.may_reuse(id);
  });
}

}  // namespace

Context::Context(net::EventLoop& event_loop, std::size_t worker, const feed::ProxySettings& proxy_settings,
                 observe::Slab& slab, const OriginLookup& lookup, Admission& who_may, observe::LogWriter& log_writer)
    : loop(event_loop),
      settings(proxy_settings),
      origins(lookup),
      admission(who_may),
      access_log(log_writer.ring(worker), log_writer, slab.worker(worker)),
      worker_(worker),
      slab_(slab) {}

Context::~Context() = default;

void Context::apply(RoutesPtr routes) {
  routes_ = std::move(routes);
  for (auto it = services_.begin(); it != services_.end();) {
    ServiceState& state = *it->second;
    const auto* now = routes_->service(it->first);
    state.changed = now == nullptr || *now != state.set.service();
    if (state.changed) {
      state.set.update(now != nullptr ? *now : without_endpoints(state.service()));
      close_unusable(state);
    }
    ++it;
  }
  for (Downstream& down : downstreams) {
    if (down.service->changed && down.session != nullptr) down.session->on_endpoints_changed();
  }
  for (auto it = services_.begin(); it != services_.end();) {
    it->second->changed = false;
    it = routes_->service(it->first) == nullptr ? services_.erase(it) : std::next(it);
  }
}

std::shared_ptr<ServiceState> Context::service(ServiceId id) {
  if (const auto it = services_.find(id); it != services_.end()) return it->second;
  const auto* service = routes_ != nullptr ? routes_->service(id) : nullptr;
  if (service == nullptr) return nullptr;
  return services_.emplace(id, std::make_shared<ServiceState>(*service, clock, random)).first->second;
}

std::string_view Context::client_name(ClientId client) const {
  if (client == kHostClient) return "host";
  if (routes_ == nullptr) return "unknown";
  const auto& names = routes_->snapshot().clients;
  const auto it = names.find(client);
  return it != names.end() ? std::string_view(it->second) : "unknown";
}

void Context::drain() {
  draining_ = true;
  for (Downstream& down : downstreams) {
    if (down.session != nullptr) down.session->on_drain();
  }
}

void Context::abort() {
  for (Downstream& down : downstreams) {
    if (down.session != nullptr) {
      down.session->interrupt(boost::asio::error::operation_aborted);
    } else {
      down.client.interrupt(boost::asio::error::operation_aborted);
    }
  }
}

Context::Relief Context::relieve() {
  std::size_t closed = 0;
  for (auto it = services_.begin(); it != services_.end() && closed < kPerClient; ++it) {
    closed += it->second->pool.shed(kPerClient - closed);
  }
  if (closed == kPerClient) return Relief::freed;
  // Each that was looked at goes to the end: the next look begins with others, those that came first.
  const Downstream* first = nullptr;
  for (std::size_t looked = 0; looked < kIdleLook && !downstreams.empty(); ++looked) {
    Downstream& down = downstreams.front();
    if (&down == first) break;
    if (first == nullptr) first = &down;
    downstreams.splice(downstreams.end(), downstreams, downstreams.begin());
    if (down.session != nullptr && down.session->end_if_idle()) return Relief::soon;
  }
  return closed > 0 ? Relief::freed : Relief::none;
}

void Context::sweep() {
  const auto now = clock.steady();
  for (auto& [id, state] : services_) state->pool.sweep(now);
  access_log.tick();
}

}  // namespace causeway::proxy
