#include "proxy/context.h"

#include <boost/asio/error.hpp>

#include "proxy/session.h"

namespace causeway::proxy {

Context::Context(net::EventLoop& event_loop, std::size_t worker, const feed::ProxySettings& proxy_settings,
                 observe::Slab& slab, const OriginLookup& lookup,
                 std::function<void(ServiceId, Nudge)> nudge_others)
    : loop(event_loop),
      settings(proxy_settings),
      origins(lookup),
      worker_(worker),
      slab_(slab),
      nudge_others_(std::move(nudge_others)) {}

Context::~Context() = default;

void Context::apply(RoutesPtr routes) {
  routes_ = std::move(routes);
  for (auto it = services_.begin(); it != services_.end();) {
    ServiceState& state = *it->second;
    const auto* now = routes_->service(it->first);
    state.changed = now == nullptr || *now != state.set.service();
    if (state.changed && now != nullptr) state.update(*now, routes_->usage(it->first));
    if (state.changed && now == nullptr) state.leave();
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
  const ServiceState::Surroundings around{
      clock, random, [this, id]() -> observe::Slot& { return slot(id, kHostClient); }, nudge_others_};
  return services_.emplace(id, std::make_shared<ServiceState>(*service, routes_->usage(id), around)).first->second;
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

void Context::sweep() {
  for (auto& [id, state] : services_) state->sweep();
}

void Context::nudged(ServiceId service, Nudge nudge) {
  if (const auto it = services_.find(service); it != services_.end()) it->second->nudged(nudge);
}

std::size_t Context::shed_idle(const SocketAddress* only) {
  std::size_t closed = 0;
  for (auto& [id, state] : services_) closed += state->pool.close_half(only);
  return closed;
}

}  // namespace causeway::proxy
