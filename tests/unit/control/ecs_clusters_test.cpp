#include <gmock/gmock.h>

#include "ecs_world.h"

namespace causeway::control {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(EcsClusters, CreateDescribeListDelete) {
  World world;
  const auto made = world.ok("CreateCluster", "{'clusterName':'production'}");
  EXPECT_EQ("arn:aws:ecs:us-east-1:000000000000:cluster/production", text_of(object_of(made, "cluster"), "clusterArn"));
  EXPECT_EQ("ACTIVE", text_of(object_of(made, "cluster"), "status"));
  const auto described =
      world.ok("DescribeClusters", "{'clusters':['arn:aws:ecs:us-east-1:000000000000:cluster/production','nope']}");
  EXPECT_EQ(1u, list_of(described, "clusters").size());
  EXPECT_EQ("[{\"arn\":\"arn:aws:ecs:us-east-1:000000000000:cluster/nope\",\"reason\":\"MISSING\"}]",
            json::serialize(list_of(described, "failures")));
  EXPECT_EQ(1u, list_of(world.ok("ListClusters", "{}"), "clusterArns").size());
  EXPECT_EQ("INACTIVE", text_of(object_of(world.ok("DeleteCluster", "{'cluster':'production'}"), "cluster"), "status"));
  EXPECT_EQ(0u, list_of(world.ok("ListClusters", "{}"), "clusterArns").size());
  EXPECT_THAT(world.refused("DeleteCluster", "{'cluster':'production'}"), StartsWith("ClusterNotFoundException"));
  world.ok("CreateCluster", "{'clusterName':'production'}");
  EXPECT_EQ("ACTIVE", world.state.clusters.at("production").status);
}

TEST(EcsClusters, NameDefaultsToDefault) {
  World world;
  world.ok("CreateCluster", "{}");
  EXPECT_TRUE(world.state.clusters.contains("default"));
  EXPECT_EQ(0u, list_of(world.ok("DescribeClusters", "{}"), "failures").size());
}

TEST(EcsClusters, UnknownDefaultNamespaceBecomesAnHttpNamespace) {
  World world;
  const auto made = world.ok("CreateCluster", "{'clusterName':'c','serviceConnectDefaults':{'namespace':'fresh'}}");
  const auto* space = world.state.find_namespace_by_name("fresh");
  ASSERT_NE(nullptr, space);
  EXPECT_FALSE(space->dns);
  EXPECT_EQ(space->arn, text_of(object_of(object_of(made, "cluster"), "serviceConnectDefaults"), "namespace"));
}

TEST(EcsClusters, DefaultNamespaceIsFoundByNameAndArnAndRemovedByEmptyText) {
  World world;
  const auto space = world.make_space("myapp.local");
  world.ok("CreateCluster", "{'clusterName':'c','serviceConnectDefaults':{'namespace':'myapp.local'}}");
  EXPECT_EQ(space.arn, world.state.clusters.at("c").service_connect_namespace);
  EXPECT_EQ(1u, world.state.namespaces.size());
  const auto removed = world.ok("UpdateCluster", "{'cluster':'c','serviceConnectDefaults':{'namespace':''}}");
  EXPECT_EQ("", world.state.clusters.at("c").service_connect_namespace);
  EXPECT_FALSE(has(object_of(removed, "cluster"), "serviceConnectDefaults"));
  world.ok("UpdateCluster", "{'cluster':'c','serviceConnectDefaults':{'namespace':'" + space.arn + "'}}");
  EXPECT_EQ(space.arn, world.state.clusters.at("c").service_connect_namespace);
}

TEST(EcsClusters, CreatingAgainIsIdempotentUnlessTheDefaultDiffers) {
  World world;
  world.ok("CreateCluster", "{'clusterName':'c','serviceConnectDefaults':{'namespace':'one'}}");
  const auto before = world.revision;
  world.ok("CreateCluster", "{'clusterName':'c','serviceConnectDefaults':{'namespace':'one'}}");
  world.ok("CreateCluster", "{'clusterName':'c'}");
  EXPECT_EQ(before, world.revision);
  EXPECT_THAT(world.refused("CreateCluster", "{'clusterName':'c','serviceConnectDefaults':{'namespace':'two'}}"),
              HasSubstr("update-cluster"));
  EXPECT_EQ(nullptr, world.state.find_namespace_by_name("two"));
}

TEST(EcsClusters, Refusals) {
  World world;
  struct Case {
    const char* operation;
    const char* input;
    const char* answer;
  };
  const Case cases[] = {
      {"CreateCluster", "{'clusterName':'a b'}", "InvalidParameterException: clusterName \"a b\""},
      {"CreateCluster", "{'clusterName':7}", "SerializationException: clusterName must be a string"},
      {"CreateCluster", "{'serviceConnectDefaults':{}}",
       "InvalidParameterException: serviceConnectDefaults.namespace is missing"},
      {"CreateCluster", "{'serviceConnectDefaults':{'namespace':'a/b'}}",
       "InvalidParameterException: serviceConnectDefaults"},
      {"CreateCluster", "{'serviceConnectDefaults':{'namespace':'arn:aws:x'}}", "NamespaceNotFoundException"},
      {"CreateCluster", "{'tags':[{'key':'aws:x','value':'1'}]}", "InvalidParameterException: the tag \"aws:x\""},
      {"CreateCluster", "{'tags':[{'value':'1'}]}", "InvalidParameterException: tags[0].key is missing"},
      {"UpdateCluster", "{'cluster':'nope'}", "ClusterNotFoundException: Cluster \"nope\" not found"},
      {"DeleteCluster", "{}", "InvalidParameterException: cluster is missing"},
      {"DeleteCluster", "{'cluster':'arn:aws:ecs:eu-west-1:1:cluster/x'}",
       "InvalidParameterException: \"arn:aws:ecs:eu-west-1:1:cluster/x\" is not"},
      {"ListClusters", "{'maxResults':101}", "InvalidParameterException: maxResults is 101"},
      {"ListClusters", "{'nextToken':'x'}", "InvalidParameterException: nextToken"},
  };
  for (const auto& c : cases) EXPECT_THAT(world.refused(c.operation, c.input), StartsWith(c.answer)) << c.input;
}

TEST(EcsClusters, PagesFollowTheirToken) {
  World world;
  for (const auto* name : {"a", "b", "c"}) world.ok("CreateCluster", std::string("{'clusterName':'") + name + "'}");
  const auto first = world.ok("ListClusters", "{'maxResults':2}");
  EXPECT_EQ(2u, list_of(first, "clusterArns").size());
  const auto second = world.ok("ListClusters", "{'maxResults':2,'nextToken':'" + text_of(first, "nextToken") + "'}");
  EXPECT_EQ("[\"arn:aws:ecs:us-east-1:000000000000:cluster/c\"]", json::serialize(list_of(second, "clusterArns")));
  EXPECT_FALSE(has(second, "nextToken"));
}

TEST(EcsClusters, NotDeletedWhileSomethingIsInIt) {
  World world;
  world.ok("CreateCluster", "{'clusterName':'c'}");
  world.register_definition("f", "{'containerPort':80}");
  world.ok("CreateService", "{'cluster':'c','serviceName':'s','taskDefinition':'f'}");
  const auto task = world.start_task("c", "s");
  EXPECT_THAT(world.refused("DeleteCluster", "{'cluster':'c'}"), StartsWith("ClusterContainsServicesException"));
  world.ok("DeleteService", "{'cluster':'c','service':'s','force':true}");
  EXPECT_THAT(world.refused("DeleteCluster", "{'cluster':'c'}"), StartsWith("ClusterContainsServicesException"));
  world.stop(task);
  world.ok("DeleteCluster", "{'cluster':'c'}");
}

TEST(EcsTags, OfClustersServicesAndTaskDefinitions) {
  World world;
  world.ok("CreateCluster", "{'clusterName':'c','tags':[{'key':'a','value':'1'}]}");
  world.register_definition("f", "{'containerPort':80}");
  world.ok("CreateService", "{'cluster':'c','serviceName':'s','taskDefinition':'f'}");
  const std::string arns[] = {world.state.clusters.at("c").arn, world.state.task_definitions.at("f").at(1).arn,
                              world.service("c", "s").arn};
  for (const auto& arn : arns) {
    world.ok("TagResource", "{'resourceArn':'" + arn + "','tags':[{'key':'a','value':'2'},{'key':'b','value':'3'}]}");
    world.ok("UntagResource", "{'resourceArn':'" + arn + "','tagKeys':['b']}");
    EXPECT_EQ("[{\"key\":\"a\",\"value\":\"2\"}]",
              json::serialize(list_of(world.ok("ListTagsForResource", "{'resourceArn':'" + arn + "'}"), "tags")));
  }
  EXPECT_THAT(world.refused("ListTagsForResource", "{'resourceArn':'arn:aws:ecs:us-east-1:000000000000:cluster/x'}"),
              StartsWith("InvalidParameterException"));
}

}  // namespace
}  // namespace causeway::control
