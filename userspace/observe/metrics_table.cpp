#include "observe/metrics_table.h"

#include <fmt/core.h>

#include <array>

namespace causeway::observe {
namespace {

constexpr std::string_view kService = "namespace, discovery_name, client, path";
constexpr std::string_view kServiceCode = "namespace, discovery_name, client, path, code";
constexpr std::string_view kServiceReason = "namespace, discovery_name, client, path, reason";
constexpr std::string_view kServiceLimit = "namespace, discovery_name, client, path, limit";

constexpr std::string_view kPath = "namespace, discovery_name, path";

constexpr std::array<Definition, static_cast<std::size_t>(Metric::count)> kTable{{
    {Metric::requests_total, Kind::counter, "causeway_requests_total", kServiceCode,
     "HTTP requests by status class; code \"none\": the client went away before an answer."},
    {Metric::request_duration_seconds, Kind::histogram, "causeway_request_duration_seconds", kService,
     "From a request's head to the end of its answer."},
    {Metric::connections_opened_total, Kind::counter, "causeway_connections_opened_total", kService,
     "Connections of clients that were taken to the service; on the kernel path, those that were established."},
    {Metric::connections_active, Kind::gauge, "causeway_connections_active", kService,
     "Connections of clients that are open."},
    {Metric::connections_failed_total, Kind::counter, "causeway_connections_failed_total", kServiceReason,
     "Connections to endpoints that failed, and dials that found no endpoint."},
    {Metric::connect_duration_seconds, Kind::histogram, "causeway_connect_duration_seconds", kService,
     "Time to connect to an endpoint."},
    {Metric::connection_duration_seconds, Kind::histogram, "causeway_connection_duration_seconds", kService,
     "How long connections were open; counted when they end. Of the kernel path."},
    {Metric::connection_rtt_seconds, Kind::histogram, "causeway_connection_rtt_seconds", kService,
     "The round trip time to the endpoint as the kernel smoothed it, when the connection ends. Of the kernel path."},
    {Metric::retransmits_total, Kind::counter, "causeway_retransmits_total", kService,
     "Segments that were sent again to endpoints, SYNs too; counted when the connection ends. Of the kernel path."},
    {Metric::connections_ended_total, Kind::counter, "causeway_connections_ended_total", kServiceReason,
     "Connections that were ended because their endpoint had left and its drain time was over (`drain`). Of the kernel "
     "path."},
    {Metric::bytes_sent_total, Kind::counter, "causeway_bytes_sent_total", kService,
     "Bytes from clients to endpoints; on the kernel path, of connections that ended."},
    {Metric::bytes_received_total, Kind::counter, "causeway_bytes_received_total", kService,
     "Bytes from endpoints to clients; on the kernel path, of connections that ended."},
    {Metric::retries_total, Kind::counter, "causeway_retries_total", kService,
     "Tries on another endpoint after a failure."},
    {Metric::ejections_total, Kind::counter, "causeway_ejections_total", kService,
     "Endpoints left out for a while after consecutive failures."},
    {Metric::limits_exceeded_total, Kind::counter, "causeway_limits_exceeded_total", kServiceLimit,
     "Connections refused and requests answered 408, 414 or 431 because of one of the configuration's limits."},
    {Metric::ejection_returns_total, Kind::counter, "causeway_ejection_returns_total", kService,
     "Endpoints that were left out and taken back, because a request to them succeeded."},
    {Metric::overflows_total, Kind::counter, "causeway_overflows_total", kServiceReason,
     "Requests, connections and retries that a limit of the service refused."},
    {Metric::upstream_connections_active, Kind::gauge, "causeway_upstream_connections_active", kPath,
     "Connections to endpoints that are open, idle ones too; on the kernel path, dials under way too."},
    {Metric::requests_pending, Kind::gauge, "causeway_requests_pending", kPath,
     "Requests that wait for a connection because a limit is reached."},
    {Metric::retries_active, Kind::gauge, "causeway_retries_active", kPath, "Requests that are being tried again."},
    {Metric::limit_reached, Kind::gauge, "causeway_limit_reached", "namespace, discovery_name, path, limit",
     "1 while as many are in use as the limit allows."},
    {Metric::endpoints_ejected, Kind::gauge, "causeway_endpoints_ejected", kPath,
     "Endpoints that are left out now; on the proxy's path counted once for each of its workers that leaves them out."},
    {Metric::endpoints, Kind::gauge, "causeway_endpoints", "namespace, discovery_name, health",
     "Endpoints by their health."},
    {Metric::dns_queries_total, Kind::counter, "causeway_dns_queries_total", "result",
     "DNS queries by what became of them."},
    {Metric::snapshot_revision, Kind::gauge, "causeway_snapshot_revision", "sink",
     "The revision that a part of the data path acts on."},
    {Metric::snapshot_age_seconds, Kind::gauge, "causeway_snapshot_age_seconds", "",
     "Time since the newest snapshot was compiled."},
    {Metric::interception_effective, Kind::gauge, "causeway_interception_effective", "",
     "1 if the last canary dial was taken by the kernel part, otherwise 0."},
    {Metric::proxy_up, Kind::gauge, "causeway_proxy_up", "", "1 while the proxy runs and has acknowledged a snapshot."},
    {Metric::proxy_restarts_total, Kind::counter, "causeway_proxy_restarts_total", "",
     "Times the proxy was started again after it ended."},
    {Metric::proxy_open_fds, Kind::gauge, "causeway_proxy_open_fds", "", "File descriptors that the proxy has open."},
    {Metric::proxy_max_fds, Kind::gauge, "causeway_proxy_max_fds", "",
     "File descriptors that the proxy may have open."},
    {Metric::access_log_lines_total, Kind::counter, "causeway_access_log_lines_total", "",
     "Lines of the access log, without those dropped for lack of a buffer."},
    {Metric::access_log_dropped_total, Kind::counter, "causeway_access_log_dropped_total", "reason",
     "Lines of the access log that were dropped: `buffer`, none was free because the output is slow; `output`, it took "
     "none."},
    {Metric::build_info, Kind::gauge, "causeway_build_info", "version", "Always 1; the version is in the label."},
}};

std::string_view type_name(Kind kind) {
  switch (kind) {
    case Kind::counter: return "counter";
    case Kind::gauge: return "gauge";
    case Kind::histogram: return "histogram";
  }
  return "untyped";
}

}  // namespace

std::span<const Definition> metrics_table() { return kTable; }

const Definition& definition(Metric metric) { return kTable[static_cast<std::size_t>(metric)]; }

std::string metrics_page() {
  std::string page =
      "# Metrics\n\n"
      "`http://127.0.0.1:7071/metrics` answers in the Prometheus text format. This page is made from the table in\n"
      "`userspace/observe/metrics_table.cpp`.\n\n"
      "| label | values |\n|---|---|\n"
      "| `namespace`, `discovery_name` | of the service dialled; `other` for what is beyond 1,024 (service, client) pairs |\n"
      "| `client` | the ECS service whose task dialled, or `host` for a process outside all tasks |\n"
      "| `path` | `proxy` or `kernel` |\n"
      "| `code` | `1xx` to `5xx`, or `none` |\n"
      "| `reason` | `refused`, `reset`, `timeout`, `no_endpoint`, `unreachable`, `limit`, `other`; of overflows: `connections`, `endpoint_connections`, `pending_requests`, `retries`, `retry_budget`; of the access log: `buffer`, `output`; of connections ended: `drain` |\n"
      "| `limit` | of a service: `max_connections`, `max_pending_requests`, `max_retries` ([settings](settings.md)); of clients: `header_bytes`, `header_fields`, `header_time`, `body_idle`, `connections`, `workload`, `descriptors` ([limits](limits.md)) |\n"
      "| `health` | `healthy`, `unhealthy`, `starting`, `draining` |\n"
      "| `sink` | `proxy`, `kernel`, `dns` |\n\n"
      "| metric | type | labels | what it tells |\n|---|---|---|---|\n";
  for (const auto& row : kTable) {
    page += fmt::format("| `{}` | {} | {} | {} |\n", row.name, type_name(row.kind), row.labels, row.help);
  }
  return page;
}

}  // namespace causeway::observe
