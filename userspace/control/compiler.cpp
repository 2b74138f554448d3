#include "control/compiler.h"

#include <algorithm>
#include <optional>
#include <tuple>
#include <utility>

#include "control/aliases.h"
#include "control/compiler_endpoints.h"
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

AppProtocol protocol_of(const ConnectEntry* entry) {
  if (entry == nullptr || entry->port.app_protocol.empty()) return AppProtocol::detect;
  if (entry->port.app_protocol == "http") return AppProtocol::http;
  return entry->port.app_protocol == "grpc" ? AppProtocol::grpc : AppProtocol::http2;
}

AccessLogSettings access_log_of(const ConnectEntry* entry, const Settings& settings) {
  if (!settings.access_log_allowed) return {};
  return entry != nullptr && entry->access_log ? *entry->access_log : settings.access_log;
}

bool same_value(const std::string& a, const std::string& b) {
  return a == b;
}
bool same_value(const Workload& a, const Workload& b) {
  return a == b;
}
template <class T>
bool same_value(const std::shared_ptr<const T>& a, const std::shared_ptr<const T>& b) {
  return a == b || *a == *b;
}

/// A task counts until its cgroup is empty: one that drains still calls others.
std::optional<Workload> workload_of(const State& state, const std::string& cluster, const std::string& id) {
  const auto tasks = state.tasks.find(cluster);
  if (tasks == state.tasks.end()) return std::nullopt;
  const auto found = tasks->second.find(id);
  if (found == tasks->second.end()) return std::nullopt;
  const TaskRecord& task = found->second;
  if (task.last_status == "STOPPED" || task.cgroup_id == 0) return std::nullopt;
  const auto services = state.ecs_services.find(cluster);
  if (services == state.ecs_services.end()) return std::nullopt;
  const auto service = services->second.find(task.service);
  if (service == services->second.end()) return std::nullopt;
  const auto space = state.namespaces.find(service->second.service_connect_namespace);
  return Workload{service->second.number,
                  id,
                  task.service,
                  task.cgroup_id,
                  space == state.namespaces.end() ? kNoNamespace : space->second.number,
                  task.address,
                  task.ports};
}

const EcsServiceRecord* find_ecs_record(const State& state, const std::string& cluster, const std::string& name) {
  const auto services = state.ecs_services.find(cluster);
  if (services == state.ecs_services.end()) return nullptr;
  const auto found = services->second.find(name);
  return found == services->second.end() ? nullptr : &found->second;
}

std::pair<std::string, std::string> split_at_slash(std::string_view text) {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos) return {std::string(text), {}};
  return {std::string(text.substr(0, slash)), std::string(text.substr(slash + 1))};
}

bool strip_prefix(std::string_view& key, std::string_view prefix) {
  if (!key.starts_with(prefix)) return false;
  key.remove_prefix(prefix.size());
  return true;
}

}  // namespace

template <class Key, class Value>
void SnapshotCompiler::put(SharedMap<Key, Value> Snapshot::*map, const Key& key, Value value) {
  auto& into = *out_.*map;
  const auto stands = into.find(key);
  if (stands != into.end() && same_value(stands->second, value)) return;
  const auto& others = *before_.*map;
  const auto shared = others.find(key);
  into.set(key, shared != others.end() && same_value(shared->second, value) ? shared->second : std::move(value));
  differs_ = true;
}

template <class Key, class Value>
void SnapshotCompiler::drop(SharedMap<Key, Value> Snapshot::*map, const Key& key) {
  if ((*out_.*map).erase(key) != 0) differs_ = true;
}

SnapshotPtr SnapshotCompiler::compile(const SnapshotPtr& previous) {
  before_ = previous ? previous : std::make_shared<const Snapshot>();
  out_ = std::make_shared<Snapshot>();
  out_->revision = state_.revision();
  described_.clear();
  describes_.clear();
  compiled_.clear();
  named_.clear();
  for (const auto& [id, space] : state_.namespaces) {
    out_->namespaces[space.number] = {space.number, lower_case(space.name), space.dns, space.soa_ttl};
  }
  Touched touched;
  for (const auto& [cluster, services] : state_.ecs_services) {
    for (const auto& [name, service] : services) look_at_ecs_service({cluster, name}, touched);
  }
  for (const auto& [id, record] : state_.services) look_at_service(id, touched);
  for (const auto& [cluster, tasks] : state_.tasks) {
    for (const auto& [id, task] : tasks) look_at_task({cluster, id});
  }
  look_at_aliases();
  before_ = nullptr;
  return std::exchange(out_, nullptr);
}

SnapshotPtr SnapshotCompiler::follow(const SnapshotPtr& previous, const std::vector<store::Event>& events) {
  Touched touched = touched_by(events);
  if (touched.all) {
    auto next = compile(previous);
    const auto content = [](const Snapshot& s) {
      return std::tie(s.namespaces, s.services, s.aliases, s.alias_names, s.cloud_map_names, s.workloads, s.clients);
    };
    return content(*next) == content(*previous) ? previous : next;
  }
  before_ = previous;
  out_ = std::make_shared<Snapshot>(*previous);
  out_->revision = state_.revision();
  differs_ = false;
  for (const auto& key : touched.ecs_services) {
    look_at_ecs_service(key, touched);
    touch_tasks_of(key, touched);
  }
  for (const auto& id : touched.services) look_at_service(id, touched);
  for (const auto& key : touched.tasks) look_at_task(key);
  if (touched.aliases) look_at_aliases();
  before_ = nullptr;
  auto next = std::exchange(out_, nullptr);
  return differs_ ? SnapshotPtr(std::move(next)) : previous;
}

SnapshotCompiler::Touched SnapshotCompiler::touched_by(const std::vector<store::Event>& events) const {
  Touched touched;
  for (const auto& event : events) {
    std::string_view key = event.key;
    if (strip_prefix(key, "/instances/")) {
      touched.services.insert(split_at_slash(key).first);
    } else if (strip_prefix(key, "/services/")) {
      touched.services.emplace(key);
    } else if (strip_prefix(key, "/ecs/tasks/")) {
      touched.tasks.insert(split_at_slash(key));
    } else if (strip_prefix(key, "/ecs/services/")) {
      touched.ecs_services.insert(split_at_slash(key));
    } else if (strip_prefix(key, "/ecs/task-definitions/")) {
      touch_users_of(key, touched);
    } else if (key.starts_with("/vips/")) {
      touched.aliases = true;
    } else if (key.starts_with("/namespaces/")) {
      touched.all = true;
    }
  }
  return touched;
}

/// `task_definition`: FAMILY/REVISION, as its key ends.
void SnapshotCompiler::touch_users_of(std::string_view task_definition, Touched& touched) const {
  const auto [family, digits] = split_at_slash(task_definition);
  const auto first = std::min(digits.find_first_not_of('0'), digits.size());
  const auto ending = "/" + family + ":" + digits.substr(first);
  for (const auto& [key, described] : described_) {
    if (described.task_definition.ends_with(ending)) touched.ecs_services.insert(key);
  }
}

void SnapshotCompiler::look_at_ecs_service(const EcsKey& key, Touched& touched) {
  std::optional<ClientId> number;
  if (const auto known = described_.find(key); known != described_.end()) {
    for (const auto& id : known->second.discovery) {
      const auto of_service = describes_.find(id);
      if (of_service != describes_.end()) of_service->second.erase(key);
      touched.services.insert(id);
    }
    touched.aliases = touched.aliases || !known->second.entries.empty();
    number = known->second.number;
    described_.erase(known);
  }
  const auto* service = find_ecs_record(state_, key.first, key.second);
  if (service != nullptr) {
    describe(key, *service);
    const auto& known = described_.at(key);
    touched.services.insert(known.discovery.begin(), known.discovery.end());
    touched.aliases = touched.aliases || !known.entries.empty();
  }
  if (service != nullptr && service->status != "INACTIVE") {
    put(&Snapshot::clients, service->number, service->name);
  } else if (number) {
    drop(&Snapshot::clients, *number);
  }
}

void SnapshotCompiler::touch_tasks_of(const EcsKey& key, Touched& touched) const {
  const auto tasks = state_.tasks.find(key.first);
  if (tasks == state_.tasks.end()) return;
  for (const auto& [id, task] : tasks->second) {
    if (task.service == key.second) touched.tasks.emplace(key.first, id);
  }
}

void SnapshotCompiler::describe(const EcsKey& key, const EcsServiceRecord& service) {
  Described described{service.number, service.task_definition, service.service_connect_namespace, {}, {}};
  if (service.status == "ACTIVE" && !service.service_connect_namespace.empty()) {
    Connected connected{&service, connect_entries(service, task_definition_of(state_, service.task_definition))};
    for (const auto& entry : connected.entries) {
      const auto& id = described.discovery.emplace_back(discovery_service(connected, entry));
      if (!id.empty()) describes_[id][key] = described.discovery.size() - 1;
    }
    described.entries = std::move(connected.entries);
  }
  described_[key] = std::move(described);
}

const ConnectEntry* SnapshotCompiler::entry_of(const std::string& service_id) const {
  const auto found = describes_.find(service_id);
  if (found == describes_.end() || found->second.empty()) return nullptr;
  const auto& [key, place] = *found->second.rbegin();
  return &described_.at(key).entries[place];
}

void SnapshotCompiler::look_at_service(const std::string& id, Touched& touched) {
  const auto record = state_.services.find(id);
  const bool stands = record != state_.services.end();
  const auto known = compiled_.find(id);
  const Compiled before = known == compiled_.end() ? Compiled{} : known->second;
  if (stands != (known != compiled_.end()) && describes_.contains(id)) touched.aliases = true;
  const std::string name = stands && has_name(record->second)
                               ? dns_name(record->second, state_.namespaces.at(record->second.namespace_id))
                               : std::string();
  if (stands) {
    compiled_[id] = {record->second.number, name};
  } else if (known != compiled_.end()) {
    compiled_.erase(known);
  }
  const auto service = stands ? service_of(record->second) : nullptr;
  if (service) {
    put(&Snapshot::services, service->id, service);
  } else {
    drop(&Snapshot::services, stands ? record->second.number : before.number);
  }
  if (!before.name.empty() && before.name != name) {
    named_[before.name].erase(id);
    look_at_name(before.name);
  }
  if (name.empty()) return;
  named_[name].insert(id);
  look_at_name(name);
}

bool SnapshotCompiler::has_name(const ServiceRecord& record) const {
  const auto space = state_.namespaces.find(record.namespace_id);
  return space != state_.namespaces.end() && space->second.dns && !record.dns_records.empty();
}

void SnapshotCompiler::look_at_name(const std::string& name) {
  const auto services = named_.find(name);
  if (services->second.empty()) {
    named_.erase(services);
    return drop(&Snapshot::cloud_map_names, name);
  }
  const ServiceRecord& record = state_.services.at(*services->second.rbegin());
  const auto made =
      cloud_map_name(record, state_.namespaces.at(record.namespace_id), instances_of_service(state_, record.id));
  put(&Snapshot::cloud_map_names, name, std::make_shared<const CloudMapName>(made));
}

std::shared_ptr<const Service> SnapshotCompiler::service_of(const ServiceRecord& record) const {
  const auto space = state_.namespaces.find(record.namespace_id);
  if (space == state_.namespaces.end()) return nullptr;
  auto service = std::make_shared<Service>();
  service->endpoints = endpoints_of(instances_of_service(state_, record.id));
  if (service->endpoints.empty() && !record.service_connect) return nullptr;
  const ConnectEntry* entry = entry_of(record.id);
  service->id = record.number;
  service->namespace_number = space->second.number;
  service->namespace_name = space->second.name;
  service->discovery_name = record.name;
  service->protocol = protocol_of(entry);
  service->settings = resolve_settings(settings_, space->second, record, entry).values;
  service->access_log = access_log_of(entry, settings_);
  return service;
}

void SnapshotCompiler::look_at_task(const TaskKey& key) {
  if (auto workload = workload_of(state_, key.first, key.second)) {
    put(&Snapshot::workloads, key.second, std::move(*workload));
  } else {
    drop(&Snapshot::workloads, key.second);
  }
}

void SnapshotCompiler::look_at_aliases() {
  std::vector<Alias> aliases;
  std::vector<AliasName> names;
  for (const auto& [key, described] : described_) {
    const auto space = state_.namespaces.find(described.namespace_id);
    const auto vips = state_.vips.find(described.namespace_id);
    if (space == state_.namespaces.end() || vips == state_.vips.end()) continue;
    for (std::size_t i = 0; i < described.entries.size(); ++i) {
      const auto service = state_.services.find(described.discovery[i]);
      if (service == state_.services.end()) continue;
      for (const auto& name : alias_names(described.entries[i], space->second.name)) {
        const auto vip = vips->second.find(name);
        if (vip == vips->second.end()) continue;
        const auto v4 = settings_.alias_v4.at(vip->second.index);
        const auto v6 = settings_.alias_v6.at(vip->second.index);
        aliases.push_back(
            {space->second.number, name, v4, v6, *described.entries[i].alias_port, service->second.number});
        names.push_back({name, space->second.number, v4, v6});
      }
    }
  }
  std::sort(aliases.begin(), aliases.end(),
            [](const Alias& a, const Alias& b) { return std::tie(a.vip4, a.port) < std::tie(b.vip4, b.port); });
  std::sort(names.begin(), names.end(), [](const AliasName& a, const AliasName& b) {
    return std::tie(a.name, a.namespace_number) < std::tie(b.name, b.namespace_number);
  });
  // A name with several ports is one name.
  names.erase(std::unique(names.begin(), names.end()), names.end());
  const auto take = [this](auto& into, const auto& of_before, auto fresh) {
    if (into.get() == fresh) return;
    if (of_before.get() == fresh) {
      into = of_before;
    } else {
      into = std::move(fresh);
    }
    differs_ = true;
  };
  take(out_->aliases, before_->aliases, std::move(aliases));
  take(out_->alias_names, before_->alias_names, std::move(names));
}

SnapshotPtr compile_snapshot(const State& state, const Settings& settings, const SnapshotPtr& previous) {
  return SnapshotCompiler(state, settings).compile(previous);
}

}  // namespace causeway::control
