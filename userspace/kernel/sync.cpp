#include "kernel/sync.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>

#include "kernel/encode.h"

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

Mirror<cw_alias_key, cw_alias>::Entries alias_entries(const Snapshot& snapshot) {
  Mirror<cw_alias_key, cw_alias>::Entries entries;
  entries.reserve(snapshot.aliases.size() * 2);
  for (const Alias& alias : snapshot.aliases) {
    for (const IpAddress& ip : {alias.vip4, alias.vip6}) {
      if (ip == IpAddress()) continue;
      entries.insert_or_assign(cw_alias_key{encode(ip), htons(alias.port), IPPROTO_TCP, 0},
                               cw_alias{alias.service.value, alias.namespace_number.value, 0, 0});
    }
  }
  return entries;
}

Mirror<std::uint64_t, cw_workload>::Entries workload_entries(const Snapshot& snapshot) {
  Mirror<std::uint64_t, cw_workload>::Entries entries;
  for (const auto& [task, workload] : snapshot.workloads) {
    if (workload.cgroup_id == 0) continue;
    entries.insert_or_assign(workload.cgroup_id,
                             cw_workload{workload.client.value, workload.namespace_number.value, encode(workload.address)});
  }
  return entries;
}

Mirror<cw_workload_port_key, std::uint32_t>::Entries port_entries(const Snapshot& snapshot) {
  Mirror<cw_workload_port_key, std::uint32_t>::Entries entries;
  for (const auto& [task, workload] : snapshot.workloads) {
    if (workload.cgroup_id == 0) continue;
    for (const std::uint16_t port : workload.ports) entries.insert_or_assign(cw_workload_port_key{workload.cgroup_id, htons(port), {}}, 1);
  }
  return entries;
}

/// The healthy ones, those with an IPv4 address first, each part in the snapshot's order.
std::vector<cw_socket_address> healthy_rows(const Service& service) {
  std::vector<cw_socket_address> rows;
  for (const bool v4 : {true, false}) {
    for (const Endpoint& endpoint : service.endpoints) {
      if (endpoint.health == Health::healthy && endpoint.address.port != 0 && endpoint.address.ip.is_v4() == v4) {
        rows.push_back(encode(endpoint.address));
      }
    }
  }
  return rows;
}

bool is_v4(const cw_socket_address& row) { return decode(row.ip).is_v4(); }

bool same(const std::vector<cw_socket_address>& a, const std::vector<cw_socket_address>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(cw_socket_address)) == 0;
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
    kept.count = value.endpoint_count;
    kept.slots.resize(std::min<std::size_t>(value.endpoint_count, CW_MAX_ENDPOINTS));
  }
  for (const auto& [key, value] : *rows) {
    const auto service = services_.find(key.service_id);
    if (service != services_.end() && key.generation == service->second.generation && key.slot < service->second.slots.size()) {
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
  const auto ports = port_entries(snapshot);
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
  std::vector<cw_socket_address> rows = healthy_rows(*service);
  const auto kept = services_.find(id);
  if (kept != services_.end() && same(kept->second.slots, rows)) {
    kept->second.source = service;
    return {};
  }
  const std::uint32_t generation = kept == services_.end() ? 1 : kept->second.generation + 1;
  const auto count = static_cast<std::uint32_t>(rows.size());
  for (std::uint32_t slot = 0; slot < count; ++slot) {
    if (Result<void> done = maps_.endpoints.put({id, generation, slot}, rows[slot]); !done) {
      (void)erase_rows(id, generation, slot);  // the old set stays in force
      return done;
    }
  }
  const auto v4_count = static_cast<std::uint32_t>(std::count_if(rows.begin(), rows.end(), is_v4));
  if (Result<void> done = maps_.services.put(id, {generation, count, v4_count, 0}); !done) {
    (void)erase_rows(id, generation, count);
    return done;
  }
  Result<void> erased;
  if (kept != services_.end()) erased = erase_rows(id, kept->second.generation, kept->second.count);
  services_[id] = {generation, count, std::move(rows), service};
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
    error += erase_rows(it->first, it->second.generation, it->second.count);
    it = services_.erase(it);
  }
  return error.result();
}

Result<void> Sync::erase_rows(std::uint32_t id, std::uint32_t generation, std::uint32_t count) {
  FirstError error;
  for (std::uint32_t slot = 0; slot < count; ++slot) {
    if (const Result<bool> gone = maps_.endpoints.erase({id, generation, slot}); !gone) error += Result<void>(gone.error());
  }
  return error.result();
}

}  // namespace causeway::kernel
