#include "kernel/entries.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include "kernel/encode.h"

namespace causeway::kernel {
namespace {

SocketAddress at(const char* text) {
  return SocketAddress::parse(text).value();
}

Endpoint endpoint(const char* address, Health health = Health::healthy) {
  Endpoint made;
  made.address = at(address);
  made.health = health;
  return made;
}

Workload workload(std::uint64_t cgroup_id, std::vector<std::uint16_t> ports) {
  Workload made;
  made.client = ClientId(7);
  made.cgroup_id = cgroup_id;
  made.namespace_number = NamespaceNumber(3);
  made.address = IpAddress::parse("127.254.0.1").value();
  made.ports = std::move(ports);
  return made;
}

/// 10.1.0.0/16 and fd01::/16 are this host's.
bool is_local(const IpAddress& ip) {
  return IpPrefix::parse("10.1.0.0/16")->contains(ip) || IpPrefix::parse("fd01::/16")->contains(ip);
}

ServiceRows rows_of(const Service& service) {
  return service_rows(service, is_local);
}

/// What stands in a set.
std::vector<std::string> texts(const ServiceRows& rows, std::uint32_t index = CW_REACHES_BOTH) {
  std::vector<std::string> all;
  const cw_set& set = rows.sets[index];
  if (set.count == 0) return all;
  for (const cw_endpoint& row : rows.lists.at(set.list).rows) all.push_back(decode(row.address).to_string());
  EXPECT_EQ(all.size(), set.count);
  return all;
}

using Texts = std::vector<std::string>;

TEST(AliasEntries, AnAliasHasOneForEachOfItsAddresses) {
  Snapshot snapshot;
  Alias alias;
  alias.namespace_number = NamespaceNumber(3);
  alias.vip4 = IpAddress::parse("127.255.0.1").value();
  alias.vip6 = IpAddress::parse("100::1").value();
  alias.port = 80;
  alias.service = ServiceId(9);
  snapshot.aliases.change([&](auto& all) { all.push_back(alias); });
  alias.vip6 = IpAddress();  // none given
  alias.port = 81;
  snapshot.aliases.change([&](auto& all) { all.push_back(alias); });
  const auto entries = alias_entries(snapshot);
  ASSERT_EQ(entries.size(), 3u);
  for (const IpAddress& ip : {snapshot.aliases[0].vip4, snapshot.aliases[0].vip6}) {
    const auto found = entries.find(cw_alias_key{encode(ip), htons(80), IPPROTO_TCP, 0});
    ASSERT_NE(found, entries.end()) << ip.to_string();
    EXPECT_EQ(found->second.service_id, 9u);
    EXPECT_EQ(found->second.namespace_number, 3u);
    EXPECT_EQ(found->second.canary_port, 0u);
  }
}

TEST(WorkloadEntries, ATaskWithoutACgroupHasNone) {
  Snapshot snapshot;
  snapshot.workloads["a"] = workload(55, {80, 81});
  snapshot.workloads["b"] = workload(0, {80});
  const auto workloads = workload_entries(snapshot);
  ASSERT_EQ(workloads.size(), 1u);
  EXPECT_EQ(workloads.at(55).client_id, 7u);
  EXPECT_EQ(workloads.at(55).namespace_number, 3u);
  EXPECT_EQ(decode(workloads.at(55).address).to_string(), "127.254.0.1");
  const auto ports = workload_port_entries(snapshot);
  EXPECT_EQ(ports.size(), 2u);
  EXPECT_TRUE(ports.contains(cw_workload_port_key{55, htons(80), {}}));
  EXPECT_TRUE(ports.contains(cw_workload_port_key{55, htons(81), {}}));
}

TEST(ServiceRows, HealthyOnesByWhatReachesThem) {
  Service service;
  service.endpoints = {endpoint("[2001:db8::1]:80"),
                       endpoint("10.0.0.1:80"),
                       endpoint("10.0.0.2:80", Health::unhealthy),
                       endpoint("10.0.0.3:80", Health::starting),
                       endpoint("10.0.0.4:80", Health::draining),
                       endpoint("10.0.0.5:0"),
                       endpoint("10.0.0.6:8080")};
  const ServiceRows rows = rows_of(service);
  EXPECT_EQ(texts(rows), (Texts{"[2001:db8::1]:80", "10.0.0.1:80", "10.0.0.6:8080"}));
  EXPECT_EQ(texts(rows, CW_REACHES_V4), (Texts{"10.0.0.1:80", "10.0.0.6:8080"}));
  EXPECT_EQ(texts(rows, CW_REACHES_V6), (Texts{"[2001:db8::1]:80"}));
  EXPECT_EQ(rows.lists.size(), 3u);
  EXPECT_EQ(rows.sets[CW_LOCAL].count, 0u);
}

TEST(ServiceRows, UnhealthyOnesWhereNoneIsHealthy) {
  Service service;
  service.endpoints = {endpoint("10.0.0.1:80", Health::starting), endpoint("10.0.0.2:80", Health::unhealthy),
                       endpoint("10.0.0.3:80", Health::draining)};
  EXPECT_EQ(texts(rows_of(service)), (Texts{"10.0.0.2:80"}));
}

TEST(ServiceEntry, TellsPathAndBalance) {
  Service service;
  service.endpoints = {endpoint("10.0.0.1:80"), endpoint("[::1]:80")};
  for (const auto& [path, kernel] :
       {std::pair{ServicePath::automatic, 0}, std::pair{ServicePath::proxy, 0}, std::pair{ServicePath::kernel, 1}}) {
    service.settings.path = path;
    const cw_service entry = service_entry(service, rows_of(service), 7);
    EXPECT_EQ(entry.generation, 7u);
    EXPECT_EQ(entry.sets[CW_REACHES_BOTH].count, 2u);
    EXPECT_EQ(entry.sets[CW_REACHES_V4].count, 1u);
    EXPECT_EQ(entry.kernel_path, kernel);
    EXPECT_EQ(entry.balance, CW_BALANCE_ROUND_ROBIN);
  }
  service.settings.balance = Balance::random;
  EXPECT_EQ(service_entry(service, rows_of(service), 1).balance, CW_BALANCE_RANDOM);
}

TEST(ServiceEntry, TellsWhenAnEndpointIsLeftOut) {
  Service service;
  cw_service entry = service_entry(service, rows_of(service), 1);
  EXPECT_EQ(entry.ejection_failures, 5);
  EXPECT_EQ(entry.ejection_percent, 50);
  EXPECT_EQ(entry.ejection_window_ms, 30'000u);
  EXPECT_EQ(entry.ejection_time_ms, 30'000u);
  EXPECT_EQ(entry.ejection_max_time_ms, 300'000u);
  service.settings.ejection = false;
  EXPECT_EQ(service_entry(service, rows_of(service), 1).ejection_failures, 0);
}

TEST(ServiceRows, NoneWithoutEndpoints) {
  const ServiceRows rows = rows_of(Service{});
  EXPECT_TRUE(rows.lists.empty());
  for (const cw_set& set : rows.sets) EXPECT_EQ(set.count, 0u);
}

TEST(ServiceRows, SetsOfTheSameEndpointsShareAList) {
  Service service;
  service.endpoints = {endpoint("10.0.0.1:80"), endpoint("10.0.0.2:80")};
  const ServiceRows rows = rows_of(service);
  ASSERT_EQ(rows.lists.size(), 1u);
  EXPECT_EQ(rows.sets[CW_REACHES_V4].count, 2u);
  EXPECT_EQ(rows.sets[CW_REACHES_V6].count, 0u);
}

Endpoint weighing(const char* address, std::uint32_t weight) {
  Endpoint made = endpoint(address);
  made.weight = weight;
  return made;
}

TEST(ServiceRows, WeightZeroTakesNoneUnlessAllHaveIt) {
  Service service;
  service.endpoints = {weighing("10.0.0.1:80", 0), weighing("10.0.0.2:80", 3), weighing("10.0.0.3:80", 1)};
  ServiceRows rows = rows_of(service);
  EXPECT_EQ(texts(rows), (Texts{"10.0.0.2:80", "10.0.0.3:80"}));
  EXPECT_TRUE(rows.weighted);
  EXPECT_EQ(rows.lists[0].rows[0].weight, 3u);
  service.endpoints = {weighing("10.0.0.1:80", 0), weighing("10.0.0.2:80", 0)};
  rows = rows_of(service);
  EXPECT_EQ(texts(rows), (Texts{"10.0.0.1:80", "10.0.0.2:80"}));
  EXPECT_FALSE(rows.weighted);
}

TEST(ServiceRows, EqualWeightsAreNone) {
  Service service;
  service.endpoints = {weighing("10.0.0.1:80", 7), weighing("10.0.0.2:80", 7)};
  const ServiceRows rows = rows_of(service);
  EXPECT_FALSE(rows.weighted);
  EXPECT_EQ(rows.lists[0].rows[0].weight, 1u);
}

TEST(ServiceRows, ThoseOfThisHostOnceMore) {
  Service service;
  service.settings.locality = Locality::prefer_host;
  service.endpoints = {endpoint("10.0.0.1:80"), endpoint("10.1.0.1:80"), endpoint("10.1.0.2:80", Health::unhealthy),
                       endpoint("[fd01::1]:80"), endpoint("10.1.0.3:80", Health::starting)};
  ServiceRows rows = rows_of(service);
  EXPECT_EQ(texts(rows), (Texts{"10.0.0.1:80", "10.1.0.1:80", "[fd01::1]:80"}));
  EXPECT_EQ(texts(rows, CW_LOCAL + CW_REACHES_BOTH), (Texts{"10.1.0.1:80", "[fd01::1]:80"}));
  EXPECT_EQ(texts(rows, CW_LOCAL + CW_REACHES_V4), (Texts{"10.1.0.1:80"}));
  EXPECT_EQ(texts(rows, CW_LOCAL + CW_REACHES_V6), (Texts{"[fd01::1]:80"}));
  EXPECT_EQ(rows.local_known, 3u);
  service.endpoints[1].weight = 0;
  EXPECT_EQ(rows_of(service).local_known, 2u) << "nobody misses what gets no connections";
  service.settings.locality = Locality::off;
  rows = rows_of(service);
  EXPECT_EQ(rows.sets[CW_LOCAL].count, 0u);
  EXPECT_EQ(rows.local_known, 0u);
}

TEST(ServiceRows, NoneOfThisHostComesFirstWhereNoneIsHealthy) {
  Service service;
  service.settings.locality = Locality::prefer_host;
  service.endpoints = {endpoint("10.0.0.1:80", Health::unhealthy), endpoint("10.1.0.1:80", Health::unhealthy)};
  const ServiceRows rows = rows_of(service);
  EXPECT_EQ(rows.sets[CW_REACHES_BOTH].count, 2u);
  EXPECT_EQ(rows.sets[CW_LOCAL].count, 0u);
}

TEST(ServiceRows, TheMaglevTableDoesNotGoByIds) {
  Service service;
  service.settings.balance = Balance::maglev;
  service.endpoints = {endpoint("10.0.0.1:80"), endpoint("10.0.0.2:80"), endpoint("[2001:db8::1]:80")};
  const ServiceRows rows = rows_of(service);
  ASSERT_EQ(rows.lists.size(), 3u);
  for (const RowList& list : rows.lists) EXPECT_FALSE(list.lookup.empty());
  EXPECT_EQ(rows.sets[CW_REACHES_BOTH].lookup_size, rows.lists[0].lookup.size());
  for (Endpoint& each : service.endpoints) each.id = EndpointId(each.id.value + 100);
  EXPECT_EQ(rows_of(service).lists[0].lookup, rows.lists[0].lookup);
}

}  // namespace
}  // namespace causeway::kernel
