#include "agent/explain.h"

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <gmock/gmock.h>

namespace causeway::agent {
namespace {

using testing::HasSubstr;
namespace json = boost::json;

const IpAddress kUsersVip4 = *IpAddress::parse("127.255.0.1"), kUsersVip6 = *IpAddress::parse("100::1");
const IpAddress kOtherVip4 = *IpAddress::parse("127.255.0.2"), kOtherVip6 = *IpAddress::parse("100::2");

/// Two namespaces: myapp.local (users behind user-svc:80 and :8080, api) and other.local (api, only-other).
struct ExplainTest : testing::Test {
  ExplainTest() {
    snapshot.namespaces[NamespaceNumber{1}] = {NamespaceNumber{1}, "myapp.local", true, 15};
    snapshot.namespaces[NamespaceNumber{2}] = {NamespaceNumber{2}, "other.local", true, 15};
    users.id = ServiceId{1};
    users.namespace_number = NamespaceNumber{1};
    users.namespace_name = "myapp.local";
    users.discovery_name = "users";
    users.endpoints = {endpoint(1, "a", Health::healthy), endpoint(2, "b", Health::starting),
                       endpoint(3, "c", Health::draining), endpoint(4, "d", Health::unhealthy)};
    snapshot.aliases = {{NamespaceNumber{1}, "user-svc", kUsersVip4, kUsersVip6, 80, ServiceId{1}},
                        {NamespaceNumber{1}, "user-svc", kUsersVip4, kUsersVip6, 8080, ServiceId{1}},
                        {NamespaceNumber{2}, "api", kOtherVip4, kOtherVip6, 80, ServiceId{9}}};
    snapshot.alias_names = {{"api", NamespaceNumber{1}, kUsersVip4, kUsersVip6},
                            {"api", NamespaceNumber{2}, kOtherVip4, kOtherVip6},
                            {"only-other", NamespaceNumber{2}, kOtherVip4, kOtherVip6},
                            {"user-svc", NamespaceNumber{1}, kUsersVip4, kUsersVip6}};
    Workload task;
    task.task_id = "t1";
    task.client_name = "user-service";
    task.address = *IpAddress::parse("127.254.0.1");
    snapshot.workloads["t1"] = task;

    control::NamespaceRecord ns;
    ns.id = "ns-1";
    ns.number = NamespaceNumber{1};
    state.namespaces["ns-1"] = ns;
    control::EcsServiceRecord web;
    web.name = "web";
    web.cluster = "production";
    web.status = "ACTIVE";
    web.service_connect_namespace = "ns-1";
    state.ecs_services["production"]["web"] = web;
    web.name = "loner";
    web.service_connect_namespace.clear();
    state.ecs_services["production"]["loner"] = web;
  }

  static Endpoint endpoint(unsigned id, const char* instance, Health health) {
    return {EndpointId{id}, instance, {IpAddress::v4(0x7ffe0000U + id), 3000}, 1, health};
  }
  void cloud_map(std::vector<CloudMapInstance> instances) {
    CloudMapName name;
    name.name = "users.myapp.local";
    name.records = {{RecordType::a, 10}};
    name.instances = std::move(instances);
    snapshot.cloud_map_names[name.name] = std::make_shared<const CloudMapName>(name);
  }
  json::object ask(const char* target, const char* from = "") {
    snapshot.services[ServiceId{1}] = std::make_shared<const Service>(users);
    auto question = parse_target(target);
    if (!question) throw std::runtime_error(question.error().message());
    question->from = from;
    auto answer = explain(state, snapshot, *question);
    if (!answer) throw std::runtime_error(answer.error().message());
    return *answer;
  }
  static std::string verdict(const json::object& answer) { return std::string(answer.at("verdict").as_string()); }
  static std::string text(const json::object& answer) { return json::serialize(answer); }
  /// "instance used" of every endpoint.
  static std::string used(const json::object& answer) {
    std::string out;
    for (const auto& each : answer.at("endpoints").as_array()) {
      out += std::string(each.at("instance_id").as_string()) + (each.at("used").as_bool() ? "+ " : "- ");
    }
    return out;
  }

  control::State state;
  Snapshot snapshot;
  Service users;
};

TEST_F(ExplainTest, AliasIsFollowedToItsEndpoints) {
  const auto answer = ask("User-Svc.:80");
  EXPECT_EQ(verdict(answer), "answered");
  EXPECT_EQ(answer.at("dns").at("kind").as_string(), "alias");
  EXPECT_EQ(answer.at("alias").at("vip4").as_string(), "127.255.0.1");
  EXPECT_EQ(answer.at("path").at("kind").as_string(), "proxy");
  EXPECT_EQ(answer.at("service").at("discovery_name").as_string(), "users");
  EXPECT_EQ(used(answer), "a+ b- c- d- ");
  EXPECT_THAT(text(answer), HasSubstr("nothing listens on 127.254.0.2:3000 yet"));
  EXPECT_THAT(text(answer), HasSubstr("1 of 4 take connections"));
}

TEST_F(ExplainTest, ThePathAndItsReason) {
  EXPECT_EQ(ask("user-svc:80").at("path").at("reason").as_string(), "path is auto, which is the proxy for TCP");
  users.settings.path = ServicePath::kernel;
  auto answer = ask("user-svc:80");
  EXPECT_EQ(verdict(answer), "answered");
  EXPECT_EQ(answer.at("path").at("kind").as_string(), "kernel");
  EXPECT_THAT(text(answer), HasSubstr("straight from connect() to an endpoint (path is kernel)"));
  EXPECT_THAT(text(answer), HasSubstr("1 of 4 take connections, in turn (balance is round_robin)"));
  users.settings.balance = Balance::random;
  EXPECT_THAT(text(ask("user-svc:80")), HasSubstr("by chance (balance is random)"));
  users.endpoints.clear();
  EXPECT_THAT(text(ask("user-svc:80")), HasSubstr("ECONNREFUSED"));

  control::ServiceRecord record;
  record.id = "srv-1";
  record.namespace_id = "ns-1";
  record.name = "users";
  record.number = ServiceId{1};
  record.attributes["causeway:path"] = "proxy";
  state.services["srv-1"] = record;
  users.settings.path = ServicePath::proxy;
  answer = ask("user-svc:80");
  EXPECT_EQ(answer.at("path").at("kind").as_string(), "proxy");
  EXPECT_EQ(answer.at("path").at("reason").as_string(), "path is proxy, by the service attribute causeway:path");
}

TEST_F(ExplainTest, WithoutAPortTheFirstIsTakenAndAllAreNamed) {
  const auto answer = ask("user-svc");
  EXPECT_EQ(answer.at("port").to_number<int>(), 80);
  EXPECT_THAT(text(answer), HasSubstr("it has the ports 80, 8080"));
}

TEST_F(ExplainTest, AnotherPortIsRefused) {
  const auto answer = ask("user-svc:81");
  EXPECT_EQ(verdict(answer), "refused");
  EXPECT_THAT(text(answer), HasSubstr("its ports: 80, 8080"));
}

TEST_F(ExplainTest, UnhealthyOnesCountWhereNoneIsHealthy) {
  users.endpoints = {endpoint(1, "a", Health::unhealthy), endpoint(2, "b", Health::starting)};
  const auto answer = ask("user-svc:80");
  EXPECT_EQ(verdict(answer), "answered");
  EXPECT_EQ(used(answer), "a+ b- ");
}

TEST_F(ExplainTest, NoEndpoint) {
  users.endpoints = {endpoint(2, "b", Health::starting)};
  EXPECT_EQ(verdict(ask("user-svc:80")), "no_endpoint");
  users.endpoints.clear();
  const auto answer = ask("user-svc:80");
  EXPECT_EQ(verdict(answer), "no_endpoint");
  EXPECT_THAT(text(answer), HasSubstr("503"));
}

TEST_F(ExplainTest, ShortNameOfTwoNamespacesIsAmbiguousForTheHostAlone) {
  EXPECT_EQ(verdict(ask("api:80")), "ambiguous");
  EXPECT_THAT(text(ask("api:80")), HasSubstr("SERVFAIL"));
  EXPECT_EQ(ask("api:80", "production/web").at("alias").at("vip4").as_string(), "127.255.0.1");
}

TEST_F(ExplainTest, AliasOfAnotherNamespaceIsHiddenFromATask) {
  const auto answer = ask("only-other:80", "production/web");
  EXPECT_EQ(verdict(answer), "not_ours");
  EXPECT_THAT(text(answer), HasSubstr("namespace other.local, which this client does not see"));
  EXPECT_EQ(verdict(ask("127.255.0.2:80", "production/web")), "refused");
  EXPECT_EQ(verdict(ask("user-svc:80", "production/loner")), "not_ours");
}

TEST_F(ExplainTest, UnknownNamesGetTheNearest) {
  const auto answer = ask("user-scv:80");
  EXPECT_EQ(verdict(answer), "not_ours");
  EXPECT_EQ(answer.at("nearest").as_array().at(0).as_string(), "user-svc");
  EXPECT_EQ(answer.at("dns").at("kind").as_string(), "forwarded");
  EXPECT_EQ(ask("nothing.myapp.local").at("dns").at("kind").as_string(), "nxdomain");
  EXPECT_EQ(verdict(ask("nothing.myapp.local")), "unknown_name");
}

TEST_F(ExplainTest, CloudMapNameTellsWhichInstancesAreAnswered) {
  cloud_map({{"i1", "", *IpAddress::parse("10.0.0.1"), {}, 3000, true},
             {"i2", "", *IpAddress::parse("10.0.0.2"), {}, 3000, false}});
  const auto answer = ask("users.myapp.local:3000");
  EXPECT_EQ(verdict(answer), "direct");
  EXPECT_EQ(answer.at("dns").at("ttl").to_number<int>(), 10);
  EXPECT_EQ(used(answer), "i1+ i2- ");
  EXPECT_EQ(answer.at("dns").at("addresses").as_array().size(), 1U);
}

TEST_F(ExplainTest, CloudMapNameWithoutHealthyInstancesAnswersAll) {
  cloud_map({{"i1", "", *IpAddress::parse("10.0.0.1"), {}, 3000, false}});
  EXPECT_EQ(used(ask("users.myapp.local")), "i1+ ");
  cloud_map({});
  EXPECT_EQ(verdict(ask("users.myapp.local")), "no_endpoint");
}

TEST_F(ExplainTest, AddressesAreLookedUpToo) {
  EXPECT_EQ(verdict(ask("127.255.0.1:80")), "answered");
  EXPECT_EQ(verdict(ask("[100::1]:80")), "answered");
  EXPECT_EQ(verdict(ask("127.254.0.1:3000")), "direct");
  EXPECT_EQ(verdict(ask("192.0.2.1:80")), "not_ours");
}

TEST_F(ExplainTest, UnknownClientIsAnError) {
  auto question = *parse_target("user-svc");
  question.from = "production/wob";
  const auto answer = explain(state, snapshot, question);
  ASSERT_FALSE(answer.has_value());
  EXPECT_THAT(answer.error().message(), HasSubstr("did you mean production/web"));
}

TEST(ParseTarget, TakesNamesAndAddresses) {
  EXPECT_EQ(parse_target("a")->port, std::nullopt);
  EXPECT_EQ(parse_target("a:1")->port, 1);
  EXPECT_EQ(parse_target("[::1]:65535")->name, "::1");
  EXPECT_EQ(parse_target("::1")->name, "::1");
  EXPECT_EQ(parse_target("[::1]")->port, std::nullopt);
  for (const char* bad :
       {"", ":80", "a:", "a:0", "a:65536", "a:8x", "a b", "http://a", "[::1", "[x]:1", "[::1]x", "[::1]:", "a\n"}) {
    EXPECT_FALSE(parse_target(bad).has_value()) << bad;
  }
  EXPECT_FALSE(parse_target(std::string(300, 'a')).has_value());
}

}  // namespace
}  // namespace causeway::agent
