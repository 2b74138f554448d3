#include "observe/totals.h"

#include <algorithm>
#include <optional>
#include <tuple>

#include "model/names.h"

namespace causeway::observe {
namespace {

constexpr std::array<std::string_view, 6> kCodes{"none", "1xx", "2xx", "3xx", "4xx", "5xx"};
constexpr std::array<std::string_view, static_cast<std::size_t>(FailureReason::count)> kReasons{
    "refused", "reset", "timeout", "no_endpoint", "unreachable", "limit", "other"};
constexpr std::array<std::string_view, static_cast<std::size_t>(Bound::count)> kBounds{
    "header_bytes", "header_fields", "header_time", "body_idle", "connections", "workload", "descriptors"};
constexpr std::array<std::string_view, static_cast<std::size_t>(Overflow::count)> kOverflowReasons{
    "connections", "endpoint_connections", "pending_requests", "retries", "retry_budget"};
/// Slab's overflow slot: what found no slot of its own.
constexpr ServiceId kOverflow{0xffffffffu};

std::uint64_t read(const Counter& counter) { return counter.load(std::memory_order_relaxed); }

void merge(Totals& into, const Totals& from) {
  for (std::size_t i = 0; i < into.requests.size(); ++i) into.requests[i] += from.requests[i];
  for (std::size_t i = 0; i < into.request_buckets.size(); ++i) into.request_buckets[i] += from.request_buckets[i];
  for (std::size_t i = 0; i < into.connect_buckets.size(); ++i) into.connect_buckets[i] += from.connect_buckets[i];
  for (std::size_t i = 0; i < into.connections_failed.size(); ++i) into.connections_failed[i] += from.connections_failed[i];
  for (std::size_t i = 0; i < into.bounds_exceeded.size(); ++i) into.bounds_exceeded[i] += from.bounds_exceeded[i];
  for (std::size_t i = 0; i < into.rtt_buckets.size(); ++i) into.rtt_buckets[i] += from.rtt_buckets[i];
  for (std::size_t i = 0; i < into.lifetime_buckets.size(); ++i) into.lifetime_buckets[i] += from.lifetime_buckets[i];
  into.rtt_sum_us += from.rtt_sum_us;
  into.lifetime_sum_us += from.lifetime_sum_us;
  into.retransmits += from.retransmits;
  into.drained += from.drained;
  into.request_sum_us += from.request_sum_us;
  into.connect_sum_us += from.connect_sum_us;
  into.connections_opened += from.connections_opened;
  into.connections_active += from.connections_active;
  into.bytes_sent += from.bytes_sent;
  into.bytes_received += from.bytes_received;
  into.retries += from.retries;
  into.ejections += from.ejections;
  into.ejection_returns += from.ejection_returns;
  for (std::size_t i = 0; i < into.overflows.size(); ++i) into.overflows[i] += from.overflows[i];
  into.upstream_connections += from.upstream_connections;
  into.requests_pending += from.requests_pending;
  into.retries_active += from.retries_active;
  into.endpoints_ejected += from.endpoints_ejected;
}

struct PairNames {
  std::string_view namespace_name, discovery_name, client;
};

void expose_connections(Exposition& out, const PairNames& names, std::string_view on_path, const Totals& t) {
  const Label ns{"namespace", names.namespace_name}, dn{"discovery_name", names.discovery_name}, client{"client", names.client};
  const Label path{"path", on_path};
  for (std::size_t i = 0; i < kReasons.size(); ++i) {
    const auto failed = t.connections_failed[i];
    if (failed != 0) out.add(Metric::connections_failed_total, {ns, dn, client, path, {"reason", kReasons[i]}}, static_cast<double>(failed));
  }
  out.add_histogram(Metric::connect_duration_seconds, {ns, dn, client, path}, kDurationBoundsUs, t.connect_buckets,
                    t.connect_sum_us);
  const std::pair<Metric, std::uint64_t> plain[] = {{Metric::connections_opened_total, t.connections_opened},
                                                    {Metric::connections_active, t.connections_active},
                                                    {Metric::bytes_sent_total, t.bytes_sent},
                                                    {Metric::bytes_received_total, t.bytes_received},
                                                    {Metric::ejections_total, t.ejections},
                                                    {Metric::ejection_returns_total, t.ejection_returns}};
  for (const auto& [metric, value] : plain) out.add(metric, {ns, dn, client, path}, static_cast<double>(value));
}

void expose_overflows(Exposition& out, const PairNames& names, std::string_view path, const Totals& t) {
  for (std::size_t i = 0; i < kOverflowReasons.size(); ++i) {
    if (t.overflows[i] == 0) continue;
    out.add(Metric::overflows_total,
            {{"namespace", names.namespace_name},
             {"discovery_name", names.discovery_name},
             {"client", names.client},
             {"path", path},
             {"reason", kOverflowReasons[i]}},
            static_cast<double>(t.overflows[i]));
  }
}

void expose_requests(Exposition& out, const PairNames& names, const Totals& t) {
  const Label ns{"namespace", names.namespace_name}, dn{"discovery_name", names.discovery_name},
      client{"client", names.client};
  const Label path{"path", "proxy"};
  for (std::size_t i = 0; i < kCodes.size(); ++i) {
    if (t.requests[i] != 0)
      out.add(Metric::requests_total, {ns, dn, client, path, {"code", kCodes[i]}}, static_cast<double>(t.requests[i]));
  }
  for (std::size_t i = 0; i < kBounds.size(); ++i) {
    const auto exceeded = t.bounds_exceeded[i];
    if (exceeded != 0) out.add(Metric::limits_exceeded_total, {ns, dn, client, path, {"limit", kBounds[i]}}, static_cast<double>(exceeded));
  }
  expose_overflows(out, names, "proxy", t);
  out.add_histogram(Metric::request_duration_seconds, {ns, dn, client, path}, kDurationBoundsUs, t.request_buckets, t.request_sum_us);
  out.add(Metric::retries_total, {ns, dn, client, path}, static_cast<double>(t.retries));
}

void expose_kernel(Exposition& out, const PairNames& names, const Totals& t) {
  constexpr std::string_view kKernel = "kernel";
  expose_connections(out, names, kKernel, t);
  expose_overflows(out, names, kKernel, t);
  const Label ns{"namespace", names.namespace_name}, dn{"discovery_name", names.discovery_name},
      client{"client", names.client}, path{"path", kKernel};
  out.add_histogram(Metric::connection_duration_seconds, {ns, dn, client, path}, kLifetimeBoundsUs, t.lifetime_buckets,
                    t.lifetime_sum_us);
  out.add_histogram(Metric::connection_rtt_seconds, {ns, dn, client, path}, kRttBoundsUs, t.rtt_buckets, t.rtt_sum_us);
  out.add(Metric::retransmits_total, {ns, dn, client, path}, static_cast<double>(t.retransmits));
  out.add(Metric::connections_ended_total, {ns, dn, client, path, {"reason", "drain"}}, static_cast<double>(t.drained));
}

constexpr PairNames kOtherNames{"other", "other", "other"};

struct NamedTotals {
  /// Two clients may share a label (a service deleted and made again, two clusters): one series each label set.
  std::map<std::tuple<ServiceId, std::string_view>, Totals> named;
  std::optional<Totals> other;
};

NamedTotals with_names(const TotalsMap& totals, const Snapshot& snapshot, const ClientNames& clients) {
  NamedTotals out;
  for (const auto& [key, t] : totals) {
    const auto& [service, client] = key;
    const bool known = snapshot.services.contains(service);
    if (!known && service != kOverflow) continue;
    const auto label = std::tuple(service, clients.of(client));
    if (known && (out.named.size() < kMaxPairs || out.named.contains(label))) {
      merge(out.named[label], t);
    } else {
      if (!out.other) out.other.emplace();
      merge(*out.other, t);
    }
  }
  return out;
}

/// What its limits are about belongs to the service: a connection that one client made serves the next.
void expose_usage(Exposition& out, const PairNames& names, const Totals& t, const ServiceSettings* settings) {
  const Label ns{"namespace", names.namespace_name}, dn{"discovery_name", names.discovery_name}, path{"path", "proxy"};
  out.add(Metric::upstream_connections_active, {ns, dn, path}, static_cast<double>(t.upstream_connections));
  out.add(Metric::requests_pending, {ns, dn, path}, static_cast<double>(t.requests_pending));
  out.add(Metric::retries_active, {ns, dn, path}, static_cast<double>(t.retries_active));
  out.add(Metric::endpoints_ejected, {ns, dn, path}, static_cast<double>(t.endpoints_ejected));
  if (settings == nullptr) return;
  const std::tuple<std::string_view, std::uint64_t, std::uint64_t> limits[] = {
      {"max_connections", t.upstream_connections, settings->max_connections},
      {"max_pending_requests", t.requests_pending, settings->max_pending_requests},
      {"max_retries", t.retries_active, settings->max_retries}};
  for (const auto& [limit, used, most] : limits)
    out.add(Metric::limit_reached, {ns, dn, path, {"limit", limit}}, used >= most ? 1 : 0);
}

}  // namespace

void Totals::add(const Slot& slot) {
  for (std::size_t i = 0; i < requests.size(); ++i) requests[i] += read(slot.requests[i]);
  for (std::size_t i = 0; i < request_buckets.size(); ++i) request_buckets[i] += read(slot.request_duration.buckets[i]);
  for (std::size_t i = 0; i < connect_buckets.size(); ++i) connect_buckets[i] += read(slot.connect_duration.buckets[i]);
  for (std::size_t i = 0; i < connections_failed.size(); ++i) connections_failed[i] += read(slot.connections_failed[i]);
  for (std::size_t i = 0; i < bounds_exceeded.size(); ++i) bounds_exceeded[i] += read(slot.bounds_exceeded[i]);
  request_sum_us += read(slot.request_duration.sum_us);
  connect_sum_us += read(slot.connect_duration.sum_us);
  connections_opened += read(slot.connections_opened);
  connections_active += read(slot.connections_active);
  bytes_sent += read(slot.bytes_sent);
  bytes_received += read(slot.bytes_received);
  retries += read(slot.retries);
  ejections += read(slot.ejections);
  ejection_returns += read(slot.ejection_returns);
  for (std::size_t i = 0; i < overflows.size(); ++i) overflows[i] += read(slot.overflows[i]);
  upstream_connections += read(slot.upstream_connections);
  requests_pending += read(slot.requests_pending);
  retries_active += read(slot.retries_active);
  endpoints_ejected += read(slot.endpoints_ejected);
}

TotalsMap add_up(const Slab& slab) {
  TotalsMap totals;
  slab.for_each([&](ServiceId service, ClientId client, const Slot& slot) { totals[{service, client}].add(slot); });
  return totals;
}

void ClientNames::learn(const Snapshot& snapshot) {
  // A host that has seen this many services' tasks starts afresh: names of live ones come back at once.
  if (names_.size() > 4 * kMaxPairs) names_.clear();
  for (const auto& [_, workload] : snapshot.workloads) names_[workload.client] = workload.client_name;
}

std::string_view ClientNames::of(ClientId client) const {
  if (client == kHostClient) return "host";
  const auto found = names_.find(client);
  return found == names_.end() ? std::string_view("unknown") : std::string_view(found->second);
}

void expose_totals(Exposition& out, const PathTotals& totals, const Snapshot& snapshot, const ClientNames& clients) {
  const auto proxy = with_names(totals.proxy, snapshot, clients);
  std::map<ServiceId, Totals> by_service;
  for (const auto& [key, t] : proxy.named) {
    const auto& service = *snapshot.services.at(std::get<0>(key));
    const PairNames names{service.namespace_name, service.discovery_name, std::get<1>(key)};
    expose_requests(out, names, t);
    expose_connections(out, names, "proxy", t);
    merge(by_service[service.id], t);
  }
  for (const auto& [id, t] : by_service) {
    const auto& service = *snapshot.services.at(id);
    expose_usage(out, {service.namespace_name, service.discovery_name, {}}, t, &service.settings);
  }
  if (proxy.other) {
    expose_requests(out, kOtherNames, *proxy.other);
    expose_connections(out, kOtherNames, "proxy", *proxy.other);
    expose_usage(out, kOtherNames, *proxy.other, nullptr);
  }
  const auto kernel = with_names(totals.kernel, snapshot, clients);
  for (const auto& [key, t] : kernel.named) {
    const auto& service = *snapshot.services.at(std::get<0>(key));
    expose_kernel(out, {service.namespace_name, service.discovery_name, std::get<1>(key)}, t);
  }
  if (kernel.other) expose_kernel(out, kOtherNames, *kernel.other);
}

void expose_ejected(Exposition& out, const Snapshot& snapshot, const std::function<bool(EndpointId)>& is_ejected) {
  for (const auto& [_, service] : snapshot.services) {
    if (!takes_kernel_path(service->settings)) continue;
    std::uint64_t ejected = 0;
    for (const auto& endpoint : service->endpoints) ejected += is_ejected(endpoint.id) ? 1 : 0;
    out.add(Metric::endpoints_ejected,
            {{"namespace", service->namespace_name}, {"discovery_name", service->discovery_name}, {"path", "kernel"}},
            static_cast<double>(ejected));
  }
}

void expose_kernel_usage(Exposition& out, const Snapshot& snapshot,
                         const std::function<std::int64_t(ServiceId)>& active) {
  for (const auto& [id, service] : snapshot.services) {
    const auto used = static_cast<std::uint64_t>(std::max<std::int64_t>(0, active(id)));
    if (!takes_kernel_path(service->settings) && used == 0) continue;
    const Label ns{"namespace", service->namespace_name}, dn{"discovery_name", service->discovery_name},
        path{"path", "kernel"};
    out.add(Metric::upstream_connections_active, {ns, dn, path}, static_cast<double>(used));
    out.add(Metric::limit_reached, {ns, dn, path, {"limit", "max_connections"}},
            used >= service->settings.max_connections ? 1 : 0);
  }
}

void expose_access_log(Exposition& out, const Slab& slab) {
  std::uint64_t lines = 0, no_buffer = 0, no_output = 0;
  for (std::size_t worker = 0; worker < slab.workers(); ++worker) {
    const auto& counters = slab.worker(worker);
    lines += counters.access_log_lines.load(std::memory_order_relaxed);
    no_buffer += counters.access_log_dropped.load(std::memory_order_relaxed);
    no_output += counters.access_log_unwritten.load(std::memory_order_relaxed);
  }
  out.add(Metric::access_log_lines_total, {}, static_cast<double>(lines));
  out.add(Metric::access_log_dropped_total, {{"reason", "buffer"}}, static_cast<double>(no_buffer));
  out.add(Metric::access_log_dropped_total, {{"reason", "output"}}, static_cast<double>(no_output));
}

void expose_endpoints(Exposition& out, const Snapshot& snapshot) {
  for (const auto& [_, service] : snapshot.services) {
    std::map<Health, std::uint64_t> counts{{Health::healthy, 0}, {Health::unhealthy, 0}, {Health::starting, 0}, {Health::draining, 0}};
    for (const auto& endpoint : service->endpoints) ++counts[endpoint.health];
    for (const auto& [health, count] : counts) {
      out.add(Metric::endpoints,
              {{"namespace", service->namespace_name}, {"discovery_name", service->discovery_name}, {"health", to_string(health)}},
              static_cast<double>(count));
    }
  }
}

}  // namespace causeway::observe
