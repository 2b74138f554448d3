#include "control/ecs_registry.h"

#include <algorithm>

#include <fmt/core.h>

namespace causeway::control {
namespace {

/// The other ECS service that has this discovery service, or null.
const EcsServiceRecord* holder_of(const State& state, const EcsServiceRecord& service, const ServiceRecord& discovery) {
  for (const auto& connected : connected_services(state, discovery.namespace_id)) {
    const auto& other = *connected.service;
    if (other.cluster == service.cluster && other.name == service.name) continue;
    for (const auto& resource : other.service_connect_resources) {
      if (service_id_of(text_of(resource.as_object(), "discoveryArn")) == discovery.id) return &other;
    }
  }
  return nullptr;
}

Checked<> check_discovery_name_free(const State& state, const EcsServiceRecord& service, const NamespaceRecord& space,
                                    const ServiceRecord& standing) {
  if (!standing.service_connect) {
    return invalid_parameter(
        fmt::format("discovery name \"{}\" in namespace \"{}\" is already taken by the Cloud Map service {} (made with "
                    "servicediscovery "
                    "create-service); choose another discoveryName, or delete that service",
                    standing.name, space.name, standing.id));
  }
  if (const auto* holder = holder_of(state, service, standing)) {
    return invalid_parameter(
        fmt::format("discovery name \"{}\" in namespace \"{}\" is already taken by service \"{}\" of cluster \"{}\"; "
                    "choose another "
                    "discoveryName",
                    standing.name, space.name, holder->name, holder->cluster));
  }
  return {};
}

bool listens(const TaskRecord& task, const std::optional<PortMapping>& port) {
  // A UDP socket has no LISTEN state, and without a port there is nothing to wait for.
  if (!port || port->udp) return true;
  return std::find(task.listening_ports.begin(), task.listening_ports.end(), port->port) != task.listening_ports.end();
}

InstanceRecord make_instance(const Call& call, const TaskRecord& task, const TaskDefinitionRecord& definition,
                             const std::string& service_id, const std::optional<PortMapping>& port) {
  InstanceRecord instance;
  instance.service_id = service_id;
  instance.id = task.id;
  instance.task_id = task.id;
  instance.listening = listens(task, port);
  auto& attributes = instance.attributes;
  attributes["AWS_INSTANCE_IPV4"] = task.address.to_string();
  if (port) attributes["AWS_INSTANCE_PORT"] = std::to_string(port->port);
  attributes["ECS_SERVICE_NAME"] = task.service;
  attributes["ECS_CLUSTER_NAME"] = task.cluster;
  attributes["ECS_TASK_DEFINITION_FAMILY"] = definition.family;
  attributes["AVAILABILITY_ZONE"] = call.settings.region + "a";
  attributes["REGION"] = call.settings.region;
  return instance;
}

}  // namespace

std::string discovery_service(const Connected& connected, const ConnectEntry& entry) {
  for (const auto& resource : connected.service->service_connect_resources) {
    if (text_of(resource.as_object(), "discoveryName") != entry.discovery_name) continue;
    return service_id_of(text_of(resource.as_object(), "discoveryArn"));
  }
  return {};
}

std::string service_id_of(std::string_view arn) {
  const auto slash = arn.rfind('/');
  return slash == std::string_view::npos ? std::string() : std::string(arn.substr(slash + 1));
}

std::set<std::string> registries_of(const EcsServiceRecord& service) {
  std::set<std::string> ids;
  for (const auto& registry : service.service_registries) {
    ids.insert(service_id_of(text_of(registry.as_object(), "registryArn")));
  }
  for (const auto& resource : service.service_connect_resources) {
    ids.insert(service_id_of(text_of(resource.as_object(), "discoveryArn")));
  }
  return ids;
}

Checked<> assign_discovery_services(RegistryEdits& edits, Call& call, EcsServiceRecord& service,
                                    const NamespaceRecord& space, const std::vector<ConnectEntry>& entries) {
  json::array resources;
  for (const auto& entry : entries) {
    const auto* discovery = call.state.find_service(space.id, entry.discovery_name);
    if (discovery != nullptr) {
      auto checked = check_discovery_name_free(call.state, service, space, *discovery);
      if (!checked) return checked.error();
    } else {
      discovery = &edits.add_service(space.id, entry.discovery_name, "Service Connect of " + service.arn);
    }
    resources.push_back(json::object{{"discoveryName", entry.discovery_name}, {"discoveryArn", discovery->arn}});
  }
  service.service_connect_resources = std::move(resources);
  return {};
}

std::optional<PortMapping> registry_port(const json::object& registry, const std::vector<PortMapping>& ports) {
  const auto wanted = integer_of(registry, "port", integer_of(registry, "containerPort"));
  if (wanted == 0) return ports.empty() ? std::nullopt : std::optional(ports.front());
  for (const auto& port : ports) {
    if (port.port == wanted) return port;
  }
  PortMapping unmapped;  // AWS takes any `port`; the task then has this one too
  unmapped.port = static_cast<std::uint16_t>(wanted);
  return unmapped;
}

std::vector<InstanceRecord> instances_of(const Call& call, const TaskRecord& task, const EcsServiceRecord& service,
                                         const TaskDefinitionRecord& definition) {
  std::vector<InstanceRecord> all;
  const auto add = [&](const std::string& service_id, const std::optional<PortMapping>& port) {
    auto instance = make_instance(call, task, definition, service_id, port);
    const bool taken = std::any_of(all.begin(), all.end(), [&](const InstanceRecord& other) {
      return other.service_id == service_id && other.id == instance.id;
    });
    if (taken) instance.id += fmt::format("-{}", port ? port->port : 0);
    all.push_back(std::move(instance));
  };
  const auto ports = port_mappings(definition);
  for (const auto& value : service.service_registries) {
    const auto& registry = value.as_object();
    add(service_id_of(text_of(registry, "registryArn")), registry_port(registry, ports));
  }
  for (const auto& entry : connect_entries(service, &definition)) {
    for (const auto& resource : service.service_connect_resources) {
      if (text_of(resource.as_object(), "discoveryName") != entry.discovery_name) continue;
      add(service_id_of(text_of(resource.as_object(), "discoveryArn")), entry.port);
    }
  }
  return all;
}

std::vector<InstanceRecord> standing_instances(const State& state, const std::string& task_id,
                                               const std::set<std::string>& service_ids) {
  std::vector<InstanceRecord> all;
  for (const auto& id : service_ids) {
    const auto of_service = state.instances.find(id);
    if (of_service == state.instances.end()) continue;
    // A task's instance ids begin with the task's id.
    for (auto it = of_service->second.lower_bound(task_id); it != of_service->second.end(); ++it) {
      if (!std::string_view(it->first).starts_with(task_id)) break;
      if (it->second.task_id == task_id) all.push_back(it->second);
    }
  }
  return all;
}

}  // namespace causeway::control
