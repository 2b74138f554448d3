#include <gmock/gmock.h>

#include "ecs_world.h"

namespace causeway::control {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

struct OneService : World {
  OneService() {
    space = make_space("myapp.local");
    ok("CreateCluster", "{'clusterName':'c'}");
    register_definition("f", "{'name':'http','containerPort':3000},{'name':'dns','containerPort':53,'protocol':'udp'}");
    ok("CreateService",
       "{'cluster':'c','serviceName':'s','taskDefinition':'f','serviceConnectConfiguration':{'enabled':true,"
       "'namespace':'myapp.local','services':[{'portName':'http','discoveryName':'a','clientAliases':[{'port':80}]},{'"
       "portName':'dns','discoveryName':'d'}]}}");
  }
  std::string create_error(const TaskRequest& request) {
    Call call(state, settings, clock, random);
    const auto task = create_task(call, request);
    EXPECT_TRUE(call.txn.empty());
    return task ? "" : task.error().message();
  }
  const InstanceRecord& instance(const TaskRecord& of, const std::string& discovery_name) const {
    return state.instances.at(state.find_service(space.id, discovery_name)->id).at(of.id);
  }
  NamespaceRecord space;
};

TEST(Tasks, FromPendingToStopped) {
  OneService world;
  const auto made = world.change([&](Call& call) { return create_task(call, {"c", "s"}); });
  EXPECT_EQ("PENDING", made->last_status);
  EXPECT_EQ(32u, made->id.size());
  EXPECT_EQ("arn:aws:ecs:us-east-1:000000000000:task/c/" + made->id, made->arn);
  EXPECT_THAT(made->ports, ElementsAre(3000, 53));
  EXPECT_EQ(30u, made->stop_timeout_seconds);
  EXPECT_TRUE(world.state.instances.empty());
  EXPECT_TRUE(world.compile()->workloads.empty());

  world.change([&](Call& call) { return task_started(call, "c", made->id, 12, 99); });
  const auto& task = world.task(*made);
  EXPECT_EQ("RUNNING", task.last_status);
  EXPECT_EQ(99u, world.compile()->workloads.at(task.id).cgroup_id);
  EXPECT_EQ("s", world.compile()->workloads.at(task.id).client_name);
  EXPECT_FALSE(world.instance(task, "a").listening);
  EXPECT_TRUE(world.instance(task, "d").listening);  // UDP has no LISTEN

  world.listen(task, 3000);
  EXPECT_TRUE(world.instance(task, "a").listening);
  world.listen(task, 3000);
  EXPECT_EQ(0u, world.last_size);
  world.listen(task, 4000);
  EXPECT_EQ(0u, world.last_size);
  world.listen(task, 3000, false);
  EXPECT_FALSE(world.instance(task, "a").listening);

  const auto stopping = world.ok("StopTask", "{'cluster':'c','task':'" + task.id + "','reason':'maintenance'}");
  EXPECT_EQ("STOPPED", text_of(object_of(stopping, "task"), "desiredStatus"));
  EXPECT_EQ("RUNNING", task.last_status);
  EXPECT_FALSE(world.instance(task, "a").draining);
  world.ok("StopTask", "{'cluster':'c','task':'" + task.arn + "','reason':'again'}");
  EXPECT_EQ(0u, world.last_size);

  world.change([&](Call& call) { return task_deregister(call, "c", task.id); });
  EXPECT_EQ("DEACTIVATING", task.last_status);
  EXPECT_TRUE(world.instance(task, "a").draining);
  EXPECT_EQ(1u, world.compile()->workloads.size());
  world.change([&](Call& call) { return task_deregister(call, "c", task.id); });
  EXPECT_EQ(0u, world.last_size);

  world.stop(task, 143);
  EXPECT_EQ("STOPPED", task.last_status);
  EXPECT_EQ("UserInitiated", task.stop_code);
  EXPECT_EQ("maintenance", task.stopped_reason);
  EXPECT_EQ(143, task.exit_code);
  EXPECT_TRUE(world.state.instances.empty());
  EXPECT_TRUE(world.compile()->workloads.empty());
  EXPECT_EQ(2u, world.compile()->services.size());  // the discovery names stay with their ECS service
  EXPECT_EQ(3u, world.state.find_service(world.space.id, "a")->instances_revision);  // register, deregister
  world.stop(task);
  EXPECT_EQ(0u, world.last_size);
}

TEST(Tasks, StopCodeTellsWhoEndedIt) {
  OneService world;
  const auto ran = world.start_task("c", "s");
  world.stop(ran, 1);
  EXPECT_EQ("EssentialContainerExited", world.task(ran).stop_code);
  EXPECT_EQ("Essential container in task exited", world.task(ran).stopped_reason);
  const auto never = world.change([&](Call& call) { return create_task(call, {"c", "s"}); });
  world.change([&](Call& call) { return task_stopped(call, "c", never->id, "exec failed", std::nullopt); });
  EXPECT_EQ("TaskFailedToStart", world.task(*never).stop_code);
}

TEST(Tasks, AddressesAreTheLowestFreeAndRestAfterUse) {
  OneService world;
  const auto first = world.start_task("c", "s");
  const auto second = world.start_task("c", "s");
  EXPECT_EQ("127.254.0.1", first.address.to_string());
  EXPECT_EQ("127.254.0.2", second.address.to_string());
  world.stop(first);
  EXPECT_EQ("127.254.0.3", world.start_task("c", "s").address.to_string());
  world.clock.advance(std::chrono::seconds(61));
  EXPECT_EQ("127.254.0.1", world.start_task("c", "s").address.to_string());
}

TEST(Tasks, AFullRangeIsSaidAndARestingAddressIsBetterThanNone) {
  OneService world;
  world.settings.task_v4 = *IpPrefix::parse("127.254.0.0/30");
  const auto first = world.start_task("c", "s");
  world.start_task("c", "s");
  world.start_task("c", "s");
  EXPECT_THAT(world.create_error({"c", "s"}), HasSubstr("127.254.0.0/30: each address of the task range is in use"));
  world.stop(first);
  EXPECT_EQ("127.254.0.1", world.start_task("c", "s").address.to_string());
}

TEST(Tasks, CreateErrorsNameWhatIsMissing) {
  OneService world;
  EXPECT_THAT(world.create_error({"x", "s"}), HasSubstr("Cluster \"x\" not found"));
  EXPECT_THAT(world.create_error({"", "s"}), HasSubstr("Cluster \"default\" not found"));
  EXPECT_THAT(world.create_error({"c", "x"}),
              HasSubstr("start a task of service \"x\": cluster \"c\" has no such service"));
  EXPECT_EQ(
      "127.254.0.1",
      world.start_task("arn:aws:ecs:us-east-1:000000000000:cluster/c", "arn:aws:ecs:us-east-1:000000000000:service/c/s")
          .address.to_string());
}

TEST(Tasks, EachPortOfOneTaskInOneServiceIsAnInstance) {
  OneService world;
  const auto discovery = *world.state.find_service(world.space.id, "a");
  world.ok("UpdateService",
           "{'cluster':'c','service':'s','serviceRegistries':[{'registryArn':'" + discovery.arn + "','port':3001}]}");
  const auto task = world.start_task("c", "s");
  const auto& instances = world.state.instances.at(discovery.id);
  ASSERT_EQ(2u, instances.size());
  EXPECT_EQ("3001", instances.at(task.id).attributes.at("AWS_INSTANCE_PORT"));
  EXPECT_EQ("3000", instances.at(task.id + "-3000").attributes.at("AWS_INSTANCE_PORT"));
  world.listen(task, 3000);
  EXPECT_FALSE(instances.at(task.id).listening);
  EXPECT_TRUE(instances.at(task.id + "-3000").listening);
  world.stop(task);
  EXPECT_TRUE(world.state.instances.empty());
}

TEST(Tasks, ListedByServiceFamilyAndStatus) {
  OneService world;
  world.ok("CreateService", "{'cluster':'c','serviceName':'t','taskDefinition':'f'}");
  const auto one = world.start_task("c", "s");
  world.start_task("c", "t");
  const auto stopped = world.start_task("c", "s");
  world.stop(stopped);
  const std::pair<const char*, std::size_t> cases[] = {
      {"{'cluster':'c'}", 2},
      {"{'cluster':'c','serviceName':'s'}", 1},
      {"{'cluster':'c','serviceName':'arn:aws:ecs:us-east-1:000000000000:service/c/s'}", 1},
      {"{'cluster':'c','desiredStatus':'STOPPED'}", 1},
      {"{'cluster':'c','family':'f'}", 2},
      {"{'cluster':'c','family':'ff'}", 0},
      {"{'cluster':'c','containerInstance':'x'}", 0},
  };
  for (const auto& [input, count] : cases)
    EXPECT_EQ(count, list_of(world.ok("ListTasks", input), "taskArns").size()) << input;
  EXPECT_THAT(world.refused("ListTasks", "{'cluster':'c','serviceName':'x'}"), StartsWith("ServiceNotFoundException"));
  const auto body =
      world.ok("DescribeTasks", "{'cluster':'c','tasks':['" + one.arn + "','" + stopped.id + "','nope']}");
  ASSERT_EQ(2u, list_of(body, "tasks").size());
  EXPECT_EQ(1u, list_of(body, "failures").size());
  const auto& task = list_of(body, "tasks").front().as_object();
  EXPECT_EQ("service:s", text_of(task, "group"));
  const auto& container = list_of(task, "containers").front().as_object();
  EXPECT_EQ("127.254.0.1", text_of(list_of(container, "networkBindings").front().as_object(), "bindIP"));
  EXPECT_EQ(0, integer_of(list_of(list_of(body, "tasks").at(1).as_object(), "containers").front().as_object(),
                          "exitCode", -1));
  EXPECT_THAT(world.refused("StopTask", "{'cluster':'c','task':'nope'}"),
              StartsWith("InvalidParameterException: The referenced task was not found"));
  EXPECT_THAT(world.refused("DescribeTasks", "{'cluster':'c','tasks':[]}"), StartsWith("InvalidParameterException"));
}

TEST(Tasks, OldRecordsAreForgotten) {
  OneService world;
  const auto stopped = world.start_task("c", "s");
  const auto running = world.start_task("c", "s");
  world.stop(stopped);
  world.ok("CreateService", "{'cluster':'c','serviceName':'t','taskDefinition':'f'}");
  world.ok("DeleteService", "{'cluster':'c','service':'t'}");
  world.change([&](Call& call) -> Result<void> {
    OperationRecord done;
    done.id = "done";
    done.status = "SUCCESS";
    done.updated = call.now();
    call.put(done);
    done.id = "waiting";
    done.status = "PENDING";
    call.put(done);
    return {};
  });
  world.change(forget_old);
  EXPECT_EQ(0u, world.last_size);
  world.clock.advance(std::chrono::minutes(61));
  world.change(forget_old);
  EXPECT_EQ(1u, world.state.tasks.at("c").size());
  EXPECT_TRUE(world.state.tasks.at("c").contains(running.id));
  EXPECT_FALSE(world.state.ecs_services.at("c").contains("t"));
  EXPECT_EQ(2u, world.state.operations.size());
  world.clock.advance(std::chrono::hours(24));
  world.change(forget_old);
  EXPECT_EQ(1u, world.state.operations.size());
  EXPECT_TRUE(world.state.operations.contains("waiting"));
}

}  // namespace
}  // namespace causeway::control
