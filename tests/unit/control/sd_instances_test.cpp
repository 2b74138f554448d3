#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api_world.h"

namespace causeway::control::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

class SdInstances : public ApiTest {
 protected:
  std::string space_ = make_namespace("myapp.local");
  std::string web_ = make_service(space_, "web", a_records() + ",'HealthCheckCustomConfig':{'FailureThreshold':1}");

  std::string of(const std::string& id) const { return "{'ServiceId':'" + web_ + "','InstanceId':'" + id + "'}"; }
  std::string registration(const std::string& attributes, const std::string& id = "i-1") const {
    return "{'ServiceId':'" + web_ + "','InstanceId':'" + id + "','Attributes':" + attributes + "}";
  }
  json::object discover(const std::string& more = "") {
    return ok("DiscoverInstances", "{'NamespaceName':'myapp.local','ServiceName':'web'" + more + "}");
  }
  std::vector<std::string> found(const std::string& more = "") {
    std::vector<std::string> ids;
    const auto answer = discover(more);
    for (const auto& item : answer.at("Instances").as_array()) ids.push_back(str(item.at("InstanceId")));
    std::sort(ids.begin(), ids.end());
    return ids;
  }
  std::int64_t revision() { return discover().at("InstancesRevision").as_int64(); }
  void health(const std::string& id, const std::string& status) {
    ok("UpdateInstanceCustomHealthStatus",
       "{'ServiceId':'" + web_ + "','InstanceId':'" + id + "','Status':'" + status + "'}");
  }
};

TEST_F(SdInstances, AreRegisteredUpdatedAndDeregistered) {
  const auto before = revision();
  const auto operation =
      register_instance(web_, "i-1", "{'AWS_INSTANCE_IPV4':'10.0.0.1','AWS_INSTANCE_PORT':'3000','zone':'a b'}");
  EXPECT_EQ(revision(), before + 1);
  EXPECT_EQ(status_of(operation), "PENDING");
  controller_->acknowledged(controller_->snapshot()->revision);
  const auto done = ok("GetOperation", "{'OperationId':'" + operation + "'}").at("Operation").as_object();
  EXPECT_EQ(done.at("Status"), "SUCCESS");
  EXPECT_EQ(json::serialize(done.at("Targets")), quoted("{'INSTANCE':'i-1','SERVICE':'" + web_ + "'}"));
  const auto number = controller_->state().instances.at(web_).at("i-1").number;
  EXPECT_NE(number, EndpointId(0));
  EXPECT_EQ(ok("GetInstance", of("i-1")).at("Instance").at("Attributes").at("zone"), "a b");

  register_instance(web_, "i-1", "{'AWS_INSTANCE_IPV4':'10.0.0.2'}");
  EXPECT_EQ(json::serialize(ok("GetInstance", of("i-1")).at("Instance").at("Attributes")),
            quoted("{'AWS_INSTANCE_IPV4':'10.0.0.2'}"));
  EXPECT_GT(controller_->state().instances.at(web_).at("i-1").number, number) << "another address, another endpoint";
  const auto moved = controller_->state().instances.at(web_).at("i-1").number;
  EXPECT_EQ(revision(), before + 2);
  register_instance(web_, "i-1", "{'AWS_INSTANCE_IPV4':'10.0.0.2','zone':'c'}");
  EXPECT_EQ(controller_->state().instances.at(web_).at("i-1").number, moved) << "the same endpoint, updated";
  EXPECT_EQ(revision(), before + 3);
  EXPECT_EQ(ok("GetService", "{'Id':'" + web_ + "'}").at("Service").at("InstanceCount"), 1);

  ok("DeregisterInstance", of("i-1"));
  EXPECT_EQ(revision(), before + 4);
  EXPECT_THAT(refused("GetInstance", of("i-1")), StartsWith("404 InstanceNotFound: "));
  EXPECT_THAT(refused("DeregisterInstance", of("i-1")), StartsWith("404 InstanceNotFound: "));
  EXPECT_TRUE(found().empty());
  register_instance(web_, "i-1", "{'AWS_INSTANCE_IPV4':'10.0.0.1'}");
  EXPECT_GT(controller_->state().instances.at(web_).at("i-1").number, number) << "numbers are never given twice";
}

TEST_F(SdInstances, ARequestSentTwiceIsOneOperation) {
  const auto input = "{'ServiceId':'" + web_ +
                     "','InstanceId':'i','CreatorRequestId':'c','Attributes':{'AWS_INSTANCE_IPV4':'10.0.0.1'}}";
  const auto first = ok("RegisterInstance", input);
  const auto at = store_->revision();
  EXPECT_EQ(ok("RegisterInstance", input), first);
  EXPECT_EQ(store_->revision(), at);
}

TEST_F(SdInstances, BadInputIsNamed) {
  std::string many;
  for (int i = 0; i < 31; ++i) many += ",'k" + std::to_string(i) + "':'v'";
  std::string large;
  for (int i = 0; i < 6; ++i) large += ",'k" + std::to_string(i) + "':'" + std::string(1000, 'v') + "'";
  const std::pair<std::string, const char*> cases[] = {
      {registration("{}"), "AWS_INSTANCE_IPV4 is required and missing: service \"web\" has A records"},
      {registration("{'AWS_INSTANCE_IPV4':'10.0.0'}"), "AWS_INSTANCE_IPV4 must be an IPv4 address, got \"10.0.0\""},
      {registration("{'AWS_INSTANCE_IPV4':'example.com'}"), "must be an IPv4 address"},
      {registration("{'AWS_INSTANCE_IPV4':'::1'}"), "must be an IPv4 address"},
      {registration("{'AWS_INSTANCE_IPV4':'127.255.0.9'}"), "127.255.0.0/16, the range that Causeway gives to aliases"},
      {registration("{'AWS_INSTANCE_IPV4':'0.0.0.0'}"), "no host's address"},
      {registration("{'AWS_INSTANCE_IPV4':'224.0.0.1'}"), "multicast"},
      {registration("{'AWS_INSTANCE_IPV4':'10.0.0.1','AWS_INSTANCE_IPV6':'100::5'}"), "100::/64, the range"},
      {registration("{'AWS_INSTANCE_IPV4':'10.0.0.1','AWS_INSTANCE_IPV6':'::ffff:10.0.0.1'}"),
       "give it as AWS_INSTANCE_IPV4"},
      {registration("{'AWS_INSTANCE_IPV4':'10.0.0.1','AWS_INSTANCE_IPV6':'10.0.0.1'}"), "must be an IPv6 address"},
      {registration("{'AWS_INSTANCE_IPV4':'10.0.0.1','AWS_INSTANCE_IPV6':'fe80::1'}"), "link-local address"},
      {registration("{'AWS_INSTANCE_IPV4':'10.0.0.1','AWS_INSTANCE_IPV6':'febf::1'}"), "link-local address"},
      {registration("{'AWS_INSTANCE_IPV4':'10.0.0.1','AWS_INSTANCE_PORT':'0'}"),
       "AWS_INSTANCE_PORT must be 1 to 65535, got \"0\""},
      {registration("{'AWS_INSTANCE_IPV4':'10.0.0.1','causeway:weight':'256'}"),
       "causeway:weight must be a whole number from 0 to 255, got \"256\""},
      {registration("{'AWS_INSTANCE_IPV4':'10.0.0.1','causeway:weight':''}"), "causeway:weight must be"},
      {registration("{'AWS_INSTANCE_IPV4':'10.0.0.1','causeway:weight':'-1'}"), "causeway:weight must be"},
      {registration("{'AWS_INSTANCE_IPV4':'10.0.0.1','AWS_INSTANCE_PORT':'65536'}"), "AWS_INSTANCE_PORT must be"},
      {registration("{'AWS_INSTANCE_IPV4':'10.0.0.1','AWS_INSTANCE_PORT':'80x'}"), "AWS_INSTANCE_PORT must be"},
      {registration("{'AWS_INSTANCE_IPV4':'10.0.0.1','AWS_INIT_HEALTH_STATUS':'SICK'}"),
       "must be HEALTHY or UNHEALTHY"},
      {registration("{'AWS_INSTANCE_IPV4':'10.0.0.1','AWS_ALIAS_DNS_NAME':'x'}"), "Elastic Load Balancer"},
      {registration("{'AWS_INSTANCE_IPV4':'10.0.0.1','AWS_EC2_INSTANCE_ID':'i-1'}"), "needs EC2"},
      {registration("{'AWS_INSTANCE_IPV4':'10.0.0.1','AWS_INSTANCE_CNAME':'a b'}"), "must be a DNS name"},
      {registration("{'AWS_INSTANCE_IPV4':'10.0.0.1'" + many + "}"), "may hold 30 custom ones, got 31"},
      {registration("{'AWS_INSTANCE_IPV4':'10.0.0.1'" + large + "}"), "5000 characters in all"},
      {registration("{'AWS_INSTANCE_IPV4':10}"), "Attributes[\"AWS_INSTANCE_IPV4\"] must be a string, got 10"},
      {registration("{'a b':'c'}"), "Attributes key must be visible ASCII"},
      {registration("['a']"), "Attributes must be a map"},
      {registration("{'AWS_INSTANCE_IPV4':'10.0.0.1'}", "i 1"), "InstanceId must be letters, digits and _/:.@-"},
      {registration("{'AWS_INSTANCE_IPV4':'10.0.0.1'}", std::string(65, 'i')),
       "InstanceId must have 1 to 64 characters, has 65"},
  };
  for (const auto& [input, expected] : cases) {
    EXPECT_THAT(refused("RegisterInstance", input), AllOf(StartsWith("400 InvalidInput: "), HasSubstr(expected)))
        << input.substr(0, 200);
  }
  EXPECT_THAT(refused("RegisterInstance", "{'ServiceId':'srv-absent','InstanceId':'i','Attributes':{}}"),
              StartsWith("404 ServiceNotFound: "));
  const auto srv = make_service(space_, "srv", ",'DnsConfig':{'DnsRecords':[{'Type':'SRV','TTL':1}]}");
  const auto in_srv = [&](const std::string& attributes) {
    return "{'ServiceId':'" + srv + "','InstanceId':'i','Attributes':" + attributes + "}";
  };
  EXPECT_THAT(refused("RegisterInstance", in_srv("{'AWS_INSTANCE_IPV4':'10.0.0.1'}")),
              HasSubstr("AWS_INSTANCE_PORT is required"));
  EXPECT_THAT(refused("RegisterInstance", in_srv("{'AWS_INSTANCE_PORT':'1'}")),
              HasSubstr("AWS_INSTANCE_IPV4 or AWS_INSTANCE_IPV6 is required"));
  EXPECT_THAT(
      refused("RegisterInstance",
              in_srv("{'AWS_INSTANCE_IPV4':'10.0.0.1','AWS_INSTANCE_PORT':'1','AWS_INIT_HEALTH_STATUS':'HEALTHY'}")),
      HasSubstr("made without HealthCheckCustomConfig"));
  const auto free = make_service(make_namespace("plain", false), "free");
  register_instance(free, "any", "{'url':'https://example.com'}");
}

TEST_F(SdInstances, OfTasksAreTheTasksOwn) {
  ASSERT_TRUE(controller_->change([&](Call& call) -> Result<void> {
    InstanceRecord record;
    record.service_id = web_;
    record.id = "0123456789abcdef";
    record.task_id = record.id;
    record.attributes = {{"AWS_INSTANCE_IPV4", "127.254.0.1"}};
    record.listening = false;
    call.put(record);
    return {};
  }));
  EXPECT_THAT(refused("RegisterInstance", registration("{'AWS_INSTANCE_IPV4':'10.0.0.1'}", "0123456789abcdef")),
              AllOf(StartsWith("409 ResourceInUse: "), HasSubstr("aws ecs stop-task")));
  EXPECT_THAT(refused("DeregisterInstance", of("0123456789abcdef")), StartsWith("409 ResourceInUse: "));
  EXPECT_EQ(discover(",'HealthStatus':'ALL'").at("Instances").at(0).at("HealthStatus"), "UNHEALTHY")
      << "its port does not listen yet";
}

TEST_F(SdInstances, AreListedByPageWithSlashesInIds) {
  for (int i = 0; i < 25; ++i) register_instance(web_, "i/" + std::to_string(i), "{'AWS_INSTANCE_IPV4':'10.0.0.1'}");
  std::set<std::string> seen;
  std::string token;
  do {
    const auto page = ok("ListInstances", "{'ServiceId':'" + web_ + "','MaxResults':10" +
                                              (token.empty() ? "" : ",'NextToken':'" + token + "'") + "}");
    for (const auto& item : page.at("Instances").as_array()) seen.insert(str(item.at("Id")));
    token = page.contains("NextToken") ? str(page.at("NextToken")) : "";
    // Records that come and go between two pages spoil nothing.
    if (seen.size() == 10) ok("DeregisterInstance", of(*seen.rbegin()));
  } while (!token.empty());
  EXPECT_EQ(seen.size(), 25u);
  EXPECT_EQ(
      ok("ListInstances", "{'ServiceId':'" + make_service(space_, "empty") + "'}").at("Instances").as_array().size(),
      0u);
}

TEST_F(SdInstances, AreDiscoveredByAttributes) {
  register_instance(web_, "a1", "{'AWS_INSTANCE_IPV4':'10.0.0.1','zone':'a','v':'1'}");
  register_instance(web_, "a2", "{'AWS_INSTANCE_IPV4':'10.0.0.2','zone':'a','v':'2'}");
  register_instance(web_, "b1", "{'AWS_INSTANCE_IPV4':'10.0.0.3','zone':'b','v':'1'}");
  EXPECT_THAT(found(), testing::ElementsAre("a1", "a2", "b1"));
  EXPECT_THAT(found(",'QueryParameters':{'zone':'a'}"), testing::ElementsAre("a1", "a2"));
  EXPECT_THAT(found(",'QueryParameters':{'zone':'a','v':'3'}"), testing::IsEmpty());
  EXPECT_THAT(found(",'QueryParameters':{'zone':'a'},'OptionalParameters':{'v':'2'}"), testing::ElementsAre("a2"));
  EXPECT_THAT(found(",'QueryParameters':{'zone':'b'},'OptionalParameters':{'v':'2'}"), testing::ElementsAre("b1"))
      << "opportunistic";
  EXPECT_EQ(found(",'MaxResults':2").size(), 2u);
  const auto one = discover(",'QueryParameters':{'v':'2'}").at("Instances").at(0).as_object();
  EXPECT_EQ(one.at("NamespaceName"), "myapp.local");
  EXPECT_EQ(one.at("ServiceName"), "web");
  EXPECT_EQ(one.at("HealthStatus"), "HEALTHY");
  EXPECT_EQ(one.at("Attributes").at("AWS_INSTANCE_IPV4"), "10.0.0.2");
  std::set<std::string> orders;
  for (int i = 0; i < 60; ++i) orders.insert(json::serialize(discover().at("Instances")));
  EXPECT_EQ(orders.size(), 6u) << "the order is random";
  EXPECT_THAT(refused("DiscoverInstances", "{'NamespaceName':'absent','ServiceName':'web'}"),
              StartsWith("404 NamespaceNotFound: "));
  EXPECT_THAT(refused("DiscoverInstances", "{'NamespaceName':'myapp.local','ServiceName':'absent'}"),
              StartsWith("404 ServiceNotFound: "));
  EXPECT_EQ(
      ok("DiscoverInstancesRevision", "{'NamespaceName':'MYAPP.local','ServiceName':'WEB'}").at("InstancesRevision"),
      revision());
}

TEST_F(SdInstances, AreDiscoveredByHealth) {
  register_instance(web_, "up", "{'AWS_INSTANCE_IPV4':'10.0.0.1'}");
  register_instance(web_, "down", "{'AWS_INSTANCE_IPV4':'10.0.0.2','AWS_INIT_HEALTH_STATUS':'UNHEALTHY'}");
  const auto at = revision();
  EXPECT_THAT(found(",'HealthStatus':'HEALTHY'"), testing::ElementsAre("up"));
  EXPECT_THAT(found(",'HealthStatus':'UNHEALTHY'"), testing::ElementsAre("down"));
  EXPECT_THAT(found(",'HealthStatus':'ALL'"), testing::ElementsAre("down", "up"));
  EXPECT_THAT(found(",'HealthStatus':'HEALTHY_OR_ELSE_ALL'"), testing::ElementsAre("up"));
  health("up", "UNHEALTHY");
  EXPECT_THAT(found(",'HealthStatus':'HEALTHY'"), testing::IsEmpty());
  EXPECT_THAT(found(",'HealthStatus':'HEALTHY_OR_ELSE_ALL'"), testing::ElementsAre("down", "up")) << "fails open";
  health("down", "HEALTHY");
  EXPECT_EQ(revision(), at) << "health does not raise the revision";
  EXPECT_EQ(json::serialize(ok("GetInstancesHealthStatus", "{'ServiceId':'" + web_ + "'}").at("Status")),
            quoted("{'down':'HEALTHY','up':'UNHEALTHY'}"));
  EXPECT_EQ(
      json::serialize(ok("GetInstancesHealthStatus", "{'ServiceId':'" + web_ + "','Instances':['up']}").at("Status")),
      quoted("{'up':'UNHEALTHY'}"));
  register_instance(web_, "up", "{'AWS_INSTANCE_IPV4':'10.0.0.9','AWS_INIT_HEALTH_STATUS':'HEALTHY'}");
  EXPECT_THAT(found(",'HealthStatus':'HEALTHY'"), testing::ElementsAre("down"))
      << "an update keeps the health set since";

  EXPECT_THAT(refused("GetInstancesHealthStatus", "{'ServiceId':'" + web_ + "','Instances':['absent']}"),
              StartsWith("404 InstanceNotFound: "));
  const auto unchecked = make_service(space_, "unchecked");
  register_instance(unchecked, "i", "{'x':'y'}");
  EXPECT_THAT(refused("UpdateInstanceCustomHealthStatus",
                      "{'ServiceId':'" + unchecked + "','InstanceId':'i','Status':'HEALTHY'}"),
              StartsWith("404 CustomHealthNotFound: "));
  EXPECT_EQ(ok("GetInstancesHealthStatus", "{'ServiceId':'" + unchecked + "'}").at("Status").at("i"), "UNKNOWN");
}

}  // namespace
}  // namespace causeway::control::test
