#include <gmock/gmock.h>

#include "ecs_world.h"

namespace causeway::control {
namespace {

struct TwoServices : World {
  TwoServices() {
    space = make_space("MyApp.local");
    ok("CreateCluster", "{'clusterName':'c'}");
    register_definition("f",
                        "{'name':'web','containerPort':3000,'appProtocol':'http'},{'name':'h2','containerPort':3001,'"
                        "appProtocol':'http2'},"
                        "{'name':'rpc','containerPort':3002,'appProtocol':'grpc'},{'name':'any','containerPort':3003}");
    create("a", "'portName':'web','clientAliases':[{'port':80}]");
    create("b", "'portName':'any','clientAliases':[{'port':80}]");
  }
  void create(const std::string& name, const std::string& members) {
    ok("CreateService", "{'cluster':'c','serviceName':'" + name +
                            "','taskDefinition':'f','serviceConnectConfiguration':{'enabled':true,"
                            "'namespace':'MyApp.local','services':[{'discoveryName':'" +
                            name + "'," + members + "}]}}");
  }
  std::shared_ptr<const Service> find(const SnapshotPtr& snapshot, const std::string& discovery_name) const {
    return snapshot->services.at(state.find_service(space.id, discovery_name)->number);
  }
  NamespaceRecord space;
};

TEST(Compiler, ProtocolsAndTimeouts) {
  TwoServices world;
  world.create("d", "'portName':'h2','timeout':{'idleTimeoutSeconds':0,'perRequestTimeoutSeconds':0}");
  world.create("e", "'portName':'rpc','timeout':{'idleTimeoutSeconds':7,'perRequestTimeoutSeconds':9}");
  world.create("g", "'portName':'any','discoveryName':'g','timeout':{'perRequestTimeoutSeconds':60}");
  struct Case {
    const char* name;
    AppProtocol protocol;
    std::chrono::seconds idle, http_idle, per_request;
  };
  using std::chrono::seconds;
  const Case cases[] = {{"a", AppProtocol::http, seconds(3600), seconds(300), seconds(15)},
                        {"b", AppProtocol::detect, seconds(3600), seconds(300), seconds(15)},
                        {"d", AppProtocol::http2, seconds(0), seconds(0), seconds(0)},
                        {"e", AppProtocol::grpc, seconds(7), seconds(7), seconds(9)},
                        {"g", AppProtocol::detect, seconds(3600), seconds(300), seconds(60)}};
  const auto snapshot = world.compile();
  for (const auto& c : cases) {
    const auto service = world.find(snapshot, c.name);
    EXPECT_EQ(c.protocol, service->protocol) << c.name;
    EXPECT_EQ(c.idle, service->settings.idle_timeout) << c.name;
    EXPECT_EQ(c.http_idle, service->settings.http_idle_timeout) << c.name;
    EXPECT_EQ(c.per_request, service->settings.per_request_timeout) << c.name;
    EXPECT_EQ(c.name, service->discovery_name);
  }
}

TEST(Compiler, AccessLogOfTheServiceThenOfTheHost) {
  TwoServices world;
  const auto create = [&world](const std::string& name, const std::string& configuration) {
    world.ok("CreateService", "{'cluster':'c','serviceName':'" + name +
                                  "','taskDefinition':'f','serviceConnectConfiguration':{'enabled':true,"
                                  "'namespace':'MyApp.local','services':[{'portName':'web','discoveryName':'" +
                                  name + "'}],'accessLogConfiguration':" + configuration + "}}");
  };
  create("t", "{'format':'TEXT'}");
  create("j", "{'format':'JSON','includeQueryParameters':'ENABLED'}");
  create("d", "{'format':'JSON','includeQueryParameters':'DISABLED'}");
  const auto expect = [&world](const char* name, AccessLogFormat format, bool query) {
    const AccessLogSettings wanted{format, query};
    EXPECT_TRUE(world.find(world.compile(), name)->access_log == wanted) << name;
  };
  expect("a", AccessLogFormat::off, false);
  expect("t", AccessLogFormat::text, false);
  expect("j", AccessLogFormat::json, true);
  expect("d", AccessLogFormat::json, false);
  world.settings.access_log = {AccessLogFormat::json, true};
  expect("a", AccessLogFormat::json, true);
  expect("t", AccessLogFormat::text, false);
  world.settings.access_log_allowed = false;
  expect("a", AccessLogFormat::off, false);
  expect("j", AccessLogFormat::off, false);

  const auto snapshot = world.compile();
  EXPECT_THAT(snapshot->clients, testing::Contains(testing::Pair(testing::_, "a")));
  EXPECT_EQ(snapshot->clients.size(), 5u);
}

TEST(Compiler, UnchangedServicesKeepTheirPointers) {
  TwoServices world;
  const auto plain = world.make_cloud_map_service(world.space, "plain");
  const auto still = world.make_cloud_map_service(world.space, "still");
  for (const auto& service : {plain, still}) {
    world.register_instance(service, "i", {{"AWS_INSTANCE_IPV4", "10.0.0.1"}, {"AWS_INSTANCE_PORT", "80"}});
  }
  const auto task = world.start_task("c", "a");
  const auto first = world.compile();
  const auto same = world.compile(first);
  EXPECT_EQ(first->services, same->services);
  EXPECT_EQ(first->cloud_map_names, same->cloud_map_names);

  world.listen(task, 3000);
  world.register_instance(plain, "j", {{"AWS_INSTANCE_IPV4", "10.0.0.2"}, {"AWS_INSTANCE_PORT", "80"}});
  const auto second = world.compile(first);
  EXPECT_NE(world.find(first, "a"), world.find(second, "a"));
  EXPECT_EQ(world.find(first, "b"), world.find(second, "b"));
  EXPECT_NE(world.find(first, "plain"), world.find(second, "plain"));
  EXPECT_EQ(world.find(first, "still"), world.find(second, "still"));
  EXPECT_NE(first->cloud_map_names.at("plain.myapp.local"), second->cloud_map_names.at("plain.myapp.local"));
  EXPECT_EQ(first->cloud_map_names.at("still.myapp.local"), second->cloud_map_names.at("still.myapp.local"));
  EXPECT_LT(first->revision, second->revision);
}

TEST(Compiler, HealthOfAnInstance) {
  struct Case {
    bool task, listening, custom_healthy, draining;
    Health health;
    bool in_dns, healthy_in_dns;
  };
  const Case cases[] = {
      {true, true, true, false, Health::healthy, true, true},
      {true, false, true, false, Health::starting, true, false},
      {true, false, false, false, Health::starting, true, false},
      {true, true, false, false, Health::unhealthy, true, false},
      {true, true, true, true, Health::draining, false, false},
      {false, true, true, false, Health::healthy, true, true},
      {false, false, true, false, Health::healthy, true, true},  // not a task's: nobody watches its port
      {false, true, false, false, Health::unhealthy, true, false},
      {false, true, false, true, Health::draining, false, false},
  };
  for (const auto& c : cases) {
    World world;
    const auto service = world.make_cloud_map_service(world.make_space("n"), "s");
    world.change([&](Call& call) -> Result<void> {
      InstanceRecord instance;
      instance.service_id = service.id;
      instance.id = "i";
      instance.attributes = {{"AWS_INSTANCE_IPV4", "10.0.0.1"}, {"AWS_INSTANCE_PORT", "80"}};
      instance.task_id = c.task ? "t" : "";
      instance.listening = c.listening;
      instance.custom_healthy = c.custom_healthy;
      instance.draining = c.draining;
      put_instance(call, instance);
      return {};
    });
    const auto snapshot = world.compile();
    EXPECT_EQ(c.health, snapshot->services.at(service.number)->endpoints.front().health);
    const auto& name = *snapshot->cloud_map_names.at("s.n");
    ASSERT_EQ(c.in_dns ? 1u : 0u, name.instances.size());
    if (c.in_dns) {
      EXPECT_EQ(c.healthy_in_dns, name.instances.front().healthy);
    }
  }
}

TEST(Compiler, EndpointsNeedAnAddressAndAPort) {
  World world;
  const auto service = world.make_cloud_map_service(world.make_space("n"), "s", "SRV");
  world.register_instance(service, "none", {{"color", "red"}});
  world.register_instance(service, "no-port", {{"AWS_INSTANCE_IPV4", "10.0.0.1"}});
  world.register_instance(service, "port-0", {{"AWS_INSTANCE_IPV4", "10.0.0.1"}, {"AWS_INSTANCE_PORT", "0"}});
  world.register_instance(service, "bad", {{"AWS_INSTANCE_IPV4", "10.0.0"}, {"AWS_INSTANCE_PORT", "80"}});
  EXPECT_TRUE(world.compile()->services.empty());
  world.register_instance(service, "six", {{"AWS_INSTANCE_IPV6", "2001:db8::1"}, {"AWS_INSTANCE_PORT", "80"}});
  world.register_instance(
      service, "both",
      {{"AWS_INSTANCE_IPV4", "10.0.0.2"}, {"AWS_INSTANCE_IPV6", "2001:db8::2"}, {"AWS_INSTANCE_PORT", "81"}});
  const auto snapshot = world.compile();
  const auto& endpoints = snapshot->services.at(service.number)->endpoints;
  ASSERT_EQ(2u, endpoints.size());
  EXPECT_EQ("[2001:db8::1]:80", endpoints[0].address.to_string());
  EXPECT_EQ("10.0.0.2:81", endpoints[1].address.to_string());
  EXPECT_LT(endpoints[0].id, endpoints[1].id);
  const auto& name = *snapshot->cloud_map_names.at("s.n");
  EXPECT_EQ(6u, name.instances.size());
  EXPECT_EQ(RecordType::srv, name.records.front().type);
}

TEST(Compiler, AWeightIsAnAttribute) {
  World world;
  const auto service = world.make_cloud_map_service(world.make_space("n"), "s");
  world.register_instance(service, "plain", {{"AWS_INSTANCE_IPV4", "10.0.0.1"}, {"AWS_INSTANCE_PORT", "80"}});
  world.register_instance(service, "heavy",
                          {{"AWS_INSTANCE_IPV4", "10.0.0.2"}, {"AWS_INSTANCE_PORT", "80"}, {"causeway:weight", "255"}});
  const auto snapshot = world.compile();
  const auto& endpoints = snapshot->services.at(service.number)->endpoints;
  EXPECT_EQ(1u, endpoints.at(0).weight);
  EXPECT_EQ(255u, endpoints.at(1).weight);
}

TEST(Compiler, CloudMapNamesAreOfDnsNamespacesWithRecords) {
  World world;
  const auto dns = world.make_space("Dns.Example");
  const auto http = world.make_space("http", false);
  world.make_cloud_map_service(dns, "Web");
  world.make_cloud_map_service(http, "web");
  world.change([&](Call& call) -> Result<void> {
    make_service(call, dns.id, "api-only");
    make_service(call, dns.id, "weighted", [](ServiceRecord& service) {
      service.routing_policy = "WEIGHTED";
      service.dns_records = {{"CNAME", 5}};
    });
    return {};
  });
  const auto snapshot = world.compile();
  ASSERT_EQ(2u, snapshot->cloud_map_names.size());
  EXPECT_EQ(10u, snapshot->cloud_map_names.at("web.dns.example")->records.front().ttl_seconds);
  EXPECT_EQ(RoutingPolicy::weighted, snapshot->cloud_map_names.at("weighted.dns.example")->routing);
  EXPECT_TRUE(snapshot->namespaces.at(dns.number).dns);
  EXPECT_EQ("dns.example", snapshot->namespaces.at(dns.number).name);
  EXPECT_FALSE(snapshot->namespaces.at(http.number).dns);
}

TEST(Compiler, AliasNamesAreLowerCaseAndOrdered) {
  TwoServices world;
  const auto snapshot = world.compile();
  std::vector<std::string> names;
  for (const auto& name : snapshot->alias_names) names.push_back(name.name);
  EXPECT_THAT(names, ::testing::ElementsAre("a", "a.myapp.local", "b", "b.myapp.local"));
  for (std::size_t i = 1; i < snapshot->aliases.size(); ++i)
    EXPECT_LT(snapshot->aliases[i - 1].vip4, snapshot->aliases[i].vip4);
  // A service without endpoints has its alias all the same: a dial is answered, not sent elsewhere.
  EXPECT_TRUE(dialled(*snapshot, "a", 80, world.space.number)->endpoints.empty());
}

TEST(Compiler, TenThousandServices) {
  World world;
  const auto space = world.make_space("n");
  world.change([&](Call& call) -> Result<void> {
    for (int i = 0; i < 10; ++i) make_service(call, space.id, "s" + std::to_string(i));
    return {};
  });
  for (std::uint32_t i = 0; i < 10000; ++i) {  // straight into the state: the transactions are not what is looked at
    auto service = world.state.services.begin()->second;
    service.id = "srv-" + std::to_string(i);
    service.name = "svc" + std::to_string(i);
    service.number = ServiceId(100 + i);
    service.dns_records = {{"A", 10}};
    InstanceRecord instance;
    instance.service_id = service.id;
    instance.id = "i";
    instance.attributes = {{"AWS_INSTANCE_IPV4", "10.0.0.1"}, {"AWS_INSTANCE_PORT", "80"}};
    instance.number = EndpointId(1 + i);
    world.state.instances[service.id]["i"] = instance;
    world.state.services[service.id] = service;
  }
  const auto first = world.compile();
  EXPECT_EQ(10000u, first->services.size());
  const auto second = world.compile(first);
  EXPECT_EQ(first->services, second->services);
  EXPECT_EQ(first->cloud_map_names, second->cloud_map_names);
}

}  // namespace
}  // namespace causeway::control
