// UpdateService and DeleteService: what running tasks, names and records become.
#include <gmock/gmock.h>

#include "ecs_cluster.h"

namespace causeway::control {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

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
  EXPECT_THAT(world.refused("UpdateService", world.update("s", "'desiredCount':1")),
              StartsWith("ServiceNotActiveException"));
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
  world.ok("CreateService",
           world.create("s", "'portName':'http','discoveryName':'a','clientAliases':[{'port':80,'dnsName':'x'}]"));
  const auto task = world.start_task("c", "s");
  world.listen(task, 3000);
  world.listen(task, 9000);
  const auto before = dialled(*world.compile(), "x", 80, world.space.number)->endpoints.front();
  const auto deployment = world.service("c", "s").deployment_id;

  // Another name for the same port.
  world.ok("UpdateService",
           world.update("s",
                        "'serviceConnectConfiguration':{'enabled':true,'namespace':'myapp.local','services':["
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
  world.ok("UpdateService",
           world.update("s",
                        "'serviceConnectConfiguration':{'enabled':true,'namespace':'myapp.local','services':["
                        "{'portName':'admin','discoveryName':'b','clientAliases':[{'port':80,'dnsName':'y'}]}]}"));
  auto moved = dialled(*world.compile(), "y", 80, world.space.number)->endpoints.front();
  EXPECT_EQ("127.254.0.1:9000", moved.address.to_string());
  EXPECT_EQ(Health::healthy, moved.health);
  EXPECT_NE(endpoint.id, moved.id);

  // Client-only: nothing is found any more, and the task still sees the namespace.
  world.ok("UpdateService",
           world.update("s", "'serviceConnectConfiguration':{'enabled':true,'namespace':'myapp.local'}"));
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
  world.ok("RegisterTaskDefinition",
           "{'family':'f','containerDefinitions':[{'name':'app','image':'none','stopTimeout':5,'portMappings':[{'name':"
           "'http','containerPort':4000}]}]}");
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
  EXPECT_THAT(world.refused("UpdateService", world.update("s", "'taskDefinition':'f:3'")),
              HasSubstr("has no port mapping of that name"));
  world.ok("DeregisterTaskDefinition", "{'taskDefinition':'f:1'}");
  EXPECT_THAT(world.refused("UpdateService", world.update("s", "'taskDefinition':'f:1'")),
              StartsWith("ClientException: TaskDefinition f:1 is inactive"));
  EXPECT_THAT(world.refused("UpdateService", world.update("x", "'desiredCount':1")),
              StartsWith("ServiceNotFoundException"));
}

TEST(EcsServices, UpdateOfRegistries) {
  Cluster world;
  const auto one = world.make_cloud_map_service(world.space, "one");
  const auto two = world.make_cloud_map_service(world.space, "two");
  world.ok(
      "CreateService",
      "{'cluster':'c','serviceName':'s','taskDefinition':'f','serviceRegistries':[{'registryArn':'" + one.arn + "'}]}");
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
  world.ok("UpdateService",
           world.update("s",
                        "'serviceConnectConfiguration':{'enabled':true,'namespace':'myapp.local','services':["
                        "{'portName':'http','discoveryName':'b','clientAliases':[{'port':80}]}]}"));
  EXPECT_TRUE(dialled(*world.compile(), "b", 80, world.space.number)->endpoints.empty());
  EXPECT_TRUE(world.state.instances.empty());
  world.stop(task);
}

}  // namespace
}  // namespace causeway::control
