#include "kernel/sync.h"

#include <algorithm>
#include <utility>

namespace causeway::kernel {
namespace {

/// Keeps the first error of several steps that are all taken.
class FirstError {
 public:
  void operator+=(Result<void> step) {
    if (result_ && !step) result_ = std::move(step);
  }
  Result<void> result() const { return result_; }

 private:
  Result<void> result_;
};

bool same(const std::vector<cw_endpoint>& a, const std::vector<cw_endpoint>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), KeyBytes<cw_endpoint>{});
}

/// Endpoints are ordered by id.
bool has_endpoint(const Service& service, EndpointId id) {
  const auto& all = service.endpoints;
  const auto found = std::lower_bound(all.begin(), all.end(), id,
                                      [](const Endpoint& each, EndpointId wanted) { return each.id < wanted; });
  return found != all.end() && found->id == id;
}

}  // namespace

Result<void> Sync::adopt() {
  FirstError error;
  error += aliases_.adopt(maps_.aliases);
  error += workloads_.adopt(maps_.workloads);
  error += ports_.adopt(maps_.workload_ports);
  auto services = maps_.services.entries();
  if (!services) return services.error();
  auto rows = maps_.endpoints.entries();
  if (!rows) return rows.error();
  auto states = maps_.endpoint_states.entries();
  if (!states) return states.error();
  services_.clear();
  states_.clear();
  for (const auto& [id, state] : *states) states_.insert(id);
  unknown_states_ = !states_.empty();
  for (const auto& [id, value] : *services) {
    Rows& kept = services_[id];
    kept.entry = value;
    kept.slots.resize(std::min<std::size_t>(value.endpoint_count, CW_MAX_ENDPOINTS));
  }
  for (const auto& [key, value] : *rows) {
    const auto service = services_.find(key.service_id);
    if (service != services_.end() && key.generation == service->second.entry.generation &&
        key.slot < service->second.slots.size()) {
      service->second.slots[key.slot] = value;
    } else if (const Result<bool> gone = maps_.endpoints.erase(key); !gone) {  // an agent died between flip and removal
      error += Result<void>(gone.error());
    }
  }
  return error.result();
}

Result<void> Sync::apply(const Snapshot& snapshot) {
  const auto aliases = alias_entries(snapshot);
  const auto workloads = workload_entries(snapshot);
  const auto ports = workload_port_entries(snapshot);
  const auto add = [&] {
    FirstError error;
    error += add_services(snapshot);
    error += ports_.add(maps_.workload_ports, ports);
    error += workloads_.add(maps_.workloads, workloads);
    error += aliases_.add(maps_.aliases, aliases);
    return error.result();
  };
  const Result<void> added = add();
  FirstError error;
  error += aliases_.remove_others(maps_.aliases, aliases);
  error += workloads_.remove_others(maps_.workloads, workloads);
  error += ports_.remove_others(maps_.workload_ports, ports);
  error += remove_services(snapshot);
  error += remove_unknown_states(snapshot);
  if (!added) error += add();
  return error.result();
}

Result<void> Sync::add_services(const Snapshot& snapshot) {
  FirstError error;
  for (const auto& [id, service] : snapshot.services) {
    const auto kept = services_.find(id.value);
    if (kept == services_.end() || kept->second.source != service) error += put_service(service);
  }
  return error.result();
}

Result<void> Sync::put_service(const std::shared_ptr<const Service>& service) {
  const std::uint32_t id = service->id.value;
  if (Result<void> done = add_states(*service); !done) return done;
  ServiceRows rows = service_rows(*service);
  const auto kept = services_.find(id);
  if (kept != services_.end() && same(kept->second.slots, rows.slots)) return put_entry(kept->second, service, rows);
  const std::uint32_t generation = kept == services_.end() ? 1 : kept->second.entry.generation + 1;
  const cw_service entry = service_entry(*service, rows, generation);
  for (std::uint32_t slot = 0; slot < entry.endpoint_count; ++slot) {
    if (Result<void> done = maps_.endpoints.put({id, generation, slot}, rows.slots[slot]); !done) {
      (void)erase_rows(id, generation, slot);  // the old set stays in force
      return done;
    }
  }
  Result<void> done = maps_.service_states.put_new(id, {});
  if (done) done = maps_.services.put(id, entry);
  if (!done) {
    (void)erase_rows(id, generation, entry.endpoint_count);
    return done;
  }
  FirstError error;
  if (kept != services_.end()) {
    error += erase_rows(id, kept->second.entry.generation, kept->second.slots.size());
    if (kept->second.source) error += remove_states(*kept->second.source, service.get());
  }
  services_[id] = {entry, std::move(rows.slots), service};
  return error.result();
}

Result<void> Sync::put_entry(Rows& kept, const std::shared_ptr<const Service>& service, const ServiceRows& rows) {
  const cw_service entry = service_entry(*service, rows, kept.entry.generation);
  if (!KeyBytes<cw_service>{}(kept.entry, entry)) {
    if (Result<void> done = maps_.services.put(service->id.value, entry); !done) return done;
    kept.entry = entry;
  }
  Result<void> removed;
  if (kept.source) removed = remove_states(*kept.source, service.get());
  kept.source = service;
  return removed;
}

Result<void> Sync::add_states(const Service& service) {
  for (const Endpoint& endpoint : service.endpoints) {
    if (states_.contains(endpoint.id.value)) continue;
    if (Result<void> done = maps_.endpoint_states.put_new(endpoint.id.value, {}); !done) return done;
    states_.insert(endpoint.id.value);
  }
  return {};
}

Result<void> Sync::remove_states(const Service& before, const Service* now) {
  FirstError error;
  for (const Endpoint& endpoint : before.endpoints) {
    if (now != nullptr && has_endpoint(*now, endpoint.id)) continue;
    if (const Result<bool> gone = maps_.endpoint_states.erase(endpoint.id.value); !gone)
      error += Result<void>(gone.error());
    states_.erase(endpoint.id.value);
  }
  return error.result();
}

Result<void> Sync::remove_unknown_states(const Snapshot& snapshot) {
  if (!std::exchange(unknown_states_, false)) return {};
  std::unordered_set<std::uint32_t> known;
  for (const auto& [id, service] : snapshot.services) {
    for (const Endpoint& endpoint : service->endpoints) known.insert(endpoint.id.value);
  }
  FirstError error;
  std::erase_if(states_, [&](std::uint32_t id) {
    if (known.contains(id)) return false;
    if (const Result<bool> gone = maps_.endpoint_states.erase(id); !gone) error += Result<void>(gone.error());
    return true;
  });
  return error.result();
}

Result<void> Sync::remove_services(const Snapshot& snapshot) {
  FirstError error;
  for (auto it = services_.begin(); it != services_.end();) {
    if (snapshot.services.contains(ServiceId(it->first))) {
      ++it;
      continue;
    }
    const Result<bool> gone = maps_.services.erase(it->first);
    if (!gone) {
      error += Result<void>(gone.error());
      ++it;
      continue;
    }
    error += erase_rows(it->first, it->second.entry.generation, it->second.slots.size());
    if (const Result<bool> erased = maps_.service_states.erase(it->first); !erased)
      error += Result<void>(erased.error());
    if (it->second.source) error += remove_states(*it->second.source, nullptr);
    error += remove_counters(it->first);
    it = services_.erase(it);
  }
  return error.result();
}

Result<void> Sync::remove_counters(std::uint32_t id) {
  const auto keys = maps_.path_counters.keys();
  if (!keys) return keys.error();
  FirstError error;
  for (const cw_counters_key& key : *keys) {
    if (key.service_id != id) continue;
    if (const Result<bool> gone = maps_.path_counters.erase(key); !gone) error += Result<void>(gone.error());
  }
  return error.result();
}

Result<void> Sync::erase_rows(std::uint32_t id, std::uint32_t generation, std::size_t count) {
  FirstError error;
  for (std::uint32_t slot = 0; slot < count; ++slot) {
    if (const Result<bool> gone = maps_.endpoints.erase({id, generation, slot}); !gone)
      error += Result<void>(gone.error());
  }
  return error.result();
}

}  // namespace causeway::kernel
