// What goes on beside a service's entry and rows: its endpoints' states, and the endpoints that leave.
#include <algorithm>

#include "kernel/first_error.h"
#include "kernel/sync.h"

namespace causeway::kernel {
namespace {

using Ids = std::unordered_set<std::uint32_t>;

void add_endpoints(const std::vector<RowList>& lists, Ids& into) {
  for (const RowList& list : lists) {
    for (const cw_endpoint& each : list.rows) into.insert(each.endpoint_id);
  }
}

/// Those that keep their connections: all that may get some, and those of weight 0 beside them.
void add_takers(const Service& service, Ids& into) {
  const bool any_healthy = std::any_of(service.endpoints.begin(), service.endpoints.end(),
                                       [](const Endpoint& each) { return each.health == Health::healthy; });
  for (const Endpoint& each : service.endpoints) {
    if (each.health == (any_healthy ? Health::healthy : Health::unhealthy)) into.insert(each.id.value);
  }
}

/// Of an endpoint that left while no agent ran, and whose service is gone too.
constexpr std::chrono::milliseconds kDefaultDrain = ServiceSettings().drain_timeout;

std::chrono::milliseconds drain_of(const Service* now, const Service* before) {
  if (now != nullptr) return now->settings.drain_timeout;
  return before != nullptr ? before->settings.drain_timeout : kDefaultDrain;
}

/// Endpoints are ordered by id.
bool has_endpoint(const Service& service, EndpointId id) {
  const auto& all = service.endpoints;
  const auto found = std::lower_bound(all.begin(), all.end(), id,
                                      [](const Endpoint& each, EndpointId wanted) { return each.id < wanted; });
  return found != all.end() && found->id == id;
}

}  // namespace

Result<void> Sync::add_states(const Service& service, std::vector<std::uint32_t>& added) {
  for (const Endpoint& endpoint : service.endpoints) {
    if (states_.contains(endpoint.id.value)) continue;
    if (Result<void> done = maps_.endpoint_states.put_new(endpoint.id.value, {}); !done) return done;
    states_.insert(endpoint.id.value);
    added.push_back(endpoint.id.value);
  }
  return {};
}

Result<void> Sync::remove_states(const Service& before, const Service* now) {
  FirstError error;
  for (const Endpoint& endpoint : before.endpoints) {
    if (now != nullptr && has_endpoint(*now, endpoint.id)) continue;
    // One that leaves goes with its last connection.
    error += leaving_.has(endpoint.id.value) ? forget_ejection_(endpoint.id.value) : erase_state(endpoint.id.value);
  }
  return error.result();
}

Result<void> Sync::erase_state(std::uint32_t endpoint) {
  states_.erase(endpoint);
  if (const Result<bool> gone = maps_.endpoint_states.erase(endpoint); !gone) return gone.error();
  return {};
}

std::int64_t Sync::active_on(std::uint32_t endpoint) const {
  const auto state = maps_.endpoint_states.get(endpoint);
  return state && *state ? (*state)->active : 0;
}

Result<void> Sync::follow(const Rows* before, const Service* now) {
  const auto drain = drain_of(now, before != nullptr ? before->source.get() : nullptr);
  FirstError error;
  Ids served, serving;
  if (before != nullptr) {
    add_endpoints(before->lists, served);
    if (before->source) add_takers(*before->source, served);
  }
  if (now != nullptr) add_takers(*now, serving);
  for (const std::uint32_t id : serving) error += leaving_.stay(id);
  const MonotonicTime time = monotonic_now();
  for (const std::uint32_t id : served) {
    if (!serving.contains(id)) error += leaving_.leave(id, time, drain);
  }
  return error.result();
}

std::vector<std::uint32_t> Sync::to_end(MonotonicTime now) const {
  std::vector<std::uint32_t> ids = leaving_.due(now);
  std::erase_if(ids, [this](std::uint32_t id) { return active_on(id) <= 0; });
  return ids;
}

Result<void> Sync::clear_up(MonotonicTime now) {
  FirstError error;
  for (const std::uint32_t id : leaving_.due(now)) {
    if (leaving_.looked_at(id, now, active_on(id) <= 0) && !known_.contains(id)) error += erase_state(id);
  }
  error += erase_service_states();
  return error.result();
}

Result<void> Sync::erase_idle_states() {
  FirstError error;
  for (const std::uint32_t id : std::vector<std::uint32_t>(states_.begin(), states_.end())) {
    if (known_.contains(id) || active_on(id) > 0) continue;  // those of a service that found no room, too
    error += leaving_.stay(id);
    error += erase_state(id);
  }
  error += erase_service_states();
  return error.result();
}

Result<void> Sync::erase_service_states() {
  FirstError error;
  std::erase_if(gone_services_, [&](std::uint32_t id) {
    const auto state = maps_.service_states.get(id);
    if (state && *state && (*state)->active > 0) return false;
    if (const Result<bool> erased = maps_.service_states.erase(id); !erased) error += Result<void>(erased.error());
    return true;
  });
  return error.result();
}

Result<void> Sync::remove_unknown_states() {
  if (!std::exchange(unknown_states_, false)) return {};
  FirstError error;
  const MonotonicTime time = monotonic_now();
  Ids serving;
  for (const auto& [service, rows] : services_) {
    if (rows.source) add_takers(*rows.source, serving);
  }
  for (const std::uint32_t id : std::vector<std::uint32_t>(states_.begin(), states_.end())) {
    if (serving.contains(id) || leaving_.has(id)) continue;
    if (active_on(id) > 0) {
      error += leaving_.leave(id, time, kDefaultDrain);
    } else if (!known_.contains(id)) {
      error += erase_state(id);
    }
  }
  return error.result();
}

}  // namespace causeway::kernel
