#pragma once
// What ECS services and their tasks change in Cloud Map: discovery services, and tasks' instances.
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "control/ecs_connect.h"

namespace causeway::control {

/// The changes of one transaction to Cloud Map services and instances. An operation may touch one of them several
/// times; write() puts each once and raises InstancesRevision once.
class RegistryEdits {
 public:
  explicit RegistryEdits(Call& call) : call_(call) {}
  RegistryEdits(const RegistryEdits&) = delete;
  RegistryEdits& operator=(const RegistryEdits&) = delete;

  /// A new discovery service; `description` tells whose.
  const ServiceRecord& add_service(const std::string& namespace_id, const std::string& name, std::string description);
  /// Null where there is none (any more).
  const ServiceRecord* find_service(const std::string& id) const;

  /// Registers an instance or brings it up to date; what is unchanged is not written. A standing one keeps its custom
  /// health, and its number while address and port stay.
  void put(InstanceRecord instance);
  void drain(const InstanceRecord& instance);
  void erase(const InstanceRecord& instance);
  /// To be looked at by write(): it may have lost the last ECS service that had it as a discovery name.
  void released(const std::string& service_id) { released_.insert(service_id); }

  /// Puts all of it into the call. Discovery services without instances that no service names any more are deleted.
  /// `instead` as in connected_services().
  void write(const EcsServiceRecord* instead);

 private:
  using Key = std::pair<std::string, std::string>;  ///< service id, instance id
  const InstanceRecord* find(const Key& key) const;
  bool has_instances(const std::string& service_id) const;
  void set(const Key& key, InstanceRecord instance);

  Call& call_;
  std::map<std::string, ServiceRecord> added_;
  std::map<Key, std::optional<InstanceRecord>> instances_;  ///< empty: erased
  std::set<std::string> changed_;                           ///< services whose set of instances changed
  std::set<std::string> released_;
};

/// "srv-…" of a registryArn or discoveryArn.
std::string service_id_of(std::string_view arn);
/// The id of the Cloud Map service that an entry is found under, or "".
std::string discovery_service(const Connected& connected, const ConnectEntry& entry);
/// The Cloud Map services in which the tasks of `service` stand.
std::set<std::string> registries_of(const EcsServiceRecord& service);

/// Finds or makes the discovery service of each entry and sets service.service_connect_resources. A name that another
/// ECS service has, or a Cloud Map service that create-service made, is refused.
Checked<> assign_discovery_services(RegistryEdits& edits, Call& call, EcsServiceRecord& service,
                                    const NamespaceRecord& space, const std::vector<ConnectEntry>& entries);

/// The instances of a task as its service stands: one for each registry and each Service Connect entry.
std::vector<InstanceRecord> instances_of(const Call& call, const TaskRecord& task, const EcsServiceRecord& service,
                                         const TaskDefinitionRecord& definition);
/// The port of a serviceRegistries entry: port, containerPort, else the task definition's first; empty without any.
std::optional<PortMapping> registry_port(const json::object& registry, const std::vector<PortMapping>& ports);
/// The records of a task in these Cloud Map services.
std::vector<InstanceRecord> standing_instances(const State& state, const std::string& task_id,
                                               const std::set<std::string>& service_ids);

}  // namespace causeway::control
