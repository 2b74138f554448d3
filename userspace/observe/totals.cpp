#include "observe/totals.h"

#include <tuple>

#include "model/names.h"

namespace causeway::observe {
namespace {

constexpr std::array<std::string_view, 6> kCodes{"none", "1xx", "2xx", "3xx", "4xx", "5xx"};
constexpr std::array<std::string_view, static_cast<std::size_t>(FailureReason::count)> kReasons{
    "refused", "reset", "timeout", "no_endpoint", "unreachable", "limit", "other"};
constexpr std::array<std::string_view, static_cast<std::size_t>(Bound::count)> kBounds{
    "header_bytes", "header_fields", "header_time", "body_idle", "connections", "workload", "descriptors"};
/// Slab's overflow slot: what found no slot of its own.
constexpr ServiceId kOverflow{0xffffffffu};

std::uint64_t read(const Counter& counter) { return counter.load(std::memory_order_relaxed); }

void merge(Totals& into, const Totals& from) {
  for (std::size_t i = 0; i < into.requests.size(); ++i) into.requests[i] += from.requests[i];
  for (std::size_t i = 0; i < into.request_buckets.size(); ++i) into.request_buckets[i] += from.request_buckets[i];
  for (std::size_t i = 0; i < into.connect_buckets.size(); ++i) into.connect_buckets[i] += from.connect_buckets[i];
  for (std::size_t i = 0; i < into.connections_failed.size(); ++i) into.connections_failed[i] += from.connections_failed[i];
  for (std::size_t i = 0; i < into.bounds_exceeded.size(); ++i) into.bounds_exceeded[i] += from.bounds_exceeded[i];
  into.request_sum_us += from.request_sum_us;
  into.connect_sum_us += from.connect_sum_us;
  into.connections_opened += from.connections_opened;
  into.connections_active += from.connections_active;
  into.bytes_sent += from.bytes_sent;
  into.bytes_received += from.bytes_received;
  into.retries += from.retries;
  into.ejections += from.ejections;
}

struct PairNames {
  std::string_view namespace_name, discovery_name, client;
};

void expose(Exposition& out, const PairNames& names, const Totals& t) {
  const Label ns{"namespace", names.namespace_name}, dn{"discovery_name", names.discovery_name}, client{"client", names.client};
  const Label path{"path", "proxy"};
  for (std::size_t i = 0; i < kCodes.size(); ++i) {
    if (t.requests[i] != 0) out.add(Metric::requests_total, {ns, dn, client, path, {"code", kCodes[i]}}, static_cast<double>(t.requests[i]));
  }
  for (std::size_t i = 0; i < kReasons.size(); ++i) {
    const auto failed = t.connections_failed[i];
    if (failed != 0) out.add(Metric::connections_failed_total, {ns, dn, client, path, {"reason", kReasons[i]}}, static_cast<double>(failed));
  }
  for (std::size_t i = 0; i < kBounds.size(); ++i) {
    const auto exceeded = t.bounds_exceeded[i];
    if (exceeded != 0) out.add(Metric::limits_exceeded_total, {ns, dn, client, path, {"limit", kBounds[i]}}, static_cast<double>(exceeded));
  }
  out.add_histogram(Metric::request_duration_seconds, {ns, dn, client, path}, kDurationBoundsUs, t.request_buckets, t.request_sum_us);
  out.add_histogram(Metric::connect_duration_seconds, {ns, dn, client, path}, kDurationBoundsUs, t.connect_buckets, t.connect_sum_us);
  const std::pair<Metric, std::uint64_t> plain[] = {
      {Metric::connections_opened_total, t.connections_opened}, {Metric::connections_active, t.connections_active},
      {Metric::bytes_sent_total, t.bytes_sent},                 {Metric::bytes_received_total, t.bytes_received},
      {Metric::retries_total, t.retries},                       {Metric::ejections_total, t.ejections}};
  for (const auto& [metric, value] : plain) out.add(metric, {ns, dn, client, path}, static_cast<double>(value));
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

void expose_totals(Exposition& out, const TotalsMap& totals, const Snapshot& snapshot, const ClientNames& clients) {
  // Two clients may share a label (a service deleted and made again, two clusters): one series each label set.
  std::map<std::tuple<ServiceId, std::string_view>, Totals> named;
  Totals other;
  bool has_other = false;
  for (const auto& [key, t] : totals) {
    const auto& [service, client] = key;
    const bool known = snapshot.services.contains(service);
    if (!known && service != kOverflow) continue;
    const auto label = std::tuple(service, clients.of(client));
    if (known && (named.size() < kMaxPairs || named.contains(label))) {
      merge(named[label], t);
    } else {
      merge(other, t);
      has_other = true;
    }
  }
  for (const auto& [key, t] : named) {
    const auto& service = *snapshot.services.at(std::get<0>(key));
    expose(out, {service.namespace_name, service.discovery_name, std::get<1>(key)}, t);
  }
  if (has_other) expose(out, {"other", "other", "other"}, other);
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
