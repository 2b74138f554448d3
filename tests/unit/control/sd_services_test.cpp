#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api_world.h"

namespace causeway::control::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

class SdServices : public ApiTest {
 protected:
  std::string dns_ = make_namespace("myapp.local");
  std::string http_ = make_namespace("plain", false);
  std::string create(const std::string& members) const {
    return "{'Name':'web','NamespaceId':'" + dns_ + "'," + members + "}";
  }
};

TEST_F(SdServices, AreMadeAndShown) {
  const auto made = ok("CreateService", "{'Name':'user-service','DnsConfig':{'NamespaceId':'" + dns_ +
                                            "','RoutingPolicy':'MULTIVALUE','DnsRecords':[{'Type':'A','TTL':10}]},"
                                            "'HealthCheckCustomConfig':{'FailureThreshold':1},'Description':'d'}")
                        .at("Service")
                        .as_object();
  const auto id = str(made.at("Id"));
  EXPECT_THAT(id, testing::MatchesRegex("srv-[a-z0-9]{16}"));
  EXPECT_EQ(str(made.at("Arn")), "arn:aws:servicediscovery:us-east-1:000000000000:service/" + id);
  EXPECT_EQ(str(made.at("NamespaceId")), dns_);
  EXPECT_EQ(made.at("Type"), "DNS_HTTP");
  EXPECT_EQ(made.at("InstanceCount"), 0);
  EXPECT_EQ(json::serialize(made.at("DnsConfig").at("DnsRecords")), quoted("[{'Type':'A','TTL':10}]"));
  EXPECT_EQ(made.at("HealthCheckCustomConfig").at("FailureThreshold"), 1);
  EXPECT_EQ(ok("GetService", "{'Id':'" + id + "'}").at("Service"), json::value(made));
  EXPECT_EQ(str(ok("GetService", "{'Id':'" + str(made.at("Arn")) + "'}").at("Service").at("Id")), id);
  const auto plain = ok("CreateService", "{'Name':'p','NamespaceId':'" + http_ + "'}").at("Service").as_object();
  EXPECT_EQ(plain.at("Type"), "HTTP");
  EXPECT_FALSE(plain.contains("DnsConfig"));
}

TEST_F(SdServices, NamesAreGivenOnceANamespaceInAnyCase) {
  make_service(dns_, "Web");
  const auto answer = call("CreateService", create("'CreatorRequestId':'other'"));
  EXPECT_EQ(answer.status, 400u);
  EXPECT_EQ(answer.type(), "ServiceAlreadyExists");
  EXPECT_THAT(str(answer.body.at("ServiceId")), StartsWith("srv-"));
  EXPECT_THAT(str(answer.body.at("ServiceArn")), StartsWith("arn:aws:servicediscovery:"));
  make_service(http_, "web");
}

TEST_F(SdServices, ARequestSentTwiceIsAnsweredTheSame) {
  const auto input = create("'CreatorRequestId':'c','DnsConfig':{'DnsRecords':[{'Type':'A','TTL':10}]}");
  const auto first = ok("CreateService", input);
  const auto revision = store_->revision();
  EXPECT_EQ(ok("CreateService", input), first);
  EXPECT_EQ(store_->revision(), revision);
  EXPECT_THAT(refused("CreateService", create("'CreatorRequestId':'c'")), StartsWith("400 ServiceAlreadyExists"));
}

TEST_F(SdServices, BadInputIsNamed) {
  const std::pair<std::string, const char*> cases[] = {
      {"{'Name':'web'}", "NamespaceId is required and missing"},
      {"{'Name':'we b','NamespaceId':'" + dns_ + "'}", "Name must be labels"},
      {"{'Name':'" + std::string(128, 'a') + "','NamespaceId':'" + dns_ + "'}", "has 128"},
      {create("'DnsConfig':{}"), "DnsConfig.DnsRecords is required and missing"},
      {create("'DnsConfig':{'DnsRecords':[]}"), "DnsConfig.DnsRecords must have 1 to 4 elements, has 0"},
      {create("'DnsConfig':{'DnsRecords':[{'Type':'MX','TTL':1}]}"),
       "DnsConfig.DnsRecords[0].Type must be one of SRV, A, AAAA, CNAME, got \"MX\""},
      {create("'DnsConfig':{'DnsRecords':[{'Type':'A'}]}"), "DnsRecords[0].TTL is required"},
      {create("'DnsConfig':{'DnsRecords':[{'Type':'A','TTL':'10'}]}"), "TTL must be an integer, got \"10\""},
      {create("'DnsConfig':{'DnsRecords':[{'Type':'A','TTL':1},{'Type':'A','TTL':2}]}"), "has A twice"},
      {create("'DnsConfig':{'DnsRecords':[{'Type':'CNAME','TTL':1},{'Type':'A','TTL':2}]}"), "CNAME stands alone"},
      {create("'DnsConfig':{'DnsRecords':[{'Type':'CNAME','TTL':1}]}"), "must be WEIGHTED"},
      {create("'DnsConfig':{'RoutingPolicy':'RANDOM','DnsRecords':[{'Type':'A','TTL':1}]}"),
       "must be one of MULTIVALUE, WEIGHTED"},
      {create("'DnsConfig':{'NamespaceId':'" + http_ + "','DnsRecords':[{'Type':'A','TTL':1}]}"), "are two namespaces"},
      {create("'HealthCheckCustomConfig':{'FailureThreshold':11}"), "from 1 to 10, got 11"},
      {create("'HealthCheckConfig':{'Type':'TCP'}"), "use HealthCheckCustomConfig"},
      {create("'Type':'HTTP','DnsConfig':{'DnsRecords':[{'Type':'A','TTL':1}]}"), "leave out either"},
      {"{'Name':'web','NamespaceId':'" + http_ + "','DnsConfig':{'DnsRecords':[{'Type':'A','TTL':1}]}}", "has no DNS"},
  };
  for (const auto& [input, expected] : cases) {
    EXPECT_THAT(refused("CreateService", input), AllOf(StartsWith("400 InvalidInput: "), HasSubstr(expected))) << input;
  }
  EXPECT_THAT(refused("CreateService", "{'Name':'web','NamespaceId':'ns-absent'}"),
              StartsWith("404 NamespaceNotFound: "));
  EXPECT_THAT(refused("GetService", "{'Id':'srv-absent'}"), StartsWith("404 ServiceNotFound: "));
}

TEST_F(SdServices, AreListedByNamespace) {
  const auto web = make_service(dns_, "web");
  make_service(http_, "web");
  const auto all = ok("ListServices", "{}").at("Services").as_array();
  EXPECT_EQ(all.size(), 2u);
  const auto one =
      ok("ListServices", "{'Filters':[{'Name':'NAMESPACE_ID','Values':['" + dns_ + "'],'Condition':'EQ'}]}")
          .at("Services")
          .as_array();
  ASSERT_EQ(one.size(), 1u);
  EXPECT_EQ(str(one.at(0).at("Id")), web);
  EXPECT_TRUE(ok("ListServices", "{'Filters':[{'Name':'NAMESPACE_ID','Values':['ns-absent']}]}")
                  .at("Services")
                  .as_array()
                  .empty());
}

TEST_F(SdServices, AreDeletedWhenEmptyAndUnused) {
  const auto web = make_service(dns_, "web", a_records());
  register_instance(web, "i-1", "{'AWS_INSTANCE_IPV4':'10.0.0.1'}");
  EXPECT_THAT(refused("DeleteService", "{'Id':'" + web + "'}"),
              AllOf(StartsWith("409 ResourceInUse: "), HasSubstr("\"i-1\"")));
  ok("DeregisterInstance", "{'ServiceId':'" + web + "','InstanceId':'i-1'}");
  ASSERT_TRUE(controller_->change([&](Call& call) -> Result<void> {
    EcsServiceRecord user;
    user.name = "web";
    user.cluster = "production";
    user.status = "ACTIVE";
    user.service_registries = {json::object{{"registryArn", call.state.services.at(web).arn}}};
    call.put(user);
    return {};
  }));
  EXPECT_THAT(refused("DeleteService", "{'Id':'" + web + "'}"),
              AllOf(StartsWith("409 ResourceInUse: "), HasSubstr("ECS service \"web\"")));
  ASSERT_TRUE(controller_->change([&](Call& call) -> Result<void> {
    call.erase(call.state.ecs_services.at("production").at("web"));
    return {};
  }));
  ok("DeleteService", "{'Id':'" + web + "'}");
  EXPECT_THAT(refused("DeleteService", "{'Id':'" + web + "'}"), StartsWith("404 ServiceNotFound: "));
}

TEST_F(SdServices, CarryAttributesAndTags) {
  const auto web = make_service(dns_, "web");
  const auto by_id = "{'ServiceId':'" + web + "'";
  ok("UpdateServiceAttributes", by_id + ",'Attributes':{'causeway:retries':'3','a':'b'}}");
  ok("UpdateServiceAttributes", by_id + ",'Attributes':{'a':'c'}}");
  EXPECT_EQ(json::serialize(ok("GetServiceAttributes", by_id + "}").at("ServiceAttributes").at("Attributes")),
            quoted("{'a':'c','causeway:retries':'3'}"));
  ok("DeleteServiceAttributes", by_id + ",'Attributes':['a','absent']}");
  EXPECT_EQ(ok("GetServiceAttributes", by_id + "}").at("ServiceAttributes").at("Attributes").as_object().size(), 1u);
  std::string many;
  for (int i = 0; i < 30; ++i) many += (i ? ",'" : "'") + std::to_string(i) + "':''";
  EXPECT_THAT(refused("UpdateServiceAttributes", by_id + ",'Attributes':{" + many + "}}"),
              StartsWith("400 ServiceAttributesLimitExceededException: "));

  const auto arn = str(ok("GetService", "{'Id':'" + web + "'}").at("Service").at("Arn"));
  ok("TagResource", "{'ResourceARN':'" + arn + "','Tags':[{'Key':'a','Value':'1'},{'Key':'b','Value':''}]}");
  ok("UntagResource", "{'ResourceARN':'" + arn + "','TagKeys':['a']}");
  EXPECT_EQ(json::serialize(ok("ListTagsForResource", "{'ResourceARN':'" + arn + "'}").at("Tags")),
            quoted("[{'Key':'b','Value':''}]"));
  std::string tags;
  for (int i = 0; i < 50; ++i) tags += (i ? ",{'Key':'t" : "{'Key':'t") + std::to_string(i) + "','Value':''}";
  EXPECT_THAT(refused("TagResource", "{'ResourceARN':'" + arn + "','Tags':[" + tags + "]}"),
              StartsWith("400 TooManyTagsException: "));
  EXPECT_THAT(refused("ListTagsForResource", "{'ResourceARN':'arn:x'}"), StartsWith("404 ResourceNotFoundException: "));
}

}  // namespace
}  // namespace causeway::control::test
