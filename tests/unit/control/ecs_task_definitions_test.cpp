#include <gmock/gmock.h>

#include "control/ecs_ports.h"
#include "ecs_world.h"

namespace causeway::control {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string definition_with(const std::string& container) {
  return "{'family':'f','containerDefinitions':[{" + container + "}]}";
}

TEST(EcsTaskDefinitions, RevisionsCountAndStay) {
  World world;
  for (int i = 0; i < 3; ++i) world.register_definition("f", "{'containerPort':80}");
  EXPECT_EQ("arn:aws:ecs:us-east-1:000000000000:task-definition/f:3", world.state.task_definitions.at("f").at(3).arn);
  const auto gone = world.ok("DeregisterTaskDefinition", "{'taskDefinition':'f:3'}");
  EXPECT_EQ("INACTIVE", text_of(object_of(gone, "taskDefinition"), "status"));
  EXPECT_EQ(2, integer_of(object_of(world.ok("DescribeTaskDefinition", "{'taskDefinition':'f'}"), "taskDefinition"),
                          "revision"));
  world.register_definition("f", "{'containerPort':80}");
  EXPECT_EQ(4, integer_of(object_of(world.ok("DescribeTaskDefinition", "{'taskDefinition':'f'}"), "taskDefinition"),
                          "revision"));
}

TEST(EcsTaskDefinitions, DescribedByFamilyRevisionAndArn) {
  World world;
  world.register_definition("f", "{'name':'one','containerPort':80}");
  world.register_definition("f", "{'name':'two','containerPort':80}");
  const std::pair<const char*, int> cases[] = {{"f", 2},
                                               {"f:1", 1},
                                               {"arn:aws:ecs:us-east-1:000000000000:task-definition/f:1", 1},
                                               {"arn:aws:ecs:us-east-1:000000000000:task-definition/f", 2}};
  for (const auto& [reference, revision] : cases) {
    const auto body = world.ok("DescribeTaskDefinition", std::string("{'taskDefinition':'") + reference + "'}");
    EXPECT_EQ(revision, integer_of(object_of(body, "taskDefinition"), "revision")) << reference;
  }
  EXPECT_THAT(world.refused("DescribeTaskDefinition", "{'taskDefinition':'f:5'}"),
              HasSubstr("Unable to describe task definition \"f:5\": family \"f\" has revisions 1 to 2"));
  EXPECT_THAT(world.refused("DescribeTaskDefinition", "{'taskDefinition':'g'}"),
              StartsWith("ClientException: Unable to describe"));
  for (const auto* bad :
       {"f:0", "f:x", "f:1:2", "f:99999999999", "", "a b", "arn:aws:ecs:us-east-1:000000000000:service/f"}) {
    EXPECT_NE("", world.refused("DescribeTaskDefinition", std::string("{'taskDefinition':'") + bad + "'}")) << bad;
  }
}

TEST(EcsTaskDefinitions, PortNamesAreGenerated) {
  World world;
  world.ok("RegisterTaskDefinition",
           "{'family':'f','containerDefinitions':[{'name':'backend','image':'i','portMappings':[{'containerPort':8080},"
           "{'containerPort':53,'protocol':'udp'},{'containerPort':9000,'name':'admin','appProtocol':'grpc','hostPort':"
           "7}]}]}");
  const auto ports = port_mappings(world.state.task_definitions.at("f").at(1));
  ASSERT_EQ(3u, ports.size());
  EXPECT_EQ("backend-8080-tcp", ports[0].name);
  EXPECT_EQ("backend-53-udp", ports[1].name);
  EXPECT_TRUE(ports[1].udp);
  EXPECT_EQ("admin", ports[2].name);
  EXPECT_EQ("grpc", ports[2].app_protocol);
  const auto body = world.ok("DescribeTaskDefinition", "{'taskDefinition':'f'}");
  const auto text = json::serialize(object_of(body, "taskDefinition"));
  EXPECT_THAT(text, HasSubstr("\"hostPort\":7"));
  EXPECT_THAT(text, HasSubstr("\"name\":\"backend-8080-tcp\""));
}

TEST(EcsTaskDefinitions, GeneratedNamesAreValidPortNames) {
  World world;
  const std::string names[] = {"Web-App", std::string(255, 'x'), "-front"};
  for (const auto& name : names) {
    world.ok("RegisterTaskDefinition",
             definition_with("'name':'" + name + "','image':'i','portMappings':[{'containerPort':65535}]"));
    const auto ports = port_mappings(world.state.task_definitions.at("f").rbegin()->second);
    EXPECT_LE(ports.front().name.size(), 64u);
    EXPECT_NE('-', ports.front().name.front());
  }
  EXPECT_EQ("web-app-65535-tcp", port_mappings(world.state.task_definitions.at("f").at(1)).front().name);
}

TEST(EcsTaskDefinitions, Refusals) {
  World world;
  const std::pair<std::string, std::string> cases[] = {
      {"{'family':'f'}", "InvalidParameterException: containerDefinitions is missing"},
      {"{'family':'f','containerDefinitions':[]}", "ClientException: containerDefinitions is empty"},
      {"{'family':'a/b','containerDefinitions':[{'name':'a','image':'i'}]}", "ClientException: family \"a/b\""},
      {definition_with("'image':'i'"), "InvalidParameterException: containerDefinitions[0].name is missing"},
      {definition_with("'name':'a'"), "InvalidParameterException: containerDefinitions[0].image is missing"},
      {definition_with("'name':'a','image':'i','essential':false"), "ClientException: No container is essential"},
      {definition_with("'name':'a','image':'i','stopTimeout':'x'"),
       "SerializationException: containerDefinitions[0].stopTimeout"},
      {definition_with("'name':'a','image':'i','portMappings':[{}]"),
       "ClientException: a port mapping of container \"a\" has no containerPort"},
      {definition_with("'name':'a','image':'i','portMappings':[{'containerPort':65536}]"),
       "InvalidParameterException: containerDefinitions[0].portMappings[0].containerPort is 65536"},
      {definition_with("'name':'a','image':'i','portMappings':[{'containerPort':1.5}]"), "SerializationException"},
      {definition_with("'name':'a','image':'i','portMappings':[7]"),
       "SerializationException: containerDefinitions[0].portMappings[0] must be an object"},
      {definition_with("'name':'a','image':'i','portMappings':[{'containerPort':1,'protocol':'sctp'}]"),
       "InvalidParameterException"},
      {definition_with("'name':'a','image':'i','portMappings':[{'containerPort':1,'appProtocol':'tcp'}]"),
       "InvalidParameterException"},
      {definition_with(
           "'name':'a','image':'i','portMappings':[{'containerPort':1,'protocol':'udp','appProtocol':'http'}]"),
       "ClientException"},
      {definition_with("'name':'a','image':'i','portMappings':[{'containerPort':1,'name':'-x'}]"),
       "ClientException: port mapping name \"-x\""},
      {definition_with("'name':'a','image':'i','portMappings':[{'containerPort':1,'name':'Http'}]"),
       "ClientException: port mapping name \"Http\""},
      {definition_with(
           "'name':'a','image':'i','portMappings':[{'containerPort':1,'name':'x'},{'containerPort':2,'name':'x'}]"),
       "ClientException: port mapping name \"x\" is used twice"},
      {definition_with(
           "'name':'a','image':'i','portMappings':[{'containerPort':1,'name':'x'},{'containerPort':1,'name':'y'}]"),
       "ClientException: containerPort 1/tcp is mapped twice"},
      {definition_with("'name':'a','image':'i','portMappings':[{'containerPortRange':'1-5'}]"), "ClientException"},
      {definition_with("'name':'a','image':'i'},{'name':'a','image':'i'"),
       "ClientException: container name \"a\" is used twice"},
  };
  for (const auto& [input, answer] : cases)
    EXPECT_THAT(world.refused("RegisterTaskDefinition", input), StartsWith(answer)) << input;
  EXPECT_TRUE(world.state.task_definitions.empty());
}

TEST(EcsTaskDefinitions, ListsByFamilyStatusAndSort) {
  World world;
  for (int i = 0; i < 11; ++i) world.register_definition("b", "{'containerPort':80}");
  world.register_definition("a", "{'containerPort':80}");
  world.ok("DeregisterTaskDefinition", "{'taskDefinition':'b:1'}");
  const auto all = list_of(world.ok("ListTaskDefinitions", "{}"), "taskDefinitionArns");
  ASSERT_EQ(11u, all.size());
  EXPECT_EQ("arn:aws:ecs:us-east-1:000000000000:task-definition/a:1", std::string(all.front().as_string()));
  EXPECT_EQ("arn:aws:ecs:us-east-1:000000000000:task-definition/b:11", std::string(all.back().as_string()));
  const auto newest = list_of(world.ok("ListTaskDefinitions", "{'familyPrefix':'b','sort':'DESC','maxResults':1}"),
                              "taskDefinitionArns");
  EXPECT_EQ("arn:aws:ecs:us-east-1:000000000000:task-definition/b:11", std::string(newest.front().as_string()));
  EXPECT_EQ(1u, list_of(world.ok("ListTaskDefinitions", "{'status':'INACTIVE'}"), "taskDefinitionArns").size());
  EXPECT_EQ("[\"a\",\"b\"]", json::serialize(list_of(world.ok("ListTaskDefinitionFamilies", "{}"), "families")));
}

}  // namespace
}  // namespace causeway::control
