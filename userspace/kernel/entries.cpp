#include "kernel/entries.h"

#include <algorithm>
#include <utility>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "../../bpf/lib/balance.h"
#include "kernel/encode.h"
#include "kernel/maglev.h"
#include "kernel/weights.h"

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

namespace {

using Chosen = std::vector<const Endpoint*>;

bool has_place(const Endpoint& endpoint) {
  return endpoint.address.port != 0 && (endpoint.health == Health::healthy || endpoint.health == Health::unhealthy);
}

/// Those that connections may go to.
Chosen fit_endpoints(const Service& service) {
  Chosen healthy, unhealthy;
  for (const Endpoint& endpoint : service.endpoints) {
    if (has_place(endpoint)) (endpoint.health == Health::healthy ? healthy : unhealthy).push_back(&endpoint);
  }
  Chosen fit = healthy.empty() ? std::move(unhealthy) : std::move(healthy);
  const auto is_weightless = [](const Endpoint* endpoint) { return endpoint->weight == 0; };
  if (!std::all_of(fit.begin(), fit.end(), is_weightless)) std::erase_if(fit, is_weightless);
  return fit;
}

bool is_reached(const Endpoint& endpoint, std::uint32_t reach) {
  return reach == CW_REACHES_BOTH || endpoint.address.ip.is_v4() == (reach == CW_REACHES_V4);
}

std::uint32_t weight_of(const Endpoint& endpoint) {
  return std::max(endpoint.weight, 1u);
}

/// By address and port: its number is another one at each host.
std::uint64_t hash_of(const SocketAddress& address) {
  std::uint64_t high = 0, low = 0;
  std::memcpy(&high, address.ip.bytes().data(), sizeof high);
  std::memcpy(&low, address.ip.bytes().data() + sizeof high, sizeof low);
  return cw_balance_hash(address.port, high, low);
}

std::vector<std::uint32_t> lookup_of(const Chosen& endpoints) {
  std::vector<MaglevMember> members;
  members.reserve(endpoints.size());
  for (const Endpoint* endpoint : endpoints) {
    members.push_back({hash_of(endpoint->address), weight_of(*endpoint)});
  }
  return maglev_table(members, maglev_size(members.size()));
}

RowList list_of(const Chosen& endpoints, bool weighted, bool maglev) {
  RowList list;
  std::vector<std::uint32_t> weights;
  for (const Endpoint* endpoint : endpoints) weights.push_back(weighted ? weight_of(*endpoint) : 1);
  const std::vector<SlotShare> shares = slot_shares(weights);
  for (std::size_t slot = 0; slot < endpoints.size(); ++slot) {
    const Endpoint& endpoint = *endpoints[slot];
    list.rows.push_back(
        {encode(endpoint.address), endpoint.id.value, weights[slot], shares[slot].keep, shares[slot].other});
  }
  if (maglev) list.lookup = lookup_of(endpoints);
  return list;
}

/// Gives each set its list; sets of the same endpoints the same one.
class Lists {
 public:
  Lists(ServiceRows& rows, bool maglev) : rows_(rows), maglev_(maglev) {}

  cw_set add(Chosen endpoints) {
    if (endpoints.empty()) return {};
    auto at = static_cast<std::size_t>(std::find(chosen_.begin(), chosen_.end(), endpoints) - chosen_.begin());
    if (at == chosen_.size()) {
      rows_.lists.push_back(list_of(endpoints, rows_.weighted, maglev_));
      chosen_.push_back(std::move(endpoints));
    }
    return {static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(rows_.lists[at].rows.size()),
            static_cast<std::uint32_t>(rows_.lists[at].lookup.size())};
  }

 private:
  ServiceRows& rows_;
  const bool maglev_;
  std::vector<Chosen> chosen_;
};

Chosen those(const Chosen& endpoints, const std::function<bool(const Endpoint&)>& wanted) {
  Chosen some;
  for (const Endpoint* endpoint : endpoints) {
    if (wanted(*endpoint)) some.push_back(endpoint);
  }
  return some;
}

}  // namespace

ServiceRows service_rows(const Service& service, const IsLocal& is_local) {
  const Chosen fit = fit_endpoints(service);
  const bool by_place = service.settings.locality == Locality::prefer_host;
  const auto on_this_host = [&](const Endpoint& endpoint) { return by_place && is_local(endpoint.address.ip); };
  ServiceRows rows;
  rows.weighted = std::any_of(fit.begin(), fit.end(),
                              [&](const Endpoint* endpoint) { return weight_of(*endpoint) != weight_of(*fit[0]); });
  const bool any_weight = std::any_of(service.endpoints.begin(), service.endpoints.end(),
                                      [](const Endpoint& each) { return has_place(each) && each.weight > 0; });
  for (const Endpoint& each : service.endpoints)
    rows.local_known += has_place(each) && (each.weight > 0 || !any_weight) && on_this_host(each);
  // Where none is healthy, those of this host are no better than others.
  const Chosen local = !fit.empty() && fit[0]->health == Health::healthy ? those(fit, on_this_host) : Chosen();
  Lists lists(rows, service.settings.balance == Balance::maglev);
  for (std::uint32_t reach = 0; reach < CW_REACHES; ++reach) {
    const auto reached = [reach](const Endpoint& endpoint) { return is_reached(endpoint, reach); };
    rows.sets[reach] = lists.add(those(fit, reached));
    rows.sets[CW_LOCAL + reach] = lists.add(those(local, reached));
  }
  return rows;
}

// The setting's numbers are the programs'.
static_assert(static_cast<int>(Balance::round_robin) == CW_BALANCE_ROUND_ROBIN);
static_assert(static_cast<int>(Balance::random) == CW_BALANCE_RANDOM);
static_assert(static_cast<int>(Balance::least_active) == CW_BALANCE_LEAST_ACTIVE);
static_assert(static_cast<int>(Balance::maglev) == CW_BALANCE_MAGLEV);
static_assert(static_cast<int>(Affinity::client_address) == CW_AFFINITY_CLIENT_ADDRESS);
static_assert(static_cast<int>(Affinity::task) == CW_AFFINITY_TASK);

cw_service service_entry(const Service& service, const ServiceRows& rows, std::uint32_t generation) {
  cw_service entry{};
  entry.generation = generation;
  entry.local_known = rows.local_known;
  std::copy(rows.sets.begin(), rows.sets.end(), entry.sets);
  entry.weighted = rows.weighted;
  entry.affinity = static_cast<std::uint8_t>(service.settings.affinity);
  if (service.settings.locality == Locality::prefer_host)
    entry.locality_percent = static_cast<std::uint8_t>(service.settings.locality_min_healthy);
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
