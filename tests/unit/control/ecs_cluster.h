#pragma once
#include "ecs_world.h"

namespace causeway::control {

/// A world with two namespaces, a cluster and a task definition of three ports.
struct Cluster : World {
  Cluster() {
    space = make_space("myapp.local");
    other = make_space("other", false);
    ok("CreateCluster", "{'clusterName':'c'}");
    register_definition(
        "f",
        "{'name':'http','containerPort':3000,'appProtocol':'http'},{'name':'admin','containerPort':9000},"
        "{'name':'udp','containerPort':53,'protocol':'udp'}");
  }
  /// Input of CreateService with one Service Connect entry of these members.
  static std::string create(const std::string& name, const std::string& entry,
                            const std::string& space = "myapp.local") {
    return "{'cluster':'c','serviceName':'" + name +
           "','taskDefinition':'f','serviceConnectConfiguration':{'enabled':true,'namespace':'" + space +
           "','services':[{" + entry + "}]}}";
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

}  // namespace causeway::control
