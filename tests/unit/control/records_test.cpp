#include "control/records.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control/state.h"

namespace causeway::control {
namespace {

using testing::HasSubstr;

template <class R>
std::string again(const R& record) {
  R read;
  const auto done = decode(encode(record), read);
  EXPECT_TRUE(done) << done.error().message();
  EXPECT_EQ(key_of(read), key_of(record));
  return encode(read);
}

TEST(Records, ComeBackAsTheyWere) {
  NamespaceRecord space{.id = "ns-1",
                        .arn = "arn",
                        .name = "a.b",
                        .dns = true,
                        .vpc = "vpc",
                        .description = "\xc3\xa9\"\n",
                        .creator_request_id = "c",
                        .soa_ttl = 30,
                        .created = 1700000000.125,
                        .tags = {{"k", ""}},
                        .number = NamespaceNumber(7)};
  EXPECT_EQ(again(space), encode(space));
  NamespaceRecord read;
  ASSERT_TRUE(decode(encode(space), read));
  EXPECT_EQ(read.description, space.description);
  EXPECT_EQ(read.created, 1700000000.125);
  EXPECT_EQ(read.tags, space.tags);
  EXPECT_EQ(read.number, NamespaceNumber(7));

  ServiceRecord service;
  service.id = "srv-1";
  service.dns_records = {{"A", 10}, {"SRV", 2147483647}};
  service.custom_health_failure_threshold = 1;
  service.attributes = {{"causeway:path", "kernel"}};
  service.instances_revision = 1ull << 40;
  service.service_connect = true;
  EXPECT_EQ(again(service), encode(service));
  ServiceRecord service_read;
  ASSERT_TRUE(decode(encode(service), service_read));
  EXPECT_EQ(service_read.dns_records.at(1).ttl, 2147483647u);
  EXPECT_EQ(service_read.instances_revision, 1ull << 40);

  InstanceRecord instance;
  instance.service_id = "srv-1";
  instance.id = "a/b:c";
  instance.custom_healthy = false;
  instance.listening = false;
  instance.draining = true;
  instance.number = EndpointId(4294967295u);
  EXPECT_EQ(again(instance), encode(instance));
  EXPECT_EQ(key_of(instance), "/instances/srv-1/a/b:c");

  TaskRecord task;
  task.id = "0123";
  task.cluster = "production";
  task.exit_code = 0;
  task.address = *IpAddress::parse("127.254.3.4");
  task.ports = {80, 65535};
  task.cgroup_id = 18446744073709551615ull;
  EXPECT_EQ(again(task), encode(task));
  TaskRecord task_read;
  ASSERT_TRUE(decode(encode(task), task_read));
  EXPECT_EQ(task_read.exit_code, 0);
  EXPECT_EQ(task_read.address, task.address);
  EXPECT_EQ(task_read.cgroup_id, task.cgroup_id);

  TaskDefinitionRecord definition;
  definition.family = "user-service";
  definition.revision = 5;
  definition.document = {{"containerDefinitions", json::array{json::object{{"name", "app"}}}}};
  EXPECT_EQ(again(definition), encode(definition));
  EXPECT_EQ(key_of(definition), "/ecs/task-definitions/user-service/0000000005");

  EcsServiceRecord ecs;
  ecs.name = "web";
  ecs.cluster = "production";
  ecs.service_registries = {json::object{{"port", 3000}}};
  EXPECT_EQ(again(ecs), encode(ecs));
  OperationRecord operation;
  operation.id = "op";
  operation.targets = {{"SERVICE", "srv-1"}};
  EXPECT_EQ(again(operation), encode(operation));
  ClusterRecord cluster;
  cluster.name = "production";
  EXPECT_EQ(again(cluster), encode(cluster));
  VipRecord vip{.namespace_id = "ns-1", .name = "user-svc", .index = 9};
  EXPECT_EQ(again(vip), encode(vip));
}

TEST(Records, IgnoreWhatANewerAgentWrote) {
  VipRecord vip;
  ASSERT_TRUE(decode(R"({"Name":"a","Index":3,"Colour":{"deep":[1]}})", vip));
  EXPECT_EQ(vip.index, 3u);
}

TEST(Records, NameTheMemberThatIsWrong) {
  const std::pair<const char*, const char*> cases[] = {
      {"{", "incomplete JSON"},
      {"[]", "not a JSON object"},
      {R"({"Id":1})", "member Id is not a string"},
      {R"({"CustomHealthy":"yes"})", "member CustomHealthy is not true or false"},
      {R"({"Number":-1})", "member Number is not an integer in range"},
      {R"({"Number":4294967296})", "member Number is not an integer in range"},
      {R"({"Attributes":{"a":1}})", "member Attributes is not an object of strings"},
  };
  for (const auto& [text, expected] : cases) {
    InstanceRecord record;
    record.id = "kept";
    const auto done = decode(text, record);
    ASSERT_FALSE(done) << text;
    EXPECT_THAT(done.error().message(), HasSubstr(expected)) << text;
    EXPECT_EQ(record.id, "kept");
  }
}

store::Event put(const auto& record, std::uint64_t revision) {
  return {key_of(record), encode(record), Revision(revision)};
}

TEST(State, FollowsEvents) {
  State state;
  InstanceRecord instance;
  instance.service_id = "srv-1";
  instance.id = "a/b";
  TaskDefinitionRecord definition;
  definition.family = "f";
  definition.revision = 12;
  NamespaceRecord space;
  space.id = "ns-1";
  space.arn = "arn:aws:x";
  space.name = "MyApp.local";
  ServiceRecord service;
  service.id = "srv-1";
  service.name = "Web";
  service.namespace_id = "ns-1";
  ASSERT_TRUE(state.apply({put(instance, 3),
                           put(definition, 3),
                           put(space, 3),
                           put(service, 3),
                           {"/counters/endpoint", "17", Revision(3)},
                           {"/from-a-newer-agent", "?", Revision(3)}}));
  EXPECT_EQ(state.revision(), Revision(3));
  EXPECT_EQ(state.instances.at("srv-1").at("a/b").id, "a/b");
  EXPECT_EQ(state.task_definitions.at("f").at(12).revision, 12u);
  EXPECT_EQ(state.counters.at("endpoint"), 17u);
  for (const char* reference : {"ns-1", "arn:aws:x", "myapp.LOCAL"}) {
    ASSERT_NE(state.find_namespace(reference), nullptr) << reference;
  }
  EXPECT_EQ(state.find_namespace("arn:aws:y"), nullptr);
  EXPECT_NE(state.find_service("ns-1", "wEB"), nullptr);
  EXPECT_EQ(state.find_service("ns-2", "Web"), nullptr);

  ASSERT_TRUE(state.apply({{key_of(instance), std::nullopt, Revision(4)},
                           {key_of(definition), std::nullopt, Revision(4)},
                           {"/vips/ns-9/absent", std::nullopt, Revision(4)}}));
  EXPECT_TRUE(state.instances.empty());
  EXPECT_TRUE(state.task_definitions.empty());
  EXPECT_EQ(state.revision(), Revision(4));
}

TEST(State, NamesTheKeyThatCannotBeRead) {
  State state;
  const auto done = state.apply({{"/services/srv-9", "{", Revision(1)}});
  ASSERT_FALSE(done);
  EXPECT_THAT(done.error().message(), HasSubstr("/services/srv-9"));
}

}  // namespace
}  // namespace causeway::control
