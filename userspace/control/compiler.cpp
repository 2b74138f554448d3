// State to Snapshot: one walk over the records a revision. What did not change keeps the previous snapshot's pointer.
#include <algorithm>
#include <map>
#include <memory>

#include "control/aliases.h"
#include "control/compiler_endpoints.h"
#include "control/controller.h"
#include "control/ecs_find.h"
#include "control/ecs_registry.h"
#include "control/service_settings.h"
#include "control/vips.h"

namespace causeway::control {
namespace {

const Instances kNoInstances;

const Instances& instances_of_service(const State& state, const std::string& service_id) {
  const auto found = state.instances.find(service_id);
  return found == state.instances.end() ? kNoInstances : found->second;
}

/// Which Service Connect entry describes a discovery service.
using Entries = std::map<std::string, const ConnectEntry*>;  ///< by Cloud Map service id

AppProtocol protocol_of(const ConnectEntry* entry) {
  if (entry == nullptr || entry->port.app_protocol.empty()) return AppProtocol::detect;
  if (entry->port.app_protocol == "http") return AppProtocol::http;
  return entry->port.app_protocol == "grpc" ? AppProtocol::grpc : AppProtocol::http2;
}

AccessLogSettings access_log_of(const ConnectEntry* entry, const Settings& settings) {
  if (!settings.access_log_allowed) return {};
  return entry != nullptr && entry->access_log ? *entry->access_log : settings.access_log;
}

/// The previous snapshot's pointer where it holds the same, else a new one.
template <class Key, class T>
std::shared_ptr<const T> shared(T&& fresh, const Key& key, const std::map<Key, std::shared_ptr<const T>>* before) {
  if (before != nullptr) {
    const auto found = before->find(key);
    if (found != before->end() && *found->second == fresh) return found->second;
  }
  return std::make_shared<const T>(std::move(fresh));
}

class Compiler {
 public:
  Compiler(const State& state, const Settings& settings, const SnapshotPtr& previous)
      : state_(state), settings_(settings), previous_(previous), connected_(connected_services(state, "")) {}

  SnapshotPtr compile() {
    out_->revision = state_.revision();
    add_namespaces();
    add_services();
    for (const auto& connected : connected_) add_aliases(connected);
    sort_aliases();
    add_workloads();
    add_clients();
    return std::move(out_);
  }

 private:
  void add_namespaces() {
    for (const auto& [id, space] : state_.namespaces) {
      out_->namespaces[space.number] = {space.number, lower_case(space.name), space.dns, space.soa_ttl};
    }
  }

  Entries entries() const {
    Entries by_service;
    for (const auto& connected : connected_) {
      for (const auto& entry : connected.entries) {
        if (const auto id = discovery_service(connected, entry); !id.empty()) by_service[id] = &entry;
      }
    }
    return by_service;
  }

  void add_services() {
    const auto by_service = entries();
    for (const auto& [id, record] : state_.services) {
      const auto space = state_.namespaces.find(record.namespace_id);
      if (space == state_.namespaces.end()) continue;
      const auto& instances = instances_of_service(state_, id);
      const auto entry = by_service.find(id);
      add_service(record, space->second, instances, entry == by_service.end() ? nullptr : entry->second);
      if (space->second.dns && !record.dns_records.empty()) {
        auto name = cloud_map_name(record, space->second, instances);
        const auto key = name.name;
        out_->cloud_map_names[key] = shared(std::move(name), key, previous_ ? &previous_->cloud_map_names : nullptr);
      }
    }
  }

  void add_service(const ServiceRecord& record, const NamespaceRecord& space, const Instances& instances,
                   const ConnectEntry* entry) {
    Service service;
    service.endpoints = endpoints_of(instances);
    if (service.endpoints.empty() && !record.service_connect) return;
    service.id = record.number;
    service.namespace_number = space.number;
    service.namespace_name = space.name;
    service.discovery_name = record.name;
    service.protocol = protocol_of(entry);
    service.settings = resolve_settings(settings_, space, record, entry).values;
    service.access_log = access_log_of(entry, settings_);
    out_->services[record.number] =
        shared(std::move(service), record.number, previous_ ? &previous_->services : nullptr);
  }

  void add_aliases(const Connected& connected) {
    const auto space = state_.namespaces.find(connected.service->service_connect_namespace);
    if (space == state_.namespaces.end()) return;
    const auto vips = state_.vips.find(space->first);
    if (vips == state_.vips.end()) return;
    for (const auto& entry : connected.entries) {
      const auto service = state_.services.find(discovery_service(connected, entry));
      if (service == state_.services.end()) continue;
      for (const auto& name : alias_names(entry, space->second.name)) {
        const auto vip = vips->second.find(name);
        if (vip == vips->second.end()) continue;
        const auto v4 = settings_.alias_v4.at(vip->second.index);
        const auto v6 = settings_.alias_v6.at(vip->second.index);
        out_->aliases.push_back({space->second.number, name, v4, v6, *entry.alias_port, service->second.number});
        out_->alias_names.push_back({name, space->second.number, v4, v6});
      }
    }
  }

  void sort_aliases() {
    std::sort(out_->aliases.begin(), out_->aliases.end(),
              [](const Alias& a, const Alias& b) { return std::tie(a.vip4, a.port) < std::tie(b.vip4, b.port); });
    auto& names = out_->alias_names;
    std::sort(names.begin(), names.end(), [](const AliasName& a, const AliasName& b) {
      return std::tie(a.name, a.namespace_number) < std::tie(b.name, b.namespace_number);
    });
    // A name with several ports is one name.
    names.erase(std::unique(names.begin(), names.end()), names.end());
  }

  /// A task counts until its cgroup is empty: one that drains still calls others.
  void add_workloads() {
    for (const auto& [cluster, tasks] : state_.tasks) {
      for (const auto& [id, task] : tasks) {
        if (task.last_status == "STOPPED" || task.cgroup_id == 0) continue;
        const auto services = state_.ecs_services.find(cluster);
        if (services == state_.ecs_services.end()) continue;
        const auto service = services->second.find(task.service);
        if (service == services->second.end()) continue;
        const auto space = state_.namespaces.find(service->second.service_connect_namespace);
        out_->workloads[id] = {service->second.number,
                               id,
                               task.service,
                               task.cgroup_id,
                               space == state_.namespaces.end() ? kNoNamespace : space->second.number,
                               task.address,
                               task.ports};
      }
    }
  }

  void add_clients() {
    for (const auto& [cluster, services] : state_.ecs_services) {
      for (const auto& [name, service] : services) {
        if (service.status != "INACTIVE") out_->clients[service.number] = name;
      }
    }
  }

  const State& state_;
  const Settings& settings_;
  const SnapshotPtr& previous_;
  const std::vector<Connected> connected_;
  std::shared_ptr<Snapshot> out_ = std::make_shared<Snapshot>();
};

}  // namespace

SnapshotPtr compile_snapshot(const State& state, const Settings& settings, const SnapshotPtr& previous) {
  return Compiler(state, settings, previous).compile();
}

}  // namespace causeway::control
