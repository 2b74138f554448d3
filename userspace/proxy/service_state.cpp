#include "proxy/service_state.h"

#include <algorithm>
#include <limits>
#include <vector>

namespace causeway::proxy {

namespace {

constexpr std::uint32_t kNoLimit = std::numeric_limits<std::uint32_t>::max();

bool is_among(EndpointId endpoint, std::span<const EndpointId> some) {
  return std::find(some.begin(), some.end(), endpoint) != some.end();
}

}  // namespace

Lease::Lease(ServiceState& state, std::shared_ptr<upstream::EndpointUsage> endpoint, observe::Slot& slot)
    : state_(&state), endpoint_(std::move(endpoint)), slot_(&slot) {
  observe::bump(slot.upstream_connections);
}

void Lease::release() {
  if (state_ == nullptr) return;
  ServiceState& state = *std::exchange(state_, nullptr);
  observe::drop(slot_->upstream_connections);
  if (endpoint_ != nullptr) endpoint_->connections.give_back();
  endpoint_.reset();
  state.usage()->connections.give_back();
  state.connection_freed();
}

ServiceState::ServiceState(std::shared_ptr<const Service> service, std::shared_ptr<const upstream::Usage> usage,
                           Surroundings surroundings)
    : set(std::move(service), surroundings.clock, surroundings.random),
      around_(std::move(surroundings)),
      usage_(std::move(usage)) {}

ServiceState::~ServiceState() = default;

void ServiceState::update(std::shared_ptr<const Service> service, std::shared_ptr<const upstream::Usage> usage) {
  set.update(std::move(service));
  usage_ = std::move(usage);
  pool.retain([this](EndpointId id, const SocketAddress& address) {
    const Endpoint* endpoint = set.find(id);
    return endpoint != nullptr && endpoint->address == address && set.may_reuse(id);
  });
  show_ejected();
  waiting.wake_all();
}

void ServiceState::leave() {
  left = true;
  auto empty = std::make_shared<Service>(service());
  empty->endpoints.clear();
  auto usage = upstream::follow_endpoints(*usage_, service(), *empty);
  update(std::move(empty), std::move(usage));
}

ServiceState::Leased ServiceState::take_lease(EndpointId endpoint, observe::Slot& slot) {
  const Endpoint* found = set.find(endpoint);
  std::shared_ptr<upstream::EndpointUsage> of_endpoint;
  if (found != nullptr) of_endpoint = usage_->endpoints[static_cast<std::size_t>(found - service().endpoints.data())];
  const std::uint32_t endpoint_limit =
      settings().max_endpoint_connections != 0 ? settings().max_endpoint_connections : kNoLimit;
  if (of_endpoint != nullptr && !of_endpoint->connections.take(endpoint_limit))
    return {{}, observe::Overflow::endpoint_connections};
  if (!usage()->connections.take(settings().max_connections)) {
    if (of_endpoint != nullptr) of_endpoint->connections.give_back();
    return {{}, observe::Overflow::connections};
  }
  return {Lease(*this, std::move(of_endpoint), slot), {}};
}

Choice ServiceState::choose(std::span<const EndpointId> tried, From from, observe::Slot& slot) {
  Choice choice;
  std::vector<EndpointId> passed(tried.begin(), tried.end());
  while (const Endpoint* endpoint = set.pick(passed)) {
    choice.target = {endpoint->id, endpoint->address};
    if (from == From::pool) choice.connection = pool.take(endpoint->id, endpoint->address);
    if (choice.connection != nullptr) {
      choice.kind = Choice::Kind::pooled;
      return choice;
    }
    Leased leased = take_lease(endpoint->id, slot);
    // Idle connections to endpoints that this request may not use make room.
    while (!leased.lease && leased.limit == observe::Overflow::connections) {
      Choice other = from == From::pool ? idle_of_another(tried) : Choice{};
      if (other.kind == Choice::Kind::pooled) {
        set.report_abandoned(endpoint->id);
        return other;
      }
      if (!pool.close_oldest()) break;
      leased = take_lease(endpoint->id, slot);
    }
    if (leased.lease) {
      choice.kind = Choice::Kind::dial;
      choice.lease = std::move(leased.lease);
      return choice;
    }
    set.report_abandoned(endpoint->id);
    choice.kind = Choice::Kind::full;
    choice.limit = leased.limit;
    if (leased.limit == observe::Overflow::connections) return choice;
    passed.push_back(endpoint->id);
  }
  return choice;
}

Choice ServiceState::idle_of_another(std::span<const EndpointId> tried) {
  Choice choice;
  choice.connection =
      pool.take_any([&](EndpointId id, const SocketAddress&) { return !is_among(id, tried) && set.may_reuse(id); },
                    choice.target.id, choice.target.address);
  if (choice.connection != nullptr) choice.kind = Choice::Kind::pooled;
  return choice;
}

Choice ServiceState::choose_again(const Target& target, observe::Slot& slot) {
  Choice choice;
  choice.target = target;
  Leased leased = take_lease(target.id, slot);
  choice.kind = leased.lease ? Choice::Kind::dial : Choice::Kind::full;
  choice.lease = std::move(leased.lease);
  choice.limit = leased.limit;
  return choice;
}

void ServiceState::give_back(const Target& target, UpstreamConnection connection) {
  const std::uint32_t pending = usage()->pending.value();
  if (pending > 0) {
    // Closed, the right to make one goes to whose turn it is.
    if (waiting.empty() || (others_next_ && pending > waiting.size())) return;
    if (pending > waiting.size()) others_next_ = true;
    pool.put(target.id, target.address, std::move(connection), around_.clock.steady());
    waiting.wake_first();
    return;
  }
  // A limit that was lowered is approached.
  if (usage()->connections.value() > settings().max_connections) return;
  pool.put(target.id, target.address, std::move(connection), around_.clock.steady());
}

void ServiceState::connection_freed() {
  const std::uint32_t pending = usage()->pending.value();
  if (pending == 0) return;
  const bool others_wait = pending > waiting.size();
  if (waiting.empty() || (others_wait && others_next_)) {
    others_next_ = false;
    if (others_wait) around_.nudge(service().id, Nudge::freed);
    return;
  }
  if (others_wait) others_next_ = true;
  waiting.wake_first();
}

void ServiceState::nudged(Nudge nudge) {
  if (!waiting.empty()) return waiting.wake_first();
  if (nudge == Nudge::wanted && usage()->pending.value() > 0) pool.close_oldest();
}

}  // namespace causeway::proxy
