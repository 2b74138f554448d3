#include "control/vips.h"

#include <gmock/gmock.h>

#include "ecs_world.h"

namespace causeway::control {
namespace {

using ::testing::StartsWith;

struct Aliases : World {
  Aliases() {
    space = make_space("myapp.local");
    other = make_space("other", false);
    ok("CreateCluster", "{'clusterName':'c'}");
    register_definition("f", "{'name':'http','containerPort':3000}");
  }
  static std::string create(const std::string& name, const std::string& alias,
                            const std::string& space = "myapp.local") {
    return "{'cluster':'c','serviceName':'" + name +
           "','taskDefinition':'f','serviceConnectConfiguration':{'enabled':true,'namespace':'" + space +
           "','services':[{'portName':'http','discoveryName':'" + name + "','clientAliases':[{" + alias + "}]}]}}";
  }
  void remove(const std::string& name) { ok("DeleteService", "{'cluster':'c','service':'" + name + "'}"); }
  std::string vip(const std::string& name) const { return vip_of(*compile(), name, space.number); }
  NamespaceRecord space, other;
};

TEST(Vips, OneANameLowestFirst) {
  Aliases world;
  world.ok("CreateService", world.create("a", "'port':80,'dnsName':'x'"));
  world.ok("CreateService", world.create("b", "'port':80,'dnsName':'y'"));
  world.ok("CreateService", world.create("c", "'port':81,'dnsName':'x'"));
  EXPECT_EQ("127.255.0.1", world.vip("x"));
  EXPECT_EQ("127.255.0.2", world.vip("y"));
  EXPECT_EQ("100::1", world.compile()->alias_names.front().vip6.to_string());
  // The same name in another namespace is another alias.
  world.ok("CreateService", world.create("d", "'port':80,'dnsName':'x'", "other"));
  EXPECT_EQ("127.255.0.3", vip_of(*world.compile(), "x", world.other.number));
}

TEST(Vips, StayWhileAnAliasOfTheNameLives) {
  Aliases world;
  world.ok("CreateService", world.create("a", "'port':80,'dnsName':'x'"));
  world.ok("CreateService", world.create("b", "'port':81,'dnsName':'x'"));
  world.ok("CreateService", world.create("c", "'port':80,'dnsName':'y'"));
  world.remove("a");
  EXPECT_EQ("127.255.0.1", world.vip("x"));
  world.ok("UpdateService",
           "{'cluster':'c','service':'b','serviceConnectConfiguration':{'enabled':true,'namespace':'myapp.local','"
           "services':["
           "{'portName':'http','discoveryName':'other-name','clientAliases':[{'port':9,'dnsName':'x'}]}]}}");
  EXPECT_EQ("127.255.0.1", world.vip("x"));
  world.remove("b");
  EXPECT_EQ("", world.vip("x"));
  EXPECT_EQ("127.255.0.2", world.vip("y"));
  world.ok("CreateService", world.create("d", "'port':80,'dnsName':'z'"));
  EXPECT_EQ("127.255.0.1", world.vip("z"));
}

TEST(Vips, NotReusedWithinTheTransactionThatFreesThem) {
  Aliases world;
  world.ok("CreateService", world.create("a", "'port':80,'dnsName':'x'"));
  world.ok("UpdateService",
           "{'cluster':'c','service':'a','serviceConnectConfiguration':{'enabled':true,'namespace':'myapp.local','"
           "services':["
           "{'portName':'http','clientAliases':[{'port':80,'dnsName':'y'}]}]}}");
  EXPECT_EQ("127.255.0.2", world.vip("y"));
}

TEST(Vips, SurviveARestart) {
  Aliases world;
  world.ok("CreateService", world.create("a", "'port':80,'dnsName':'x'"));
  world.ok("CreateService", world.create("b", "'port':80"));
  world.remove("a");
  const auto before = world.compile();
  // What a store would hand back: each record through its text.
  State again;
  std::vector<store::Event> events;
  const auto add = [&](const auto& record) { events.push_back({key_of(record), encode(record), Revision(1)}); };
  for (const auto& [id, record] : world.state.namespaces) add(record);
  for (const auto& [id, record] : world.state.services) add(record);
  for (const auto& [family, revisions] : world.state.task_definitions) {
    for (const auto& [revision, record] : revisions) add(record);
  }
  for (const auto& [cluster, services] : world.state.ecs_services) {
    for (const auto& [name, record] : services) add(record);
  }
  for (const auto& [id, vips] : world.state.vips) {
    for (const auto& [name, record] : vips) add(record);
  }
  ASSERT_TRUE(again.apply(events));
  const auto after = compile_snapshot(again, world.settings, nullptr);
  EXPECT_EQ(before->aliases, after->aliases);
  EXPECT_EQ(before->alias_names, after->alias_names);
  EXPECT_EQ(2u, after->alias_names.size());
}

TEST(Vips, TheRangeHasAnEndAndKeepsTheCanarys) {
  Aliases world;
  EXPECT_EQ("127.255.255.255", world.settings.alias_v4.at(canary_vip(world.settings)).to_string());
  world.settings.alias_v4 = *IpPrefix::parse("127.255.0.0/30");  // 0 and 3 are reserved
  world.ok("CreateService", world.create("a", "'port':80,'dnsName':'x'"));
  world.ok("CreateService", world.create("b", "'port':80,'dnsName':'y'"));
  EXPECT_THAT(
      world.refused("CreateService", world.create("d", "'port':80,'dnsName':'z'")),
      StartsWith(
          "LimitExceededException: no address is left for alias \"z\": 127.255.0.0/30 and 100::/64 hold 2 aliases"));
  world.ok("CreateService", world.create("d", "'port':81,'dnsName':'y'"));
}

}  // namespace
}  // namespace causeway::control
