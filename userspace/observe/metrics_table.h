#pragma once
// Every metric of Causeway, once: its name, type, labels and text. The exposition and docs/metrics.md are made from it.
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace causeway::observe {

enum class Metric : std::uint8_t {
  requests_total,
  request_duration_seconds,
  connections_opened_total,
  connections_active,
  connections_failed_total,
  connect_duration_seconds,
  connection_duration_seconds,
  connection_rtt_seconds,
  retransmits_total,
  connections_ended_total,
  bytes_sent_total,
  bytes_received_total,
  retries_total,
  ejections_total,
  limits_exceeded_total,
  ejection_returns_total,
  overflows_total,
  upstream_connections_active,
  requests_pending,
  retries_active,
  limit_reached,
  endpoints_ejected,
  endpoints,
  dns_queries_total,
  snapshot_revision,
  snapshot_age_seconds,
  interception_effective,
  proxy_up,
  proxy_restarts_total,
  proxy_open_fds,
  proxy_max_fds,
  access_log_lines_total,
  access_log_dropped_total,
  build_info,
  count,
};

enum class Kind : std::uint8_t { counter, gauge, histogram };

struct Definition {
  Metric metric;
  Kind kind;
  std::string_view name;    ///< with the prefix causeway_
  std::string_view labels;  ///< "namespace, discovery_name, client"
  std::string_view help;
};

/// In the order of Metric.
std::span<const Definition> metrics_table();
const Definition& definition(Metric metric);

/// docs/metrics.md.
std::string metrics_page();

}  // namespace causeway::observe
