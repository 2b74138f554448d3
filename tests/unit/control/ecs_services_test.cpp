#include <gmock/gmock.h>

#include "ecs_world.h"

namespace causeway::control {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

struct Cluster : World {
  Cluster() {
    space = make_space("myapp.local");
    other = make_space("other", false);
    ok("CreateCluster", "{'clusterName':'c'}");
    register_definition("f", "{'name':'http','containerPort':3000,'appProtocol':'http'},{'name':'admin','containerPort':9000},"
                             "{'name':'udp','containerPort':53,'protocol':'udp'}");
  }
  /// Input of CreateService with one Service Connect entry of these members.
  static std::string create(const std::string& name, const std::string& entry, const std::string& space = "myapp.local") {
    return "{'cluster':'c','serviceName':'" + name + "','taskDefinition':'f','serviceConnectConfiguration':{'enabled':true,'namespace':'" +
           space + "','services':[{" + entry + "}]}}";
  }
  static std::string update(const std::string& name, const std::string& members) {
    return "{'cluster':'c','service':'" + name + "'," + members + "}";
  }
  json::object describe(const std::string& name) {
    const auto body = ok("DescribeServices", "{'cluster':'c','services':['" + name + "']}");
    return list_of(body, "services").empty() ? json::object() : list_of(body, "services").front().as_object();
  }
  NamespaceRecord space, other;
};

TEST(EcsServices, ServiceConnectRefusals) {
  Cluster world;
  const std::pair<std::string, std::string> cases[] = {
      {"'discoveryName':'x'", "InvalidParameterException: serviceConnectConfiguration.services[0].portName is missing"},
      {"'portName':'web'", "InvalidParameterException: serviceConnectConfiguration, portName \"web\": task definition f:1 has no port mapping of that name (it has \"http\", \"admin\", \"udp\")"},
      {"'portName':'http','discoveryName':'Up'", "InvalidParameterException: serviceConnectConfiguration, portName \"http\": discoveryName \"Up\" is not valid"},
      {"'portName':'http','discoveryName':'-x'", "InvalidParameterException"},
      {"'portName':'http','discoveryName':'" + std::string(65, 'x') + "'", "InvalidParameterException"},
      {"'portName':'http','clientAliases':[{'dnsName':'x'}]", "InvalidParameterException: serviceConnectConfiguration.services[0].clientAliases[0].port is missing"},
      {"'portName':'http','clientAliases':[{'port':0}]", "InvalidParameterException"},
      {"'portName':'http','clientAliases':[{'port':65536}]", "InvalidParameterException"},
      {"'portName':'http','clientAliases':[{'port':80},{'port':81}]", "InvalidParameterException: serviceConnectConfiguration, portName \"http\": 2 clientAliases; one is allowed"},
      {"'portName':'http','clientAliases':[{'port':80,'dnsName':'User'}]", "InvalidParameterException: serviceConnectConfiguration, portName \"http\": dnsName \"User\""},
      {"'portName':'http','clientAliases':[{'port':80,'dnsName':'a..b'}]", "InvalidParameterException"},
      {"'portName':'http','clientAliases':[{'port':80,'dnsName':'-a'}]", "InvalidParameterException"},
      {"'portName':'http','clientAliases':[{'port':80,'dnsName':'10.0.0.1'}]", "InvalidParameterException"},
      {"'portName':'http','clientAliases':[{'port':80,'dnsName':'localhost'}]", "InvalidParameterException"},
      {"'portName':'http','clientAliases':[{'port':80,'dnsName':'" + std::string(64, 'x') + "'}]", "InvalidParameterException"},
      {"'portName':'http','clientAliases':[{'port':80,'dnsName':'" + std::string(128, 'x') + "'}]", "InvalidParameterException"},
      {"'portName':'http','clientAliases':[{'port':80,'testTrafficRules':{}}]", "UnsupportedFeatureException"},
      {"'portName':'udp','clientAliases':[{'port':53}]", "UnsupportedFeatureException: serviceConnectConfiguration, portName \"udp\": port \"udp\" is UDP"},
      {"'portName':'udp','timeout':{'perRequestTimeoutSeconds':5}", "InvalidParameterException"},
      {"'portName':'http','timeout':{'idleTimeoutSeconds':-1}", "InvalidParameterException"},
      {"'portName':'http','tls':{}", "UnsupportedFeatureException"},
      {"'portName':'http','discoveryName':'x'},{'portName':'admin','discoveryName':'x'", "InvalidParameterException: serviceConnectConfiguration, portName \"admin\": discovery name \"x\" is used twice"},
      {"'portName':'http','clientAliases':[{'port':80,'dnsName':'admin'}]},{'portName':'admin','clientAliases':[{'port':80}]", "InvalidParameterException: alias \"admin:80\""},
  };
  for (const auto& [entry, answer] : cases) EXPECT_THAT(world.refused("CreateService", world.create("s", entry)), StartsWith(answer)) << entry;
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
      {"{'cluster':'c','serviceName':'s','taskDefinition':'f:2'}", "ClientException: Unable to describe task definition \"f:2\""},
      {"{'serviceName':'s','taskDefinition':'f'}", "ClusterNotFoundException: Cluster \"default\" not found"},
      {"{'cluster':'c','serviceName':'s','taskDefinition':'f','desiredCount':-1}", "InvalidParameterException: desiredCount is -1"},
      {"{'cluster':'c','serviceName':'s','taskDefinition':'f','loadBalancers':[{}]}", "UnsupportedFeatureException: loadBalancers"},
      {"{'cluster':'c','serviceName':'s','taskDefinition':'f','deploymentController':{'type':'CODE_DEPLOY'}}", "UnsupportedFeatureException"},
      {"{'cluster':'c','serviceName':'s','taskDefinition':'f','deploymentConfiguration':{'strategy':'BLUE_GREEN'}}", "UnsupportedFeatureException"},
      {"{'cluster':'c','serviceName':'s','taskDefinition':'f','serviceConnectConfiguration':{}}", "InvalidParameterException: serviceConnectConfiguration.enabled is missing"},
      {"{'cluster':'c','serviceName':'s','taskDefinition':'f','serviceConnectConfiguration':{'enabled':true}}", "InvalidParameterException: serviceConnectConfiguration has no namespace"},
      {"{'cluster':'c','serviceName':'s','taskDefinition':'f','serviceConnectConfiguration':{'enabled':true,'namespace':'nope'}}", "NamespaceNotFoundException: serviceConnectConfiguration: there is no namespace \"nope\""},
      {"{'cluster':'c','serviceName':'s','taskDefinition':'f','serviceConnectConfiguration':{'enabled':true,'accessLogConfiguration':{'format':'XML'}}}", "InvalidParameterException"},
      {"{'cluster':'c','serviceName':'s','taskDefinition':'f','serviceRegistries':[{}]}", "InvalidParameterException: serviceRegistries[0].registryArn is missing"},
      {"{'cluster':'c','serviceName':'s','taskDefinition':'f','serviceRegistries':[{'registryArn':'arn:aws:servicediscovery:us-east-1:000000000000:service/srv-x'}]}", "InvalidParameterException: serviceRegistries: registryArn"},
      {"{'cluster':'c','serviceName':'s','taskDefinition':'f','serviceRegistries':[{'registryArn':'" + aaaa.arn + "'}]}", "InvalidParameterException: serviceRegistries: service \"six\" has AAAA"},
      {"{'cluster':'c','serviceName':'s','taskDefinition':'f','serviceRegistries':[{'registryArn':'" + a.arn + "','containerName':'app','containerPort':1}]}", "InvalidParameterException: serviceRegistries: task definition f:1 has no container"},
      {"{'cluster':'c','serviceName':'s','taskDefinition':'f','serviceRegistries':[{'registryArn':'" + a.arn + "','containerPort':3000}]}", "InvalidParameterException: serviceRegistries: containerName and containerPort go together"},
      {"{'cluster':'c','serviceName':'s','taskDefinition':'f','serviceRegistries':[{'registryArn':'" + a.arn + "','port':3000,'containerName':'app','containerPort':3000}]}", "InvalidParameterException: serviceRegistries: port and containerName"},
      {"{'cluster':'c','serviceName':'s','taskDefinition':'f','serviceRegistries':[{'registryArn':'" + a.arn + "'},{'registryArn':'" + a.arn + "'}]}", "InvalidParameterException: serviceRegistries: registryArn"},
  };
  for (const auto& [input, answer] : cases) EXPECT_THAT(world.refused("CreateService", input), StartsWith(answer)) << input;
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
       "'portName':'http','discoveryName':'b','clientAliases':[{'port':80,'dnsName':'a.myapp.local'}]", "a.myapp.local:80"},
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
    EXPECT_EQ(std::string("InvalidParameterException: alias \"") + c.taken + "\" in namespace \"myapp.local\" is already taken by "
              "service \"first\" (discovery name \"a\"); choose another dnsName or port",
              world.refused("CreateService", second)) << c.second;
    world.ok("DeleteService", "{'cluster':'c','service':'first'}");
    world.ok("CreateService", second);
  }
}

TEST(EcsServices, OneNameWithTwoPortsIsOneAddress) {
  Cluster world;
  world.ok("CreateService", world.create("first", "'portName':'http','discoveryName':'a','clientAliases':[{'port':80}]"));
  world.ok("CreateService", world.create("second", "'portName':'admin','discoveryName':'b','clientAliases':[{'port':81,'dnsName':'a'}]"));
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
              HasSubstr("discovery name \"http\" in namespace \"myapp.local\" is already taken by service \"first\" of cluster \"c\""));
  world.ok("CreateService", world.create("second", "'portName':'http'", "other"));
  world.make_cloud_map_service(world.space, "Plain");
  EXPECT_THAT(world.refused("CreateService", world.create("third", "'portName':'admin','discoveryName':'plain'")),
              HasSubstr("made with servicediscovery create-service"));
}

TEST(EcsServices, ADiscoveryNameMayHoldFurtherInstances) {
  Cluster world;
  world.ok("CreateService", world.create("s", "'portName':'http','discoveryName':'a','clientAliases':[{'port':80}]"));
  const auto id = world.state.find_service(world.space.id, "a")->id;
  world.register_instance(world.state.services.at(id), "vm-1", {{"AWS_INSTANCE_IPV4", "10.0.0.7"}, {"AWS_INSTANCE_PORT", "3000"}});
  const auto task = world.start_task("c", "s");
  world.listen(task, 3000);
  EXPECT_EQ(2u, dialled(*world.compile(), "a", 80, world.space.number)->endpoints.size());
  world.ok("DeleteService", "{'cluster':'c','service':'s','force':true}");
  world.stop(task);
  // What register-instance added keeps the service; another ECS service may take the name over.
  ASSERT_TRUE(world.state.services.contains(id));
  EXPECT_EQ(1u, world.state.instances.at(id).size());
  world.ok("CreateService", world.create("again", "'portName':'http','discoveryName':'a','clientAliases':[{'port':80}]"));
  EXPECT_EQ(1u, dialled(*world.compile(), "a", 80, world.space.number)->endpoints.size());
  EXPECT_EQ(1u, world.state.services.size());
}

TEST(EcsServices, DescribedAsAwsDoes) {
  Cluster world;
  world.ok("CreateService", "{'cluster':'c','serviceName':'s','taskDefinition':'f','desiredCount':2,'launchType':'EC2',"
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
  EXPECT_THAT(json::serialize(list_of(service, "events")), HasSubstr("has stopped: Essential container in task exited"));
  const auto body = world.ok("DescribeServices", "{'cluster':'c','services':['" + world.service("c", "s").arn +
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
  for (const auto* name : {"a", "b"}) world.ok("CreateService", world.create(name, std::string("'portName':'http','discoveryName':'") + name + "'"));
  world.ok("CreateService", "{'cluster':'c','serviceName':'plain','taskDefinition':'f','launchType':'FARGATE'}");
  EXPECT_EQ(3u, list_of(world.ok("ListServices", "{'cluster':'c'}"), "serviceArns").size());
  EXPECT_EQ(1u, list_of(world.ok("ListServices", "{'cluster':'c','launchType':'FARGATE'}"), "serviceArns").size());
  EXPECT_EQ(2u, list_of(world.ok("ListServicesByNamespace", "{'namespace':'myapp.local'}"), "serviceArns").size());
  EXPECT_EQ(2u, list_of(world.ok("ListServicesByNamespace", "{'namespace':'" + world.space.arn + "'}"), "serviceArns").size());
  EXPECT_THAT(world.refused("ListServicesByNamespace", "{'namespace':'nope'}"), StartsWith("NamespaceNotFoundException"));
}

TEST(EcsServices, DeleteNeedsNoTasksOrForce) {
  Cluster world;
  world.ok("CreateService", world.create("s", "'portName':'http','discoveryName':'a','clientAliases':[{'port':80}]"));
  world.ok("UpdateService", world.update("s", "'desiredCount':1"));
  EXPECT_THAT(world.refused("DeleteService", "{'cluster':'c','service':'s'}"), HasSubstr("scaled above 0"));
  world.ok("UpdateService", world.update("s", "'desiredCount':0"));
  const auto task = world.start_task("c", "s");
  EXPECT_THAT(world.refused("DeleteService", "{'cluster':'c','service':'s'}"), HasSubstr("while it has 1 tasks"));
  EXPECT_THAT(world.refused("DeleteService", "{'cluster':'c','service':'x'}"), StartsWith("ServiceNotFoundException"));

  const auto gone = world.ok("DeleteService", "{'cluster':'c','service':'s','force':true}");
  EXPECT_EQ("DRAINING", text_of(object_of(gone, "service"), "status"));
  EXPECT_EQ("STOPPED", world.task(task).desired_status);
  EXPECT_TRUE(world.compile()->aliases.empty());
  EXPECT_EQ(1u, world.compile()->services.size());  // its connections drain
  EXPECT_EQ(world.space.number, world.compile()->workloads.at(task.id).namespace_number);
  EXPECT_THAT(world.refused("CreateService", world.create("s", "'portName':'http'")), HasSubstr("still draining"));
  EXPECT_THAT(world.refused("UpdateService", world.update("s", "'desiredCount':1")), StartsWith("ServiceNotActiveException"));
  world.change([&](Call& call) { return task_deregister(call, "c", task.id); });
  world.stop(task);
  EXPECT_EQ("INACTIVE", text_of(world.describe("s"), "status"));
  EXPECT_EQ(0u, list_of(world.describe("s"), "deployments").size());
  EXPECT_TRUE(world.state.services.empty());
  EXPECT_THAT(world.refused("DeleteService", "{'cluster':'c','service':'s'}"), StartsWith("ServiceNotFoundException"));
  EXPECT_EQ(0u, list_of(world.ok("ListServices", "{'cluster':'c'}"), "serviceArns").size());
  const auto number = world.service("c", "s").number;
  world.ok("CreateService", world.create("s", "'portName':'http'"));
  EXPECT_NE(number, world.service("c", "s").number);
}

TEST(EcsServices, UpdateReregistersRunningTasks) {
  Cluster world;
  world.ok("CreateService", world.create("s", "'portName':'http','discoveryName':'a','clientAliases':[{'port':80,'dnsName':'x'}]"));
  const auto task = world.start_task("c", "s");
  world.listen(task, 3000);
  world.listen(task, 9000);
  const auto before = dialled(*world.compile(), "x", 80, world.space.number)->endpoints.front();
  const auto deployment = world.service("c", "s").deployment_id;

  // Another name for the same port.
  world.ok("UpdateService", world.update("s", "'serviceConnectConfiguration':{'enabled':true,'namespace':'myapp.local','services':["
                                         "{'portName':'http','discoveryName':'b','clientAliases':[{'port':80,'dnsName':'y'}]}]}"));
  auto snapshot = world.compile();
  EXPECT_EQ("", vip_of(*snapshot, "x", world.space.number));
  EXPECT_EQ(nullptr, world.state.find_service(world.space.id, "a"));
  auto endpoint = dialled(*snapshot, "y", 80, world.space.number)->endpoints.front();
  EXPECT_EQ("127.254.0.1:3000", endpoint.address.to_string());
  EXPECT_EQ(Health::healthy, endpoint.health);
  EXPECT_NE(before.id, endpoint.id);
  EXPECT_NE(deployment, world.service("c", "s").deployment_id);
  EXPECT_EQ(1u, list_of(world.describe("s"), "deployments").size());

  // The same name for another port, which listens already.
  world.ok("UpdateService", world.update("s", "'serviceConnectConfiguration':{'enabled':true,'namespace':'myapp.local','services':["
                                         "{'portName':'admin','discoveryName':'b','clientAliases':[{'port':80,'dnsName':'y'}]}]}"));
  auto moved = dialled(*world.compile(), "y", 80, world.space.number)->endpoints.front();
  EXPECT_EQ("127.254.0.1:9000", moved.address.to_string());
  EXPECT_EQ(Health::healthy, moved.health);
  EXPECT_NE(endpoint.id, moved.id);

  // Client-only: nothing is found any more, and the task still sees the namespace.
  world.ok("UpdateService", world.update("s", "'serviceConnectConfiguration':{'enabled':true,'namespace':'myapp.local'}"));
  snapshot = world.compile();
  EXPECT_TRUE(snapshot->services.empty());
  EXPECT_TRUE(world.state.instances.empty());
  EXPECT_EQ(world.space.number, snapshot->workloads.at(task.id).namespace_number);

  // Off.
  world.ok("UpdateService", world.update("s", "'serviceConnectConfiguration':{'enabled':false}"));
  EXPECT_EQ(kNoNamespace, world.compile()->workloads.at(task.id).namespace_number);
  EXPECT_TRUE(world.state.vips.empty());
}

TEST(EcsServices, UpdateToAnotherTaskDefinition) {
  Cluster world;
  world.ok("CreateService", world.create("s", "'portName':'http','discoveryName':'a','clientAliases':[{'port':80}]"));
  const auto task = world.start_task("c", "s");
  world.listen(task, 3000);
  world.ok("RegisterTaskDefinition", "{'family':'f','containerDefinitions':[{'name':'app','image':'none','stopTimeout':5,'portMappings':[{'name':'http','containerPort':4000}]}]}");
  world.ok("UpdateService", world.update("s", "'taskDefinition':'f'"));
  EXPECT_EQ(std::vector<std::uint16_t>{4000}, world.task(task).ports);
  EXPECT_TRUE(world.task(task).listening_ports.empty());
  EXPECT_EQ(5u, world.task(task).stop_timeout_seconds);
  auto endpoint = dialled(*world.compile(), "a", 80, world.space.number)->endpoints.front();
  EXPECT_EQ("127.254.0.1:4000", endpoint.address.to_string());
  EXPECT_EQ(Health::starting, endpoint.health);
  EXPECT_EQ(std::vector<std::uint16_t>{4000}, world.compile()->workloads.at(task.id).ports);

  // One without the port that Service Connect names.
  world.register_definition("f", "{'name':'web','containerPort':4000}");
  EXPECT_THAT(world.refused("UpdateService", world.update("s", "'taskDefinition':'f:3'")), HasSubstr("has no port mapping of that name"));
  world.ok("DeregisterTaskDefinition", "{'taskDefinition':'f:1'}");
  EXPECT_THAT(world.refused("UpdateService", world.update("s", "'taskDefinition':'f:1'")), StartsWith("ClientException: TaskDefinition f:1 is inactive"));
  EXPECT_THAT(world.refused("UpdateService", world.update("x", "'desiredCount':1")), StartsWith("ServiceNotFoundException"));
}

TEST(EcsServices, UpdateOfRegistries) {
  Cluster world;
  const auto one = world.make_cloud_map_service(world.space, "one");
  const auto two = world.make_cloud_map_service(world.space, "two");
  world.ok("CreateService", "{'cluster':'c','serviceName':'s','taskDefinition':'f','serviceRegistries':[{'registryArn':'" + one.arn + "'}]}");
  const auto task = world.start_task("c", "s");
  world.ok("UpdateService", world.update("s", "'serviceRegistries':[{'registryArn':'" + two.arn + "','port':7000}]"));
  EXPECT_FALSE(world.state.instances.contains(one.id));
  EXPECT_EQ("7000", world.state.instances.at(two.id).at(task.id).attributes.at("AWS_INSTANCE_PORT"));
  EXPECT_THAT(world.task(task).ports, ::testing::Contains(7000));
  EXPECT_EQ(3u, world.state.services.at(one.id).instances_revision);
  world.ok("UpdateService", world.update("s", "'serviceRegistries':[]"));
  EXPECT_TRUE(world.state.instances.empty());
  EXPECT_EQ(2u, world.state.services.size());  // plain Cloud Map services stay
}

TEST(EcsServices, UpdateThatChangesNothingKeepsTheDeploymentUnlessForced) {
  Cluster world;
  world.ok("CreateService", world.create("s", "'portName':'http','discoveryName':'a','clientAliases':[{'port':80}]"));
  const auto task = world.start_task("c", "s");
  const auto deployment = world.service("c", "s").deployment_id;
  const auto instances = encode(world.state.instances.begin()->second.begin()->second);
  world.ok("UpdateService", world.update("s", "'desiredCount':3"));
  EXPECT_EQ(deployment, world.service("c", "s").deployment_id);
  EXPECT_EQ(3u, world.service("c", "s").desired_count);
  EXPECT_EQ(1u, world.last_size);  // the service alone
  world.ok("UpdateService", world.update("s", "'forceNewDeployment':true"));
  EXPECT_NE(deployment, world.service("c", "s").deployment_id);
  EXPECT_EQ(instances, encode(world.state.instances.begin()->second.begin()->second));
}

TEST(EcsServices, UpdateLeavesDrainingTasksDraining) {
  Cluster world;
  world.ok("CreateService", world.create("s", "'portName':'http','discoveryName':'a','clientAliases':[{'port':80}]"));
  const auto task = world.start_task("c", "s");
  world.listen(task, 3000);
  world.change([&](Call& call) { return task_deregister(call, "c", task.id); });
  world.ok("UpdateService", world.update("s", "'forceNewDeployment':true"));
  EXPECT_EQ(Health::draining, dialled(*world.compile(), "a", 80, world.space.number)->endpoints.front().health);
  world.ok("UpdateService", world.update("s", "'serviceConnectConfiguration':{'enabled':true,'namespace':'myapp.local','services':["
                                         "{'portName':'http','discoveryName':'b','clientAliases':[{'port':80}]}]}"));
  EXPECT_TRUE(dialled(*world.compile(), "b", 80, world.space.number)->endpoints.empty());
  EXPECT_TRUE(world.state.instances.empty());
  world.stop(task);
}

}  // namespace
}  // namespace causeway::control
