#include "kernel/sync.h"

#include <algorithm>

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

bool same(const std::vector<cw_socket_address>& a, const std::vector<cw_socket_address>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), KeyBytes<cw_socket_address>{});
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
  services_.clear();
  for (const auto& [id, value] : *services) {
    Rows& kept = services_[id];
    kept.generation = value.generation;
    kept.slots.resize(std::min<std::size_t>(value.endpoint_count, CW_MAX_ENDPOINTS));
  }
  for (const auto& [key, value] : *rows) {
    const auto service = services_.find(key.service_id);
    if (service != services_.end() && key.generation == service->second.generation &&
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
  ServiceRows rows = service_rows(*service);
  const auto kept = services_.find(id);
  if (kept != services_.end() && same(kept->second.slots, rows.slots)) {
    kept->second.source = service;
    return {};
  }
  const std::uint32_t generation = kept == services_.end() ? 1 : kept->second.generation + 1;
  const auto count = static_cast<std::uint32_t>(rows.slots.size());
  for (std::uint32_t slot = 0; slot < count; ++slot) {
    if (Result<void> done = maps_.endpoints.put({id, generation, slot}, rows.slots[slot]); !done) {
      (void)erase_rows(id, generation, slot);  // the old set stays in force
      return done;
    }
  }
  if (Result<void> done = maps_.services.put(id, {generation, count, rows.v4_count, 0}); !done) {
    (void)erase_rows(id, generation, count);
    return done;
  }
  Result<void> erased;
  if (kept != services_.end()) erased = erase_rows(id, kept->second.generation, kept->second.slots.size());
  services_[id] = {generation, std::move(rows.slots), service};
  return erased;
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
    error += erase_rows(it->first, it->second.generation, it->second.slots.size());
    it = services_.erase(it);
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
