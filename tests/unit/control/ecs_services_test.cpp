#include <gmock/gmock.h>

#include "ecs_cluster.h"

namespace causeway::control {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(EcsServices, ServiceConnectRefusals) {
  Cluster world;
  const std::pair<std::string, std::string> cases[] = {
      {"'discoveryName':'x'", "InvalidParameterException: serviceConnectConfiguration.services[0].portName is missing"},
      {"'portName':'web'",
       "InvalidParameterException: serviceConnectConfiguration, portName \"web\": task definition f:1 has no port "
       "mapping of that name (it has \"http\", \"admin\", \"udp\")"},
      {"'portName':'http','discoveryName':'Up'",
       "InvalidParameterException: serviceConnectConfiguration, portName \"http\": discoveryName \"Up\" is not valid"},
      {"'portName':'http','discoveryName':'-x'", "InvalidParameterException"},
      {"'portName':'http','discoveryName':'" + std::string(65, 'x') + "'", "InvalidParameterException"},
      {"'portName':'http','clientAliases':[{'dnsName':'x'}]",
       "InvalidParameterException: serviceConnectConfiguration.services[0].clientAliases[0].port is missing"},
      {"'portName':'http','clientAliases':[{'port':0}]", "InvalidParameterException"},
      {"'portName':'http','clientAliases':[{'port':65536}]", "InvalidParameterException"},
      {"'portName':'http','clientAliases':[{'port':80},{'port':81}]",
       "InvalidParameterException: serviceConnectConfiguration, portName \"http\": 2 clientAliases; one is allowed"},
      {"'portName':'http','clientAliases':[{'port':80,'dnsName':'User'}]",
       "InvalidParameterException: serviceConnectConfiguration, portName \"http\": dnsName \"User\""},
      {"'portName':'http','clientAliases':[{'port':80,'dnsName':'a..b'}]", "InvalidParameterException"},
      {"'portName':'http','clientAliases':[{'port':80,'dnsName':'-a'}]", "InvalidParameterException"},
      {"'portName':'http','clientAliases':[{'port':80,'dnsName':'10.0.0.1'}]", "InvalidParameterException"},
      {"'portName':'http','clientAliases':[{'port':80,'dnsName':'localhost'}]", "InvalidParameterException"},
      {"'portName':'http','clientAliases':[{'port':80,'dnsName':'" + std::string(64, 'x') + "'}]",
       "InvalidParameterException"},
      {"'portName':'http','clientAliases':[{'port':80,'dnsName':'" + std::string(128, 'x') + "'}]",
       "InvalidParameterException"},
      {"'portName':'http','clientAliases':[{'port':80,'testTrafficRules':{}}]", "UnsupportedFeatureException"},
      {"'portName':'udp','clientAliases':[{'port':53}]",
       "UnsupportedFeatureException: serviceConnectConfiguration, portName \"udp\": port \"udp\" is UDP"},
      {"'portName':'udp','timeout':{'perRequestTimeoutSeconds':5}", "InvalidParameterException"},
      {"'portName':'http','timeout':{'idleTimeoutSeconds':-1}", "InvalidParameterException"},
      {"'portName':'http','tls':{}", "UnsupportedFeatureException"},
      {"'portName':'http','discoveryName':'x'},{'portName':'admin','discoveryName':'x'",
       "InvalidParameterException: serviceConnectConfiguration, portName \"admin\": discovery name \"x\" is used "
       "twice"},
      {"'portName':'http','clientAliases':[{'port':80,'dnsName':'admin'}]},{'portName':'admin','clientAliases':[{'port'"
       ":80}]",
       "InvalidParameterException: alias \"admin:80\""},
  };
  for (const auto& [entry, answer] : cases)
    EXPECT_THAT(world.refused("CreateService", world.create("s", entry)), StartsWith(answer)) << entry;
  EXPECT_TRUE(world.state.services.empty());
  EXPECT_TRUE(world.state.ecs_services.empty());
}

TEST(EcsServices, OtherRefusalsOfCreateService) {
  Cluster world;
  const auto aaaa = world.make_cloud_map_service(world.space, "six", "AAAA");
  const auto a = world.make_cloud_map_service(world.space, "four");
  const std::pair<std::string, std::string> cases[] = {
      {"{'cluster':'c','taskDefinition':'f'}", "InvalidParameterException: serviceName is missing"},
      {"{'cluster':'c','serviceName':'a b','taskDefinition':'f'}", "InvalidParameterException: serviceName \"a b\""},
      {"{'cluster':'c','serviceName':'s'}", "InvalidParameterException: taskDefinition is missing"},
      {"{'cluster':'c','serviceName':'s','taskDefinition':'f:2'}",
       "ClientException: Unable to describe task definition \"f:2\""},
      {"{'serviceName':'s','taskDefinition':'f'}", "ClusterNotFoundException: Cluster \"default\" not found"},
      {"{'cluster':'c','serviceName':'s','taskDefinition':'f','desiredCount':-1}",
       "InvalidParameterException: desiredCount is -1"},
      {"{'cluster':'c','serviceName':'s','taskDefinition':'f','loadBalancers':[{}]}",
       "UnsupportedFeatureException: loadBalancers"},
      {"{'cluster':'c','serviceName':'s','taskDefinition':'f','deploymentController':{'type':'CODE_DEPLOY'}}",
       "UnsupportedFeatureException"},
      {"{'cluster':'c','serviceName':'s','taskDefinition':'f','deploymentConfiguration':{'strategy':'BLUE_GREEN'}}",
       "UnsupportedFeatureException"},
      {"{'cluster':'c','serviceName':'s','taskDefinition':'f','serviceConnectConfiguration':{}}",
       "InvalidParameterException: serviceConnectConfiguration.enabled is missing"},
      {"{'cluster':'c','serviceName':'s','taskDefinition':'f','serviceConnectConfiguration':{'enabled':true}}",
       "InvalidParameterException: serviceConnectConfiguration has no namespace"},
      {"{'cluster':'c','serviceName':'s','taskDefinition':'f','serviceConnectConfiguration':{'enabled':true,'namespace'"
       ":'nope'}}",
       "NamespaceNotFoundException: serviceConnectConfiguration: there is no namespace \"nope\""},
      {"{'cluster':'c','serviceName':'s','taskDefinition':'f','serviceConnectConfiguration':{'enabled':true,'"
       "accessLogConfiguration':{'format':'XML'}}}",
       "InvalidParameterException"},
      {"{'cluster':'c','serviceName':'s','taskDefinition':'f','serviceRegistries':[{}]}",
       "InvalidParameterException: serviceRegistries[0].registryArn is missing"},
      {"{'cluster':'c','serviceName':'s','taskDefinition':'f','serviceRegistries':[{'registryArn':'arn:aws:"
       "servicediscovery:us-east-1:000000000000:service/srv-x'}]}",
       "InvalidParameterException: serviceRegistries: registryArn"},
      {"{'cluster':'c','serviceName':'s','taskDefinition':'f','serviceRegistries':[{'registryArn':'" + aaaa.arn +
           "'}]}",
       "InvalidParameterException: serviceRegistries: service \"six\" has AAAA"},
      {"{'cluster':'c','serviceName':'s','taskDefinition':'f','serviceRegistries':[{'registryArn':'" + a.arn +
           "','containerName':'app','containerPort':1}]}",
       "InvalidParameterException: serviceRegistries: task definition f:1 has no container"},
      {"{'cluster':'c','serviceName':'s','taskDefinition':'f','serviceRegistries':[{'registryArn':'" + a.arn +
           "','containerPort':3000}]}",
       "InvalidParameterException: serviceRegistries: containerName and containerPort go together"},
      {"{'cluster':'c','serviceName':'s','taskDefinition':'f','serviceRegistries':[{'registryArn':'" + a.arn +
           "','port':3000,'containerName':'app','containerPort':3000}]}",
       "InvalidParameterException: serviceRegistries: port and containerName"},
      {"{'cluster':'c','serviceName':'s','taskDefinition':'f','serviceRegistries':[{'registryArn':'" + a.arn +
           "'},{'registryArn':'" + a.arn + "'}]}",
       "InvalidParameterException: serviceRegistries: registryArn"},
  };
  for (const auto& [input, answer] : cases)
    EXPECT_THAT(world.refused("CreateService", input), StartsWith(answer)) << input;
  EXPECT_TRUE(world.state.ecs_services.empty());
}

TEST(EcsServices, AliasConflictsInANamespace) {
  struct Case {
    const char* first;
    const char* second;
    const char* taken;  ///< "" where both may stand
  };
  const Case cases[] = {
      {"'portName':'http','discoveryName':'a','clientAliases':[{'port':80,'dnsName':'x'}]",
       "'portName':'http','discoveryName':'b','clientAliases':[{'port':80,'dnsName':'x'}]", "x:80"},
      {"'portName':'http','discoveryName':'a','clientAliases':[{'port':80,'dnsName':'x'}]",
       "'portName':'http','discoveryName':'b','clientAliases':[{'port':81,'dnsName':'x'}]", ""},
      {"'portName':'http','discoveryName':'a','clientAliases':[{'port':80}]",
       "'portName':'http','discoveryName':'b','clientAliases':[{'port':80,'dnsName':'a'}]", "a:80"},
      {"'portName':'http','discoveryName':'a','clientAliases':[{'port':80}]",
       "'portName':'http','discoveryName':'b','clientAliases':[{'port':80,'dnsName':'a.myapp.local'}]",
       "a.myapp.local:80"},
      {"'portName':'http','discoveryName':'a','clientAliases':[{'port':80,'dnsName':'b'}]",
       "'portName':'http','discoveryName':'b','clientAliases':[{'port':80}]", "b:80"},
      {"'portName':'http','discoveryName':'a','clientAliases':[{'port':80}]",
       "'portName':'http','discoveryName':'b','clientAliases':[{'port':81,'dnsName':'a'}]", ""},
      {"'portName':'http','discoveryName':'a'",
       "'portName':'http','discoveryName':'b','clientAliases':[{'port':80,'dnsName':'a'}]", ""},
  };
  for (const auto& c : cases) {
    Cluster world;
    world.ok("CreateService", world.create("first", c.first));
    const auto second = world.create("second", c.second);
    // In another namespace the same names are free.
    world.ok("CreateService", world.create("elsewhere", c.second, "other"));
    if (*c.taken == '\0') {
      world.ok("CreateService", second);
      continue;
    }
    EXPECT_EQ(std::string("InvalidParameterException: alias \"") + c.taken +
                  "\" in namespace \"myapp.local\" is already taken by "
                  "service \"first\" (discovery name \"a\"); choose another dnsName or port",
              world.refused("CreateService", second))
        << c.second;
    world.ok("DeleteService", "{'cluster':'c','service':'first'}");
    world.ok("CreateService", second);
  }
}

TEST(EcsServices, OneNameWithTwoPortsIsOneAddress) {
  Cluster world;
  world.ok("CreateService",
           world.create("first", "'portName':'http','discoveryName':'a','clientAliases':[{'port':80}]"));
  world.ok(
      "CreateService",
      world.create("second", "'portName':'admin','discoveryName':'b','clientAliases':[{'port':81,'dnsName':'a'}]"));
  const auto snapshot = world.compile();
  EXPECT_EQ("a", dialled(*snapshot, "a", 80, world.space.number)->discovery_name);
  EXPECT_EQ("b", dialled(*snapshot, "a", 81, world.space.number)->discovery_name);
  EXPECT_EQ("a", dialled(*snapshot, "a.myapp.local", 80, world.space.number)->discovery_name);
  EXPECT_EQ(nullptr, dialled(*snapshot, "a.myapp.local", 81, world.space.number));
  EXPECT_EQ(2u, snapshot->alias_names.size());
}

TEST(EcsServices, DiscoveryNamesAreUniqueInANamespace) {
  Cluster world;
  world.ok("CreateCluster", "{'clusterName':'d'}");
  world.ok("CreateService", world.create("first", "'portName':'http'"));
  EXPECT_THAT(world.refused("CreateService", world.create("second", "'portName':'http'")),
              HasSubstr("discovery name \"http\" in namespace \"myapp.local\" is already taken by service \"first\" of "
                        "cluster \"c\""));
  world.ok("CreateService", world.create("second", "'portName':'http'", "other"));
  world.make_cloud_map_service(world.space, "Plain");
  EXPECT_THAT(world.refused("CreateService", world.create("third", "'portName':'admin','discoveryName':'plain'")),
              HasSubstr("made with servicediscovery create-service"));
}

TEST(EcsServices, ADiscoveryNameMayHoldFurtherInstances) {
  Cluster world;
  world.ok("CreateService", world.create("s", "'portName':'http','discoveryName':'a','clientAliases':[{'port':80}]"));
  const auto id = world.state.find_service(world.space.id, "a")->id;
  world.register_instance(world.state.services.at(id), "vm-1",
                          {{"AWS_INSTANCE_IPV4", "10.0.0.7"}, {"AWS_INSTANCE_PORT", "3000"}});
  const auto task = world.start_task("c", "s");
  world.listen(task, 3000);
  EXPECT_EQ(2u, dialled(*world.compile(), "a", 80, world.space.number)->endpoints.size());
  world.ok("DeleteService", "{'cluster':'c','service':'s','force':true}");
  world.stop(task);
  // What register-instance added keeps the service; another ECS service may take the name over.
  ASSERT_TRUE(world.state.services.contains(id));
  EXPECT_EQ(1u, world.state.instances.at(id).size());
  world.ok("CreateService",
           world.create("again", "'portName':'http','discoveryName':'a','clientAliases':[{'port':80}]"));
  EXPECT_EQ(1u, dialled(*world.compile(), "a", 80, world.space.number)->endpoints.size());
  EXPECT_EQ(1u, world.state.services.size());
}

TEST(EcsServices, DescribedAsAwsDoes) {
  Cluster world;
  world.ok("CreateService",
           "{'cluster':'c','serviceName':'s','taskDefinition':'f','desiredCount':2,'launchType':'EC2',"
           "'tags':[{'key':'team','value':'a'}],'networkConfiguration':{'awsvpcConfiguration':{'subnets':['x']}}}");
  const auto first = world.start_task("c", "s");
  const auto pending = world.change([&](Call& call) { return create_task(call, {"c", "s"}); });
  auto service = world.describe("s");
  EXPECT_EQ(2, integer_of(service, "desiredCount"));
  EXPECT_EQ(1, integer_of(service, "runningCount"));
  EXPECT_EQ(1, integer_of(service, "pendingCount"));
  EXPECT_EQ("EC2", text_of(service, "launchType"));
  EXPECT_FALSE(has(service, "tags"));
  ASSERT_EQ(1u, list_of(service, "deployments").size());
  EXPECT_EQ(1, integer_of(list_of(service, "deployments").front().as_object(), "runningCount"));
  EXPECT_EQ("IN_PROGRESS", text_of(list_of(service, "deployments").front().as_object(), "rolloutState"));
  EXPECT_TRUE(has(object_of(service, "networkConfiguration"), "awsvpcConfiguration"));
  world.change([&](Call& call) { return task_started(call, "c", pending->id, 1, 77); });
  EXPECT_EQ("COMPLETED", text_of(list_of(world.describe("s"), "deployments").front().as_object(), "rolloutState"));
  EXPECT_EQ(2u, list_of(world.describe("s"), "events").size());
  world.stop(first, 137);
  service = world.describe("s");
  EXPECT_EQ(1, integer_of(service, "runningCount"));
  EXPECT_THAT(json::serialize(list_of(service, "events")),
              HasSubstr("has stopped: Essential container in task exited"));
  const auto body = world.ok("DescribeServices",
                             "{'cluster':'c','services':['" + world.service("c", "s").arn +
                                 "','nope','arn:aws:ecs:us-east-1:000000000000:service/d/s'],'include':['TAGS']}");
  EXPECT_EQ(1u, list_of(body, "services").size());
  EXPECT_EQ(1u, list_of(list_of(body, "services").front().as_object(), "tags").size());
  EXPECT_EQ(2u, list_of(body, "failures").size());
  EXPECT_EQ("MISSING", text_of(list_of(body, "failures").front().as_object(), "reason"));
}

TEST(EcsServices, CreatedTwice) {
  Cluster world;
  const std::string input = "{'cluster':'c','serviceName':'s','taskDefinition':'f','clientToken':'t1'}";
  const auto first = world.ok("CreateService", input);
  const auto before = world.revision;
  EXPECT_EQ(first, world.ok("CreateService", input));
  EXPECT_EQ(before, world.revision);
  EXPECT_THAT(world.refused("CreateService", "{'cluster':'c','serviceName':'s','taskDefinition':'f'}"),
              StartsWith("InvalidParameterException: Creation of service was not idempotent"));
}

TEST(EcsServices, Lists) {
  Cluster world;
  for (const auto* name : {"a", "b"})
    world.ok("CreateService", world.create(name, std::string("'portName':'http','discoveryName':'") + name + "'"));
  world.ok("CreateService", "{'cluster':'c','serviceName':'plain','taskDefinition':'f','launchType':'FARGATE'}");
  EXPECT_EQ(3u, list_of(world.ok("ListServices", "{'cluster':'c'}"), "serviceArns").size());
  EXPECT_EQ(1u, list_of(world.ok("ListServices", "{'cluster':'c','launchType':'FARGATE'}"), "serviceArns").size());
  EXPECT_EQ(2u, list_of(world.ok("ListServicesByNamespace", "{'namespace':'myapp.local'}"), "serviceArns").size());
  EXPECT_EQ(
      2u,
      list_of(world.ok("ListServicesByNamespace", "{'namespace':'" + world.space.arn + "'}"), "serviceArns").size());
  EXPECT_THAT(world.refused("ListServicesByNamespace", "{'namespace':'nope'}"),
              StartsWith("NamespaceNotFoundException"));
}

}  // namespace
}  // namespace causeway::control
