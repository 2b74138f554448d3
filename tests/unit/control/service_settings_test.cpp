#include "control/service_settings.h"

#include <gmock/gmock.h>

#include "ecs_world.h"

namespace causeway::control {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;

/// The discovery name "web" in namespace "MyApp.local", with a Service Connect timeout.
struct SettableService : World {
  SettableService() {
    operations.merge(service_discovery_operations());
    space = make_space("MyApp.local");
    ok("CreateCluster", "{'clusterName':'c'}");
    register_definition("f", "{'name':'web','containerPort':3000}");
    ok("CreateService",
       "{'cluster':'c','serviceName':'s','taskDefinition':'f','serviceConnectConfiguration':{'enabled':true,"
       "'namespace':'MyApp.local','services':[{'portName':'web','timeout':{'idleTimeoutSeconds':60,"
       "'perRequestTimeoutSeconds':2147483647}}]}}");
  }
  const ServiceRecord& service() const { return *state.find_service(space.id, "web"); }
  ResolvedSettings resolved() const { return resolve_settings(state, settings, service()); }
  void attribute(const std::string& key, const std::string& value) {
    change([&](Call& call) -> Result<void> {
      auto changed = service();
      changed.attributes[key] = value;
      call.put(changed);
      return {};
    });
  }
  NamespaceRecord space;
};

TEST(ServiceSettings, TheApiBeatsTheServicesTableAndThatTheDefaults) {
  SettableService world;
  EXPECT_EQ(world.resolved().values.retries, ServiceSettings{}.retries);
  EXPECT_FALSE(world.resolved().sources.contains(SettingKey::retries));

  world.settings.default_settings = {{SettingKey::retries, 5}, {SettingKey::max_connections, 7}};
  EXPECT_EQ(world.resolved().values.retries, 5u);
  EXPECT_EQ(world.resolved().sources.at(SettingKey::retries), SettingSource::host_defaults);

  world.settings.service_settings["myapp.local/web"] = {{SettingKey::retries, 6}};
  world.settings.service_settings["myapp.local/other"] = {{SettingKey::retries, 9}};
  EXPECT_EQ(world.resolved().values.retries, 6u);
  EXPECT_EQ(world.resolved().values.max_connections, 7u);
  EXPECT_EQ(world.resolved().sources.at(SettingKey::retries), SettingSource::host_service);

  world.attribute("causeway:retries", "0");
  EXPECT_EQ(world.resolved().values.retries, 0u);
  EXPECT_EQ(world.resolved().sources.at(SettingKey::retries), SettingSource::attribute);
  EXPECT_EQ(world.compile()->services.at(world.service().number)->settings, world.resolved().values);
}

TEST(ServiceSettings, ServiceConnectsTimeoutsAreTheApisUnlessAnAttributeSaysMore) {
  SettableService world;
  world.settings.service_settings["myapp.local/web"] = {{SettingKey::idle_timeout, 1'000}};
  EXPECT_EQ(world.resolved().values.idle_timeout, seconds(60));
  EXPECT_EQ(world.resolved().values.http_idle_timeout, seconds(60));
  EXPECT_EQ(world.resolved().sources.at(SettingKey::idle_timeout), SettingSource::service_connect);
  EXPECT_TRUE(fits(setting(SettingKey::per_request_timeout),
                   static_cast<std::uint64_t>(world.resolved().values.per_request_timeout.count())))
      << "AWS's longest time must pass the feed";
  world.attribute("causeway:idle_timeout", "250ms");
  EXPECT_EQ(world.resolved().values.idle_timeout, milliseconds(250));
  EXPECT_EQ(world.resolved().values.http_idle_timeout, seconds(60));
}

TEST(ServiceSettings, AttributesOfAnotherVersionArePassedOver) {
  SettableService world;
  world.attribute("causeway:colour", "blue");
  world.attribute("causeway:retries", "very many");
  world.attribute("retries", "3");
  EXPECT_FALSE(world.resolved().sources.contains(SettingKey::retries));
}

TEST(ServiceSettings, TheApiRefusesWhatItDoesNotTake) {
  SettableService world;
  const auto id = world.service().id;
  const auto refused = [&](const std::string& attributes) {
    return world.refused("UpdateServiceAttributes", "{'ServiceId':'" + id + "','Attributes':{" + attributes + "}}");
  };
  EXPECT_EQ(refused("'causeway:retrys':'3'"),
            "InvalidInput: Attribute causeway:retrys: unknown setting \"retrys\"; did you mean retries?");
  EXPECT_EQ(
      refused("'other':'x','causeway:idle_timeout':'5'"),
      "InvalidInput: Attribute causeway:idle_timeout: it takes a duration from 1ms to 365d, such as 5s or 250ms, or "
      "off, not \"5\"");
  EXPECT_THAT(refused("'causeway:':'3'"), HasSubstr("unknown setting"));
  world.ok("UpdateServiceAttributes",
           "{'ServiceId':'" + id + "','Attributes':{'causeway:idle_timeout':'off','Causeway:retries':'x'}}");
  EXPECT_EQ(world.resolved().values.idle_timeout, seconds(0));
  world.ok("DeleteServiceAttributes", "{'ServiceId':'" + id + "','Attributes':['causeway:idle_timeout']}");
  EXPECT_EQ(world.resolved().values.idle_timeout, seconds(60));
}

TEST(ServiceSettings, ServicesAreFoundByTheirNames) {
  SettableService world;
  EXPECT_EQ(find_scoped_service(world.state, "myapp.LOCAL/Web"), &world.service());
  for (const char* scope : {"", "/", "web", "myapp.local", "myapp.local/", "/web", "other/web", "myapp.local/web/"}) {
    EXPECT_EQ(find_scoped_service(world.state, scope), nullptr) << scope;
  }
  const auto slashes = world.make_space("a/b", false);
  const auto inner = world.make_cloud_map_service(slashes, "c");
  EXPECT_EQ(find_scoped_service(world.state, "a/b/c")->id, inner.id);
  EXPECT_THAT(no_such_service(world.state, "myapp.local/wbe"), HasSubstr("did you mean MyApp.local/web?"));
}

TEST(ServiceSettings, WeightsAreTheInstances) {
  SettableService world;
  world.register_instance(world.service(), "i-1", {{"AWS_INSTANCE_IPV4", "10.0.0.1"}, {"AWS_INSTANCE_PORT", "80"}});
  const auto set = [&](std::map<std::string, std::string> put, std::vector<std::string> remove) {
    Result<void> done;
    world.change([&](Call& call) -> Result<void> {
      done = change_settings(call, "myapp.local/web", put, remove);
      return {};
    });
    return done ? std::string("ok") : done.error().message();
  };
  const auto weight = [&] {
    const auto& attributes = world.state.instances.at(world.service().id).at("i-1").attributes;
    const auto found = attributes.find("causeway:weight");
    return found == attributes.end() ? std::string("none") : found->second;
  };
  EXPECT_EQ(set({{"weight.i-1", "9"}}, {}), "ok");
  EXPECT_EQ(weight(), "9");
  EXPECT_THAT(set({{"weight.i-1", "256"}}, {}), HasSubstr("a whole number from 0 to 255, not \"256\""));
  EXPECT_THAT(set({{"weight.i-2", "1"}}, {}), HasSubstr("did you mean i-1?"));
  EXPECT_THAT(set({{"weight.i-1", "1"}, {"retries", "1"}}, {}), HasSubstr("in two steps"));
  EXPECT_THAT(set({{"weight", "1"}}, {}), HasSubstr("weight.INSTANCE=N"));
  EXPECT_EQ(weight(), "9");
  EXPECT_EQ(set({}, {"weight.i-1"}), "ok");
  EXPECT_EQ(weight(), "none");
}

TEST(ServiceSettings, AtMostThirtyAttributes) {
  SettableService world;
  for (int i = 0; i < 29; ++i) world.attribute("a" + std::to_string(i), "");
  Call call(world.state, world.settings, world.clock, world.random);
  EXPECT_TRUE(change_settings(call, "myapp.local/web", {{"retries", "1"}}, {}));
  const auto second = change_settings(call, "myapp.local/web", {{"retries", "1"}, {"ejection", "on"}}, {});
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().message(), HasSubstr("at most 30 attributes"));
}

}  // namespace
}  // namespace causeway::control
