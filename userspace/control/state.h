#pragma once
// The control plane's memory: every record of the store, decoded, kept in step by the store's events.
#include <map>
#include <string>
#include <vector>

#include "control/records.h"
#include "store/store.h"

namespace causeway::control {

/// Read-only to operations: they change the store, and its events change this. Control thread only.
class State {
 public:
  /// Applies the events of whole transactions. An undecodable value is an Error that names the key.
  Result<void> apply(const std::vector<store::Event>& events);
  /// Reads everything at start-up.
  Result<void> load(const store::Store& store);

  Revision revision() const { return revision_; }

  std::map<std::string, NamespaceRecord> namespaces;                ///< by id
  std::map<std::string, ServiceRecord> services;                    ///< by id
  std::map<std::string, std::map<std::string, InstanceRecord>> instances;  ///< by service id, instance id
  std::map<std::string, OperationRecord> operations;                ///< by id
  std::map<std::string, ClusterRecord> clusters;                    ///< by name
  std::map<std::string, std::map<std::uint32_t, TaskDefinitionRecord>> task_definitions;  ///< by family, revision
  std::map<std::string, std::map<std::string, EcsServiceRecord>> ecs_services;            ///< by cluster, name
  std::map<std::string, std::map<std::string, TaskRecord>> tasks;                         ///< by cluster, id
  std::map<std::string, std::map<std::string, VipRecord>> vips;                           ///< by namespace id, name
  std::map<std::string, std::uint64_t> counters;  ///< /counters/NAME: the last number given

  const NamespaceRecord* find_namespace_by_name(std::string_view name) const;
  /// By id ("ns-…") or ARN or name, as the ECS API takes it.
  const NamespaceRecord* find_namespace(std::string_view reference) const;
  const ServiceRecord* find_service(std::string_view namespace_id, std::string_view name) const;  ///< name in any case

 private:
  Revision revision_;
};

}  // namespace causeway::control
