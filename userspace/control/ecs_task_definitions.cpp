// RegisterTaskDefinition, DescribeTaskDefinition, ListTaskDefinitions, ListTaskDefinitionFamilies,
// DeregisterTaskDefinition.
#include <algorithm>
#include <set>

#include <fmt/core.h>

#include "control/ecs_find.h"
#include "control/ecs_operations.h"
#include "control/ecs_ports.h"
#include "control/ecs_tags.h"

namespace causeway::control {
namespace {

constexpr std::int64_t kContainerLimit = 20;       // as AWS counts the containers of a task definition
constexpr std::int64_t kPortMappingLimit = 100;    // of a container
constexpr std::size_t kDocumentLimit = 64 * 1024;  // AWS's limit of a task definition's size

const Shape& container_shape() {
  static const Shape mapping{integer("containerPort", 0, 65535),
                             integer("hostPort", 0, 65535),
                             text("protocol").one_of("tcp|udp"),
                             text("name", 64),
                             text("appProtocol").one_of("http|http2|grpc"),
                             text("containerPortRange")};
  static const Shape shape{text("name", 255).required(),
                           text("image").required(),
                           integer("cpu", 0, 1 << 20),
                           integer("memory", 4, 1 << 24),
                           integer("memoryReservation", 4, 1 << 24),
                           objects("portMappings", mapping, kPortMappingLimit),
                           boolean("essential"),
                           texts("entryPoint"),
                           texts("command"),
                           any_list("environment"),
                           any_list("mountPoints"),
                           any_list("volumesFrom"),
                           integer("startTimeout", 2, 86400),
                           integer("stopTimeout", 0, 86400),
                           any_object("logConfiguration"),
                           any_object("healthCheck"),
                           any_object("dockerLabels")};
  return shape;
}

const Shape& register_shape() {
  static const Shape shape{text("family", 255).required(),
                           objects("containerDefinitions", container_shape(), kContainerLimit).required(),
                           text("taskRoleArn"),
                           text("executionRoleArn"),
                           text("networkMode").one_of("bridge|host|awsvpc|none"),
                           any_list("volumes"),
                           any_list("placementConstraints"),
                           texts("requiresCompatibilities"),
                           text("cpu"),
                           text("memory"),
                           objects("tags", tag_shape())};
  return shape;
}

/// Fills in what DescribeTaskDefinition shows for members that were left out.
void complete_container(json::object& container) {
  if (!has(container, "cpu")) container["cpu"] = 0;
  if (!has(container, "essential")) container["essential"] = true;
  for (const auto* list : {"environment", "mountPoints", "volumesFrom"}) {
    if (!has(container, list)) container[list] = json::array();
  }
}

Checked<json::array> complete_containers(const json::object& input) {
  auto containers = list_of(input, "containerDefinitions");
  if (containers.empty()) return client_exception("containerDefinitions is empty; a task definition needs a container");
  std::set<std::string> names;
  bool essential = false;
  for (auto& value : containers) {
    auto& container = value.as_object();
    const auto name = text_of(container, "name");
    if (!is_ecs_name(name)) {
      return client_exception(
          fmt::format("container name \"{}\" is not valid: 1 to 255 letters, digits, \"_\" and \"-\"", name));
    }
    if (!names.insert(name).second) {
      return client_exception(fmt::format("container name \"{}\" is used twice; give each container its own", name));
    }
    complete_container(container);
    essential = essential || flag_of(container, "essential");
  }
  if (!essential) return client_exception("No container is essential; set essential of one to true, or leave it out");
  if (auto ports = complete_port_mappings(containers); !ports) return ports.error();
  return containers;
}

/// The members of the input that are kept as they were given.
void copy_given(const json::object& input, json::object& document) {
  for (const auto* name : {"taskRoleArn", "executionRoleArn", "networkMode", "volumes", "placementConstraints",
                           "requiresCompatibilities", "cpu", "memory", "pidMode", "ipcMode", "proxyConfiguration",
                           "inferenceAccelerators", "ephemeralStorage", "runtimePlatform", "enableFaultInjection"}) {
    if (has(input, name)) document[name] = input.at(name);
  }
  for (const auto* list : {"volumes", "placementConstraints", "requiresAttributes"}) {
    if (!has(document, list)) document[list] = json::array();
  }
  document["compatibilities"] = json::array{"EXTERNAL", "EC2"};
}

Checked<json::object> register_task_definition(Call& call, const json::object& input) {
  TaskDefinitionRecord record;
  record.family = text_of(input, "family");
  if (!is_ecs_name(record.family)) {
    return client_exception(
        fmt::format("family \"{}\" is not valid: 1 to 255 letters, digits, \"_\" and \"-\"", record.family));
  }
  auto containers = complete_containers(input);
  if (!containers) return containers.error();
  if (auto tags = check_tags(list_of(input, "tags")); !tags) return tags.error();
  const auto family = call.state.task_definitions.find(record.family);
  // Records of a family stay, so that the number after its last one was never given.
  record.revision = family == call.state.task_definitions.end() ? 1 : family->second.rbegin()->first + 1;
  record.arn = call.ecs_arn(fmt::format("task-definition/{}:{}", record.family, record.revision));
  record.status = "ACTIVE";
  record.tags = list_of(input, "tags");
  auto& document = record.document;
  document["taskDefinitionArn"] = record.arn;
  document["family"] = record.family;
  document["revision"] = record.revision;
  document["status"] = record.status;
  document["containerDefinitions"] = std::move(*containers);
  copy_given(input, document);
  document["registeredAt"] = call.now();
  document["registeredBy"] = fmt::format("arn:aws:iam::{}:root", call.settings.account);
  if (const auto size = encode(record).size(); size > kDocumentLimit) {
    return client_exception(
        fmt::format("The task definition has {} bytes; at most {} are allowed", size, kDocumentLimit));
  }
  call.put(record);
  return json::object{{"taskDefinition", record.document}, {"tags", record.tags}};
}

Checked<json::object> describe_task_definition(Call& call, const json::object& input) {
  const auto found = find_task_definition(call, text_of(input, "taskDefinition"));
  if (!found) return found.error();
  json::object body{{"taskDefinition", (*found)->document}};
  const auto include = texts_of(input, "include");
  if (std::find(include.begin(), include.end(), "TAGS") != include.end()) body["tags"] = (*found)->tags;
  return body;
}

Checked<json::object> list_task_definitions(Call& call, const json::object& input) {
  const auto family = text_of(input, "familyPrefix");
  const auto status = has(input, "status") ? text_of(input, "status") : std::string("ACTIVE");
  std::vector<std::string> arns;
  for (const auto& [name, revisions] : call.state.task_definitions) {
    if (!family.empty() && name != family) continue;  // AWS: "the full family name to filter with"
    for (const auto& [revision, record] : revisions) {
      if (record.status == status) arns.push_back(record.arn);
    }
  }
  if (text_of(input, "sort") == "DESC") std::reverse(arns.begin(), arns.end());
  return page(input, "taskDefinitionArns", arns);
}

Checked<json::object> list_families(Call& call, const json::object& input) {
  const auto prefix = text_of(input, "familyPrefix");
  const auto status = has(input, "status") ? text_of(input, "status") : std::string("ALL");
  std::vector<std::string> families;
  for (const auto& [name, revisions] : call.state.task_definitions) {
    if (!std::string_view(name).starts_with(prefix)) continue;
    const bool active = std::any_of(revisions.begin(), revisions.end(),
                                    [](const auto& entry) { return entry.second.status == "ACTIVE"; });
    if (status == "ALL" || active == (status == "ACTIVE")) families.push_back(name);
  }
  return page(input, "families", families);
}

Checked<json::object> deregister_task_definition(Call& call, const json::object& input) {
  const auto reference = text_of(input, "taskDefinition");
  const auto found = find_task_definition(call, reference);
  if (!found) return found.error();
  if (reference != (*found)->arn && reference != fmt::format("{}:{}", (*found)->family, (*found)->revision)) {
    return client_exception(fmt::format("taskDefinition \"{}\" has no revision; name one, e.g. {}:{}", reference,
                                        (*found)->family, (*found)->revision));
  }
  auto record = **found;
  record.status = "INACTIVE";
  record.document["status"] = record.status;
  if (!has(record.document, "deregisteredAt")) record.document["deregisteredAt"] = call.now();
  call.put(record);
  return json::object{{"taskDefinition", record.document}};
}

}  // namespace

void add_task_definition_operations(Operations& operations) {
  static const Shape describe{text("taskDefinition").required(), texts("include")};
  static const Shape list{text("familyPrefix", 255), text("status").one_of("ACTIVE|INACTIVE|DELETE_IN_PROGRESS"),
                          text("sort").one_of("ASC|DESC"), text("nextToken"), integer("maxResults", 1, 100)};
  static const Shape families{text("familyPrefix", 255), text("status").one_of("ACTIVE|INACTIVE|ALL"),
                              text("nextToken"), integer("maxResults", 1, 100)};
  static const Shape deregister{text("taskDefinition").required()};
  operations["RegisterTaskDefinition"] = handler(register_shape(), register_task_definition);
  operations["DescribeTaskDefinition"] = handler(describe, describe_task_definition);
  operations["ListTaskDefinitions"] = handler(list, list_task_definitions);
  operations["ListTaskDefinitionFamilies"] = handler(families, list_families);
  operations["DeregisterTaskDefinition"] = handler(deregister, deregister_task_definition);
}

}  // namespace causeway::control
