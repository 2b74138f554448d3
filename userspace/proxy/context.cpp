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

}  // namespace

Context::Context(net::EventLoop& event_loop, std::size_t worker, const feed::ProxySettings& proxy_settings,
                 observe::Slab& slab, const OriginLookup& lookup, Admission& who_may, observe::LogWriter& log_writer,
                 std::function<void(ServiceId, const Nudge&)> nudge_others)
    : loop(event_loop),
      settings(proxy_settings),
      origins(lookup),
      admission(who_may),
      access_log(log_writer.ring(worker), log_writer, slab.worker(worker)),
      worker_(worker),
      slab_(slab),
      nudge_others_(std::move(nudge_others)) {}

Context::~Context() = default;

void Context::apply(RoutesPtr routes) {
  using Ptr = std::shared_ptr<const Service>;
  static const decltype(Snapshot::services) kNone;
  const RoutesPtr before = std::exchange(routes_, std::move(routes));
  // A state is that of the routes that were in force.
  std::vector<std::shared_ptr<ServiceState>> changed;
  for_each_difference(before ? before->snapshot().services : kNone, routes_->snapshot().services,
                      [&](ServiceId id, const Ptr* /*was*/, const Ptr* /*is*/) {
                        if (const auto it = services_.find(id); it != services_.end()) changed.push_back(it->second);
                      });
  if (changed.empty()) return;
  for (const auto& state : changed) {
    const ServiceId id = state->service().id;
    state->changed = true;
    if (const auto* now = routes_->service(id)) {
      state->update(*now, routes_->usage(id));
    } else {
      state->leave();
    }
  }
  for (Downstream& down : downstreams) {
    if (down.service->changed && down.session != nullptr) down.session->on_endpoints_changed();
  }
  for (const auto& state : changed) {
    state->changed = false;
    if (state->left) services_.erase(state->service().id);
  }
}

std::shared_ptr<ServiceState> Context::service(ServiceId id) {
  if (const auto it = services_.find(id); it != services_.end()) return it->second;
  const auto* service = routes_ != nullptr ? routes_->service(id) : nullptr;
  if (service == nullptr) return nullptr;
  const ServiceState::Surroundings around{
      clock, random, [this, id]() -> observe::Slot& { return slot(id, kHostClient); }, nudge_others_};
  return services_.emplace(id, std::make_shared<ServiceState>(*service, routes_->usage(id), around)).first->second;
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
  for (auto& [id, state] : services_) state->sweep();
  access_log.tick();
}

void Context::nudged(ServiceId service, const Nudge& nudge) {
  if (const auto it = services_.find(service); it != services_.end()) it->second->nudged(nudge);
}

std::size_t Context::shed_idle(const SocketAddress* only) {
  std::size_t closed = 0;
  for (auto& [id, state] : services_) closed += state->pool.close_half(only);
  return closed;
}

}  // namespace causeway::proxy
