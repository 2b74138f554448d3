#include "kernel/entries.h"

#include <algorithm>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "kernel/encode.h"

namespace causeway::kernel {

Entries<cw_alias_key, cw_alias> alias_entries(const Snapshot& snapshot) {
  Entries<cw_alias_key, cw_alias> entries;
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

Entries<std::uint64_t, cw_workload> workload_entries(const Snapshot& snapshot) {
  Entries<std::uint64_t, cw_workload> entries;
  for (const auto& [task, workload] : snapshot.workloads) {
    if (workload.cgroup_id == 0) continue;
    entries.insert_or_assign(workload.cgroup_id, cw_workload{workload.client.value, workload.namespace_number.value,
                                                             encode(workload.address)});
  }
  return entries;
}

Entries<cw_workload_port_key, std::uint32_t> workload_port_entries(const Snapshot& snapshot) {
  Entries<cw_workload_port_key, std::uint32_t> entries;
  for (const auto& [task, workload] : snapshot.workloads) {
    if (workload.cgroup_id == 0) continue;
    for (const std::uint16_t port : workload.ports) {
      entries.insert_or_assign(cw_workload_port_key{workload.cgroup_id, htons(port), {}}, 1);
    }
  }
  return entries;
}

ServiceRows service_rows(const Service& service) {
  const bool any_healthy = std::any_of(service.endpoints.begin(), service.endpoints.end(),
                                       [](const Endpoint& endpoint) { return endpoint.health == Health::healthy; });
  const Health wanted = any_healthy ? Health::healthy : Health::unhealthy;
  ServiceRows rows;
  for (const bool v4 : {true, false}) {
    for (const Endpoint& endpoint : service.endpoints) {
      if (endpoint.health != wanted || endpoint.address.port == 0 || endpoint.address.ip.is_v4() != v4) continue;
      rows.slots.push_back({encode(endpoint.address), endpoint.id.value});
    }
    if (v4) rows.v4_count = static_cast<std::uint32_t>(rows.slots.size());
  }
  return rows;
}

// The setting's numbers are the programs'.
static_assert(static_cast<int>(Balance::round_robin) == CW_BALANCE_ROUND_ROBIN);
static_assert(static_cast<int>(Balance::random) == CW_BALANCE_RANDOM);
static_assert(static_cast<int>(Balance::least_active) == CW_BALANCE_LEAST_ACTIVE);

cw_service service_entry(const Service& service, const ServiceRows& rows, std::uint32_t generation) {
  cw_service entry{};
  entry.generation = generation;
  entry.endpoint_count = static_cast<std::uint32_t>(rows.slots.size());
  entry.v4_count = rows.v4_count;
  entry.kernel_path = takes_kernel_path(service.settings);
  entry.balance = static_cast<std::uint8_t>(service.settings.balance);
  const ServiceSettings& settings = service.settings;
  const auto milliseconds = [](std::chrono::milliseconds time) { return static_cast<std::uint32_t>(time.count()); };
  entry.ejection_failures = settings.ejection ? static_cast<std::uint8_t>(settings.ejection_failures) : 0;
  entry.ejection_percent = static_cast<std::uint8_t>(settings.ejection_percent);
  entry.ejection_window_ms = milliseconds(settings.ejection_window);
  entry.ejection_time_ms = milliseconds(settings.ejection_time);
  entry.ejection_max_time_ms = milliseconds(settings.ejection_max_time);
  entry.max_connections = settings.max_connections;
  entry.max_endpoint_connections = settings.max_endpoint_connections;
  return entry;
}

}  // namespace causeway::kernel
