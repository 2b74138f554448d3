#include "control/ecs_service_input.h"

#include <algorithm>
#include <set>

#include <fmt/core.h>

#include "control/ecs_connect.h"
#include "control/ecs_find.h"
#include "control/ecs_ports.h"
#include "control/ecs_registry.h"
#include "control/ecs_tags.h"

namespace causeway::control {
namespace {

constexpr std::int64_t kDesiredLimit = 5000;  // tasks of a service, as at AWS

/// Kept and answered as given: they change nothing on a host of our own.
constexpr const char* kKept[] = {"launchType",
                                 "capacityProviderStrategy",
                                 "platformVersion",
                                 "deploymentConfiguration",
                                 "placementConstraints",
                                 "placementStrategy",
                                 "networkConfiguration",
                                 "healthCheckGracePeriodSeconds",
                                 "schedulingStrategy",
                                 "deploymentController",
                                 "tags",
                                 "enableECSManagedTags",
                                 "propagateTags",
                                 "enableExecuteCommand",
                                 "availabilityZoneRebalancing",
                                 "clientToken"};

const Shape& registry_shape() {
  static const Shape shape{text("registryArn").required(), integer("port", 0, 65535), text("containerName", 255),
                           integer("containerPort", 0, 65535)};
  return shape;
}

Shape common_members() {
  static const Shape controller{text("type").one_of("ECS|CODE_DEPLOY|EXTERNAL").required()};
  static const Shape deployment{text("strategy").one_of("ROLLING|BLUE_GREEN|LINEAR|CANARY"),
                                integer("maximumPercent", 0, 1000), integer("minimumHealthyPercent", 0, 1000)};
  return {text("cluster"),
          text("taskDefinition"),
          integer("desiredCount", 0, kDesiredLimit),
          objects("serviceRegistries", registry_shape(), 20),
          object("serviceConnectConfiguration", service_connect_shape()),
          any_list("loadBalancers"),
          any_list("volumeConfigurations"),
          any_list("vpcLatticeConfigurations"),
          any_list("capacityProviderStrategy"),
          text("platformVersion"),
          object("deploymentConfiguration", deployment),
          any_list("placementConstraints"),
          any_list("placementStrategy"),
          any_object("networkConfiguration"),
          integer("healthCheckGracePeriodSeconds", 0, 2147483647),
          object("deploymentController", controller),
          objects("tags", tag_shape()),
          boolean("enableECSManagedTags"),
          text("propagateTags").one_of("TASK_DEFINITION|SERVICE|NONE"),
          boolean("enableExecuteCommand"),
          text("availabilityZoneRebalancing").one_of("ENABLED|DISABLED")};
}

/// What would be taken and then do nothing is refused.
Checked<> check_supported(const json::object& input) {
  for (const auto* name : {"loadBalancers", "volumeConfigurations", "vpcLatticeConfigurations"}) {
    if (list_of(input, name).empty()) continue;
    return unsupported_feature(
        fmt::format("{} is not supported; leave it out (services are reached by "
                    "serviceConnectConfiguration or serviceRegistries)",
                    name));
  }
  const auto controller = text_of(object_of(input, "deploymentController"), "type");
  if (!controller.empty() && controller != "ECS") {
    return unsupported_feature(
        fmt::format("deploymentController {} is not supported; use ECS or leave it out", controller));
  }
  const auto strategy = text_of(object_of(input, "deploymentConfiguration"), "strategy");
  if (!strategy.empty() && strategy != "ROLLING") {
    return unsupported_feature(
        fmt::format("deployment strategy {} is not supported; use ROLLING or leave it out", strategy));
  }
  return {};
}

Checked<> check_registry_port(const json::object& registry, const TaskDefinitionRecord& definition) {
  const bool has_container = has(registry, "containerName") || has(registry, "containerPort");
  if (!has_container) return {};
  if (!has(registry, "containerName") || !has(registry, "containerPort")) {
    return invalid_parameter("serviceRegistries: containerName and containerPort go together; give both or use port");
  }
  if (has(registry, "port")) {
    return invalid_parameter(
        "serviceRegistries: port and containerName with containerPort exclude each other; give one");
  }
  const auto name = text_of(registry, "containerName");
  const auto port = integer_of(registry, "containerPort");
  for (const auto& mapping : port_mappings(definition)) {
    if (mapping.container == name && mapping.port == port) return {};
  }
  return invalid_parameter(
      fmt::format("serviceRegistries: task definition {}:{} has no container \"{}\" with containerPort {}; "
                  "name one that it has",
                  definition.family, definition.revision, name, port));
}

Checked<> check_registries(const State& state, const json::array& registries, const TaskDefinitionRecord& definition) {
  std::set<std::string> seen;
  for (const auto& value : registries) {
    const auto& registry = value.as_object();
    const auto arn = text_of(registry, "registryArn");
    const auto found = state.services.find(service_id_of(arn));
    if (found == state.services.end() || found->second.arn != arn) {
      return invalid_parameter(
          fmt::format("serviceRegistries: registryArn \"{}\" names no Cloud Map service; take the Arn that "
                      "servicediscovery create-service or get-service shows",
                      arn));
    }
    if (!seen.insert(arn).second) {
      return invalid_parameter(fmt::format("serviceRegistries: registryArn \"{}\" is given twice", arn));
    }
    const auto& records = found->second.dns_records;
    const bool answers_v4 = std::any_of(records.begin(), records.end(), [](const DnsRecordSpec& record) {
      return record.type == "A" || record.type == "SRV";
    });
    if (!records.empty() && !answers_v4) {
      return invalid_parameter(
          fmt::format("serviceRegistries: service \"{}\" has {} records only, and tasks have IPv4 addresses; "
                      "use one with A or SRV records",
                      found->second.name, records.front().type));
    }
    if (auto port = check_registry_port(registry, definition); !port) return port.error();
  }
  return {};
}

/// The namespace that a configuration means: its own, else the cluster's default.
Checked<const NamespaceRecord*> resolve_namespace(const State& state, const json::object& configuration,
                                                  const ClusterRecord& cluster) {
  const auto given = text_of(configuration, "namespace");
  if (given.empty() && cluster.service_connect_namespace.empty()) {
    return invalid_parameter(
        fmt::format("serviceConnectConfiguration has no namespace, and cluster \"{}\" has no default; name "
                    "one, or set it with update-cluster --service-connect-defaults namespace=NAME",
                    cluster.name));
  }
  const auto& reference = given.empty() ? cluster.service_connect_namespace : given;
  const auto* space = state.find_namespace(reference);
  if (space != nullptr) return space;
  return refusal(
      "NamespaceNotFoundException",
      fmt::format("serviceConnectConfiguration: there is no namespace \"{}\"; list-namespaces shows those that exist, "
                  "create-private-dns-namespace or create-http-namespace makes one",
                  reference));
}

Checked<> apply_connect(const State& state, const json::object& input, const ClusterRecord& cluster,
                        EcsServiceRecord& service) {
  service.service_connect = object_of(input, "serviceConnectConfiguration");
  service.service_connect_namespace.clear();
  if (!connect_enabled(service)) return {};
  const auto space = resolve_namespace(state, service.service_connect, cluster);
  if (!space) return space.error();
  service.service_connect_namespace = (*space)->id;
  if (!has(service.service_connect, "namespace")) service.service_connect["namespace"] = (*space)->arn;
  return {};
}

Checked<const TaskDefinitionRecord*> definition_for(const Call& call, const json::object& input,
                                                    const EcsServiceRecord& service) {
  if (!has(input, "taskDefinition")) {
    if (const auto* standing = task_definition_of(call.state, service.task_definition)) return standing;
    return invalid_parameter("taskDefinition is missing; name a FAMILY, FAMILY:REVISION or ARN");
  }
  const auto found = find_task_definition(call, text_of(input, "taskDefinition"));
  if (found && (*found)->status != "ACTIVE") {
    return client_exception(
        fmt::format("TaskDefinition {}:{} is inactive; register a new revision", (*found)->family, (*found)->revision));
  }
  return found;
}

}  // namespace

const Shape& create_service_shape() {
  static const Shape shape = [] {
    auto members = common_members();
    members.push_back(text("serviceName", 255).required());
    members.push_back(text("clientToken", 36));
    members.push_back(text("launchType").one_of("EC2|FARGATE|EXTERNAL|MANAGED_INSTANCES"));
    members.push_back(text("schedulingStrategy").one_of("REPLICA|DAEMON"));
    return members;
  }();
  return shape;
}

const Shape& update_service_shape() {
  static const Shape shape = [] {
    auto members = common_members();
    members.push_back(text("service").required());
    members.push_back(boolean("forceNewDeployment"));
    return members;
  }();
  return shape;
}

Checked<> apply_service_input(const Call& call, const json::object& input, const ClusterRecord& cluster,
                              EcsServiceRecord& service) {
  if (auto supported = check_supported(input); !supported) return supported.error();
  if (auto tags = check_tags(list_of(input, "tags")); !tags) return tags.error();
  const auto definition = definition_for(call, input, service);
  if (!definition) return definition.error();
  service.task_definition = (*definition)->arn;
  service.desired_count = static_cast<std::uint32_t>(integer_of(input, "desiredCount", service.desired_count));
  if (has(input, "serviceRegistries")) service.service_registries = list_of(input, "serviceRegistries");
  const bool to_check = has(input, "serviceRegistries") || has(input, "taskDefinition");
  if (to_check) {
    if (auto checked = check_registries(call.state, service.service_registries, **definition); !checked)
      return checked.error();
  }
  if (has(input, "serviceConnectConfiguration")) {
    if (auto applied = apply_connect(call.state, input, cluster, service); !applied) return applied.error();
  }
  for (const auto* name : kKept) {
    if (has(input, name)) service.document[name] = input.at(name);
  }
  return {};
}

}  // namespace causeway::control
