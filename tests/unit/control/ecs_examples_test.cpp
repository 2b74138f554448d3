// The two guides, command for command, on records: what is found, under which names, and what is left afterwards.
#include <gmock/gmock.h>

#include "ecs_world.h"

namespace causeway::control {
namespace {

using ::testing::HasSubstr;

constexpr const char* kConnect =
    "'serviceConnectConfiguration':{'enabled':true,'namespace':'myapp.local','services':[{'portName':'http',"
    "'discoveryName':'user-service','clientAliases':[{'port':80,'dnsName':'user-svc'}]}]}";

struct FirstGuide : World {
  FirstGuide() {
    space = make_space("myapp.local");
    ok("CreateCluster", "{'clusterName':'production'}");
    for (int i = 0; i < 5; ++i)
      register_definition("user-service", "{'name':'http','containerPort':3000,'protocol':'tcp'}");
  }
  NamespaceRecord space;
};

std::string create_with(const std::string& members) {
  return "{'cluster':'production','serviceName':'user-service','taskDefinition':'user-service:5'," + members + "}";
}

TEST(EcsExamples, FirstGuideByServiceRegistries) {
  FirstGuide world;
  const auto cloud_map = world.make_cloud_map_service(world.space, "user-service");
  const auto made = world.ok("CreateService",
                             create_with("'serviceRegistries':[{'registryArn':'" + cloud_map.arn + "','port':3000}]"));
  EXPECT_EQ("arn:aws:ecs:us-east-1:000000000000:service/production/user-service",
            text_of(object_of(made, "service"), "serviceArn"));
  const auto task = world.start_task("production", "user-service");
  const auto& instance = world.state.instances.at(cloud_map.id).at(task.id);
  const std::map<std::string, std::string> expected = {{"AWS_INSTANCE_IPV4", "127.254.0.1"},
                                                       {"AWS_INSTANCE_PORT", "3000"},
                                                       {"ECS_SERVICE_NAME", "user-service"},
                                                       {"ECS_CLUSTER_NAME", "production"},
                                                       {"ECS_TASK_DEFINITION_FAMILY", "user-service"},
                                                       {"AVAILABILITY_ZONE", "us-east-1a"},
                                                       {"REGION", "us-east-1"}};
  EXPECT_EQ(expected, instance.attributes);
  EXPECT_EQ(2u, world.state.services.at(cloud_map.id).instances_revision);
  world.listen(task, 3000);
  EXPECT_EQ(2u, world.state.services.at(cloud_map.id).instances_revision);
  const auto snapshot = world.compile();
  const auto& name = *snapshot->cloud_map_names.at("user-service.myapp.local");
  ASSERT_EQ(1u, name.instances.size());
  EXPECT_TRUE(name.instances.front().healthy);
  EXPECT_EQ("127.254.0.1", name.instances.front().ipv4.to_string());
  EXPECT_TRUE(snapshot->aliases.empty());
  // Without Service Connect its tasks see no aliases.
  EXPECT_EQ(kNoNamespace, snapshot->workloads.at(task.id).namespace_number);
}

TEST(EcsExamples, FirstGuideByServiceConnect) {
  FirstGuide world;
  const auto made = world.ok("CreateService", create_with(kConnect));
  const auto* discovery = world.state.find_service(world.space.id, "user-service");
  ASSERT_NE(nullptr, discovery);
  EXPECT_TRUE(discovery->service_connect);
  const auto& deployment = list_of(object_of(made, "service"), "deployments").front().as_object();
  EXPECT_EQ("[{\"discoveryName\":\"user-service\",\"discoveryArn\":\"" + discovery->arn + "\"}]",
            json::serialize(list_of(deployment, "serviceConnectResources")));
  EXPECT_EQ("myapp.local", text_of(object_of(deployment, "serviceConnectConfiguration"), "namespace"));
  const auto task = world.start_task("production", "user-service");
  world.listen(task, 3000);
  const auto snapshot = world.compile();
  const auto service = dialled(*snapshot, "user-svc", 80, world.space.number);
  ASSERT_NE(nullptr, service);
  ASSERT_EQ(1u, service->endpoints.size());
  EXPECT_EQ("127.254.0.1:3000", service->endpoints.front().address.to_string());
  EXPECT_EQ(Health::healthy, service->endpoints.front().health);
  EXPECT_EQ("", vip_of(*snapshot, "user-service", world.space.number));
  EXPECT_EQ(world.space.number, snapshot->workloads.at(task.id).namespace_number);
  EXPECT_TRUE(snapshot->cloud_map_names.empty());
}

TEST(EcsExamples, FirstGuideSaysRevisionFiveAndOneRegistrationIsNotEnough) {
  World world;
  world.make_space("myapp.local");
  world.ok("CreateCluster", "{'clusterName':'production'}");
  world.register_definition("user-service", "{'name':'http','containerPort':3000}");
  EXPECT_THAT(
      world.refused("CreateService", create_with(kConnect)),
      HasSubstr("Unable to describe task definition \"user-service:5\": family \"user-service\" has revision 1"));
}

TEST(EcsExamples, BothWaysOnOneServiceNeedAnotherDiscoveryName) {
  FirstGuide world;
  const auto cloud_map = world.make_cloud_map_service(world.space, "user-service");
  const auto registries = "'serviceRegistries':[{'registryArn':'" + cloud_map.arn + "','port':3000}],";
  EXPECT_THAT(
      world.refused("CreateService", create_with(registries + kConnect)),
      HasSubstr(
          "discovery name \"user-service\" in namespace \"myapp.local\" is already taken by the Cloud Map service " +
          cloud_map.id));
  world.ok("CreateService",
           create_with(
               registries +
               "'serviceConnectConfiguration':{'enabled':true,'namespace':'myapp.local','services':[{'portName':'http',"
               "'discoveryName':'user-sc','clientAliases':[{'port':80,'dnsName':'user-svc'}]}]}"));
  const auto task = world.start_task("production", "user-service");
  world.listen(task, 3000);
  const auto snapshot = world.compile();
  EXPECT_EQ("user-sc", dialled(*snapshot, "user-svc", 80, world.space.number)->discovery_name);
  EXPECT_TRUE(snapshot->cloud_map_names.at("user-service.myapp.local")->instances.front().healthy);
}

TEST(EcsExamples, SecondGuide) {
  World world;
  const auto space = world.make_space("internal.myapp");
  world.ok("CreateCluster", "{'clusterName':'main','serviceConnectDefaults':{'namespace':'internal.myapp'}}");
  world.ok("RegisterTaskDefinition",
           "{'family':'backend','containerDefinitions':[{'name':'backend','image':'none','portMappings':[{'"
           "containerPort':8080}]}]}");
  world.ok("CreateService",
           "{'cluster':'main','serviceName':'backend','taskDefinition':'backend','serviceConnectConfiguration':{"
           "'enabled':true,'services':[{'portName':'backend-8080-tcp','discoveryName':'backend','clientAliases':[{'"
           "port':8080}]}]}}");
  world.ok("CreateService",
           "{'cluster':'main','serviceName':'frontend','taskDefinition':'backend','serviceConnectConfiguration':{'"
           "enabled':true}}");
  const auto backend = world.start_task("main", "backend");
  const auto frontend = world.start_task("main", "frontend");
  world.listen(backend, 8080);
  const auto snapshot = world.compile();
  for (const auto* name : {"backend.internal.myapp", "backend"}) {
    const auto service = dialled(*snapshot, name, 8080, space.number);
    ASSERT_NE(nullptr, service) << name;
    EXPECT_EQ("127.254.0.1:8080", service->endpoints.front().address.to_string());
    EXPECT_EQ("internal.myapp", service->namespace_name);
  }
  // The client-only service sees the namespace and cannot be found in it.
  EXPECT_EQ(space.number, snapshot->workloads.at(frontend.id).namespace_number);
  EXPECT_EQ(1u, snapshot->services.size());
  EXPECT_EQ(1u, world.state.services.size());
  EXPECT_NE(snapshot->workloads.at(frontend.id).client, snapshot->workloads.at(backend.id).client);
}

TEST(EcsExamples, NothingIsLeftWhenAllIsDeleted) {
  FirstGuide world;
  world.ok("CreateService", create_with(kConnect));
  const auto task = world.start_task("production", "user-service");
  world.ok("StopTask", "{'cluster':'production','task':'" + task.arn + "'}");
  world.change([&](Call& call) { return task_deregister(call, "production", task.id); });
  EXPECT_EQ(Health::draining, dialled(*world.compile(), "user-svc", 80, world.space.number)->endpoints.front().health);
  world.stop(task);
  world.ok("DeleteService", "{'cluster':'production','service':'user-service'}");
  EXPECT_TRUE(world.state.services.empty());
  EXPECT_TRUE(world.state.instances.empty());
  EXPECT_TRUE(world.state.vips.empty());
  const auto snapshot = world.compile();
  EXPECT_TRUE(snapshot->services.empty());
  EXPECT_TRUE(snapshot->aliases.empty());
  EXPECT_TRUE(snapshot->workloads.empty());
  world.ok("DeleteCluster", "{'cluster':'production'}");
}

}  // namespace
}  // namespace causeway::control
