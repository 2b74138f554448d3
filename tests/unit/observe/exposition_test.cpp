#include "observe/exposition.h"

#include <cstdio>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>
#include <unistd.h>

#include "observe/totals.h"

namespace causeway::observe {
namespace {

TEST(Exposition, WritesTypeHelpAndEscapedLabels) {
  Exposition out;
  out.add(Metric::endpoints, {{"namespace", "a\"b\\c\nd"}, {"discovery_name", "x"}, {"health", "healthy"}}, 3);
  EXPECT_EQ(out.text(),
            "# HELP causeway_endpoints Endpoints by their health.\n# TYPE causeway_endpoints gauge\n"
            "causeway_endpoints{namespace=\"a\\\"b\\\\c\\nd\",discovery_name=\"x\",health=\"healthy\"} 3\n");
}

TEST(Exposition, HistogramsAreCumulativeAndInSeconds) {
  Exposition out;
  const std::uint32_t bounds[] = {100, 2'500};
  const std::uint64_t buckets[] = {1, 2, 4};
  out.add_histogram(Metric::connect_duration_seconds, {{"path", "proxy"}}, bounds, buckets, 1'500'000);
  const auto text = out.text();
  for (const char* line :
       {"_bucket{path=\"proxy\",le=\"0.0001\"} 1\n", "_bucket{path=\"proxy\",le=\"0.0025\"} 3\n",
        "_bucket{path=\"proxy\",le=\"+Inf\"} 7\n", "_sum{path=\"proxy\"} 1.5\n", "_count{path=\"proxy\"} 7\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << "\nin\n" << text;
  }
}

SnapshotPtr snapshot_of(std::uint32_t services) {
  auto snapshot = std::make_shared<Snapshot>();
  for (std::uint32_t i = 1; i <= services; ++i) {
    Service service;
    service.id = ServiceId{i};
    service.namespace_name = "myapp.local";
    service.discovery_name = "service-" + std::to_string(i);
    service.endpoints.resize(2);
    service.endpoints[1].health = Health::starting;
    snapshot->services[service.id] = std::make_shared<Service>(std::move(service));
  }
  return snapshot;
}

std::size_t count(const std::string& text, const std::string& needle) {
  std::size_t found = 0;
  for (auto at = text.find(needle); at != std::string::npos; at = text.find(needle, at + 1)) ++found;
  return found;
}

TEST(Totals, AddsUpWorkersAndNamesClients) {
  auto slab = Slab::create(2).value();
  for (std::size_t worker = 0; worker < 2; ++worker) {
    auto& slot = slab.slot(worker, ServiceId{1}, ClientId{7});
    bump(slot.requests[2], 10);
    slot.request_duration.observe(300);
  }
  auto snapshot = std::make_shared<Snapshot>(*snapshot_of(1));
  snapshot->workloads["t"] = Workload{ClientId{7}, "t", "frontend", 0, {}, {}, {}};
  ClientNames names;
  names.learn(*snapshot);
  snapshot->workloads.clear();
  names.learn(*snapshot);
  Exposition out;
  expose_totals(out, {add_up(slab), {}}, *snapshot, names);
  expose_endpoints(out, *snapshot);
  const auto text = out.text();
  EXPECT_EQ(count(text,
                  "causeway_requests_total{namespace=\"myapp.local\",discovery_name=\"service-1\",client=\"frontend\","
                  "path=\"proxy\",code=\"2xx\"} 20\n"),
            1u)
      << text;
  EXPECT_EQ(count(text, "health=\"starting\"} 1\n"), 1u);
}

TEST(Totals, WhatIsInUseIsTheServicesAndMeasuredByItsLimits) {
  auto slab = Slab::create(2).value();
  // A connection that one client made, another may have closed: only the sum has a meaning.
  bump(slab.slot(0, ServiceId{1}, ClientId{7}).upstream_connections, 5);
  drop(slab.slot(0, ServiceId{1}, kHostClient).upstream_connections, 2);
  bump(slab.slot(1, ServiceId{1}, kHostClient).upstream_connections, 4);
  bump(slab.slot(0, ServiceId{1}, kHostClient).requests_pending, 2);
  bump(slab.slot(0, ServiceId{1}, kHostClient).overflows[static_cast<std::size_t>(Overflow::retries)], 3);
  auto snapshot = std::make_shared<Snapshot>(*snapshot_of(1));
  auto service = std::make_shared<Service>(*snapshot->services.at(ServiceId{1}));
  service->settings.max_connections = 7;
  service->settings.max_pending_requests = 3;
  snapshot->services[ServiceId{1}] = service;
  Exposition out;
  expose_totals(out, {add_up(slab), {}}, *snapshot, {});
  const auto text = out.text();
  const std::string of = "{namespace=\"myapp.local\",discovery_name=\"service-1\",path=\"proxy\"";
  for (const auto& line :
       {"causeway_upstream_connections_active" + of + "} 7\n", "causeway_requests_pending" + of + "} 2\n",
        "causeway_retries_active" + of + "} 0\n", "causeway_limit_reached" + of + ",limit=\"max_connections\"} 1\n",
        "causeway_limit_reached" + of + ",limit=\"max_pending_requests\"} 0\n",
        "causeway_limit_reached" + of + ",limit=\"max_retries\"} 0\n"}) {
    EXPECT_EQ(count(text, line), 1u) << line << "in\n" << text;
  }
  EXPECT_EQ(count(text, "client=\"host\",path=\"proxy\",reason=\"retries\"} 3\n"), 1u);

  slab.reset_gauges();
  Exposition after;
  expose_totals(after, {add_up(slab), {}}, *snapshot, {});
  EXPECT_EQ(count(after.text(), "causeway_upstream_connections_active" + of + "} 0\n"), 1u);
  EXPECT_EQ(count(after.text(), "reason=\"retries\"} 3\n"), 1u) << "counters outlive the proxy";
}

TEST(Totals, CardinalityIsBoundedAndNothingIsLost) {
  constexpr std::uint32_t kServices = 1500;
  auto slab = Slab::create(2).value();
  for (std::uint32_t i = 1; i <= kServices; ++i) bump(slab.slot(i % 2, ServiceId{i}, kHostClient).requests[2]);
  Exposition out;
  expose_totals(out, {add_up(slab), {}}, *snapshot_of(kServices), {});
  const auto text = out.text();
  EXPECT_EQ(count(text, "causeway_requests_total{"), kMaxPairs + 1);
  EXPECT_EQ(count(text,
                  "causeway_requests_total{namespace=\"other\",discovery_name=\"other\",client=\"other\",path="
                  "\"proxy\",code=\"2xx\"} " +
                      std::to_string(kServices - kMaxPairs) + "\n"),
            1u);
}

TEST(Totals, TheKernelPathHasConnectionsAndBytesAlone) {
  TotalsMap kernel;
  Totals& host = kernel[{ServiceId{1}, kHostClient}];
  host.connections_opened = 5;
  host.connections_active = 2;
  host.bytes_sent = 70;
  host.connections_failed[static_cast<std::size_t>(FailureReason::refused)] = 3;
  host.connect_buckets[0] = 5;
  kernel[{ServiceId{9}, kHostClient}].connections_opened = 1;  // of a service that is gone
  kernel[{ServiceId{0xffffffff}, kHostClient}].connections_opened = 4;
  Exposition out;
  expose_totals(out, {{}, kernel}, *snapshot_of(1), {});
  const auto text = out.text();
  const std::string of = "{namespace=\"myapp.local\",discovery_name=\"service-1\",client=\"host\",path=\"kernel\"";
  for (const auto& line :
       {"causeway_connections_opened_total" + of + "} 5\n", "causeway_connections_active" + of + "} 2\n",
        "causeway_bytes_sent_total" + of + "} 70\n", "causeway_connect_duration_seconds_count" + of + "} 5\n",
        "causeway_connections_failed_total" + of + ",reason=\"refused\"} 3\n"}) {
    EXPECT_EQ(count(text, line), 1u) << line << "in\n" << text;
  }
  EXPECT_EQ(count(text, "causeway_connections_opened_total{"), 2u);
  EXPECT_EQ(count(text, "client=\"other\",path=\"kernel\"} 4\n"), 1u);
  for (const char* absent : {"requests", "retries", "upstream", "path=\"proxy\""})
    EXPECT_EQ(count(text, absent), 0u) << absent;
}

TEST(Totals, ARemovedServiceLeavesTheExposition) {
  auto slab = Slab::create(1).value();
  bump(slab.slot(0, ServiceId{9}, kHostClient).requests[2]);
  Exposition out;
  expose_totals(out, {add_up(slab), {}}, *snapshot_of(1), {});
  EXPECT_EQ(out.text(), "");
}

TEST(Totals, WhatAProxyMayWriteIsNamedFromTheSnapshotAlone) {
  // The proxy reads strangers' bytes and writes the slab: service and client numbers in it may be anything.
  auto slab = Slab::create(1).value();
  bump(slab.slot(0, ServiceId{0xfffffffeu}, ClientId{0xffffffffu}).retries, 5);
  bump(slab.slot(0, ServiceId{1}, ClientId{123}).retries, 2);
  bump(slab.slot(0, ServiceId{1}, ClientId{456}).retries, 3);
  bump(slab.slot(0, ServiceId{0}, kHostClient).retries, 7);  // the overflow slot
  Exposition out;
  expose_totals(out, {add_up(slab), {}}, *snapshot_of(1), {});
  const auto text = out.text();
  EXPECT_EQ(count(text, "causeway_retries_total{"), 2u);
  EXPECT_EQ(count(text,
                  "causeway_retries_total{namespace=\"myapp.local\",discovery_name=\"service-1\",client=\"unknown\","
                  "path=\"proxy\"} 5\n"),
            1u);
  EXPECT_EQ(
      count(text,
            "causeway_retries_total{namespace=\"other\",discovery_name=\"other\",client=\"other\",path=\"proxy\"} 7\n"),
      1u);
}

TEST(Totals, AddsUpTheAccessLogOfAllWorkers) {
  auto slab = Slab::create(2).value();
  for (std::size_t worker = 0; worker < 2; ++worker) {
    bump(slab.worker(worker).access_log_lines, 10);
    bump(slab.worker(worker).access_log_dropped, 2);
    bump(slab.worker(worker).access_log_unwritten, 1);
  }
  Exposition out;
  expose_access_log(out, slab);
  const auto text = out.text();
  EXPECT_EQ(count(text, "causeway_access_log_lines_total 20\n"), 1u);
  EXPECT_EQ(count(text, "causeway_access_log_dropped_total{reason=\"buffer\"} 4\n"), 1u);
  EXPECT_EQ(count(text, "causeway_access_log_dropped_total{reason=\"output\"} 2\n"), 1u);
}

TEST(MetricsTable, StandsInItsOrder) {
  for (std::size_t i = 0; i < metrics_table().size(); ++i)
    EXPECT_EQ(static_cast<std::size_t>(metrics_table()[i].metric), i);
}

TEST(MetricsTable, ThePageIsWhatTheTableMakes) {
  std::ifstream file(CAUSEWAY_SOURCE_DIR "/docs/metrics.md");
  std::stringstream page;
  page << file.rdbuf();
  const auto made = metrics_page();
  if (page.str() != made) std::ofstream("metrics.md.expected") << made;
  EXPECT_TRUE(page.str() == made) << "docs/metrics.md is out of date; the text expected is in ./metrics.md.expected";
}

TEST(Totals, TheKernelPathsLimitsAndEnds) {
  TotalsMap kernel;
  Totals& host = kernel[{ServiceId{1}, kHostClient}];
  host.overflows[static_cast<std::size_t>(Overflow::connections)] = 4;
  host.drained = 2;
  host.retransmits = 9;
  host.rtt_buckets[0] = 3;
  host.rtt_sum_us = 60;
  host.lifetime_buckets[8] = 1;
  auto snapshot = std::make_shared<Snapshot>(*snapshot_of(1));
  auto service = std::make_shared<Service>(*snapshot->services.at(ServiceId{1}));
  service->settings.max_connections = 7;
  snapshot->services[ServiceId{1}] = service;
  Exposition out;
  expose_totals(out, {{}, kernel}, *snapshot, {});
  expose_kernel_usage(out, *snapshot, [](ServiceId) { return 7; });
  const auto text = out.text();
  const std::string of = "{namespace=\"myapp.local\",discovery_name=\"service-1\",";
  const std::string by = of + "client=\"host\",path=\"kernel\"";
  for (const auto& line :
       {"causeway_overflows_total" + by + ",reason=\"connections\"} 4\n",
        "causeway_connections_ended_total" + by + ",reason=\"drain\"} 2\n", "causeway_retransmits_total" + by + "} 9\n",
        "causeway_connection_rtt_seconds_bucket" + by + ",le=\"5e-05\"} 3\n",
        "causeway_connection_duration_seconds_count" + by + "} 1\n",
        "causeway_upstream_connections_active" + of + "path=\"kernel\"} 7\n",
        "causeway_limit_reached" + of + "path=\"kernel\",limit=\"max_connections\"} 1\n"}) {
    EXPECT_EQ(count(text, line), 1u) << line << "in\n" << text;
  }
}

TEST(MetricsTable, PromtoolHasNothingToSay) {
  auto slab = Slab::create(1).value();
  auto& slot = slab.slot(0, ServiceId{1}, kHostClient);
  for (auto& requests : slot.requests) bump(requests);
  for (auto& failed : slot.connections_failed) bump(failed);
  for (auto& exceeded : slot.bounds_exceeded) bump(exceeded);
  for (auto& overflow : slot.overflows) bump(overflow);
  slot.request_duration.observe(10);
  Exposition out;
  TotalsMap kernel;
  kernel[{ServiceId{1}, kHostClient}].overflows[0] = 1;
  expose_totals(out, {add_up(slab), kernel}, *snapshot_of(1), {});
  expose_endpoints(out, *snapshot_of(1));
  expose_kernel_usage(out, *snapshot_of(1), [](ServiceId) { return 1; });
  expose_access_log(out, slab);
  out.add(Metric::dns_queries_total, {{"result", "answered"}}, 1);
  out.add(Metric::snapshot_revision, {{"sink", "proxy"}}, 1);
  out.add(Metric::snapshot_age_seconds, {}, 0.25);
  out.add(Metric::interception_effective, {}, 1);
  out.add(Metric::proxy_up, {}, 1);
  out.add(Metric::proxy_restarts_total, {}, 1);
  out.add(Metric::proxy_open_fds, {}, 30);
  out.add(Metric::proxy_max_fds, {}, 1024);
  out.add(Metric::build_info, {{"version", "0"}}, 1);
  const auto text = out.text();
  EXPECT_EQ(count(text, "# TYPE "), metrics_table().size()) << "a metric of the table is not covered here";

  char path[] = "/tmp/causeway-metrics-XXXXXX";
  const int fd = ::mkstemp(path);
  ASSERT_GE(fd, 0);
  ASSERT_EQ(::write(fd, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  ::close(fd);
  FILE* promtool = ::popen((std::string("promtool check metrics <") + path + " 2>&1").c_str(), "r");
  ASSERT_NE(promtool, nullptr);
  std::string said(4096, '\0');
  said.resize(std::fread(said.data(), 1, said.size(), promtool));
  const int status = ::pclose(promtool);
  ::unlink(path);
  EXPECT_EQ(status, 0) << said;
  EXPECT_EQ(said, "");
}

}  // namespace
}  // namespace causeway::observe
