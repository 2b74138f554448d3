#pragma once
// State to Snapshot. A change costs in proportion to the services and tasks that it names: the rest of the snapshot is
// shared with the one before.
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "control/ecs_connect.h"
#include "control/state.h"
#include "model/snapshot.h"

namespace causeway::control {

/// Control thread only, as the state that it reads.
class SnapshotCompiler {
 public:
  SnapshotCompiler(const State& state, const Settings& settings) : state_(state), settings_(settings) {}

  /// The whole state. What did not change since `previous` (null: nothing) keeps its pointers.
  SnapshotPtr compile(const SnapshotPtr& previous);
  /// The state after these events, where `previous` is what the last call returned; `previous` itself if the data path
  /// sees no difference. The same as compile(), at less cost.
  SnapshotPtr follow(const SnapshotPtr& previous, const std::vector<store::Event>& events);

 private:
  using EcsKey = std::pair<std::string, std::string>;   ///< cluster, name
  using TaskKey = std::pair<std::string, std::string>;  ///< cluster, id
  /// What an ECS service says to the data path, read from its JSON once.
  struct Described {
    ClientId number;
    std::string task_definition;         ///< its ARN
    std::string namespace_id;            ///< of Service Connect, or ""
    std::vector<ConnectEntry> entries;   ///< of an ACTIVE service that takes part in Service Connect
    std::vector<std::string> discovery;  ///< of each entry: its Cloud Map service's id, or ""
  };
  /// What a Cloud Map service became: its record may be gone.
  struct Compiled {
    ServiceId number;
    std::string name;  ///< in DNS, or ""
  };
  /// What events make look at again.
  struct Touched {
    bool all = false;
    bool aliases = false;
    std::set<EcsKey> ecs_services;
    std::set<std::string> services;  ///< ids
    std::set<TaskKey> tasks;
  };

  Touched touched_by(const std::vector<store::Event>& events) const;
  void touch_users_of(std::string_view task_definition, Touched& touched) const;
  void touch_tasks_of(const EcsKey& key, Touched& touched) const;
  void look_at_ecs_service(const EcsKey& key, Touched& touched);
  void look_at_service(const std::string& id, Touched& touched);
  void look_at_name(const std::string& name);
  void look_at_task(const TaskKey& key);
  void look_at_aliases();
  void describe(const EcsKey& key, const EcsServiceRecord& service);
  const ConnectEntry* entry_of(const std::string& service_id) const;
  std::shared_ptr<const Service> service_of(const ServiceRecord& record) const;
  bool has_name(const ServiceRecord& record) const;
  template <class Key, class Value>
  void put(SharedMap<Key, Value> Snapshot::*map, const Key& key, Value value);
  template <class Key, class Value>
  void drop(SharedMap<Key, Value> Snapshot::*map, const Key& key);

  const State& state_;
  const Settings& settings_;
  std::map<EcsKey, Described> described_;
  /// By Cloud Map service: the ECS services that describe it, and by which entry. The last one counts.
  std::map<std::string, std::map<EcsKey, std::size_t>> describes_;
  std::map<std::string, Compiled> compiled_;  ///< by Cloud Map service id
  std::map<std::string, std::set<std::string>>
      named_;                      ///< Cloud Map services by their name in DNS. The last one counts.
  std::shared_ptr<Snapshot> out_;  ///< while one is made
  SnapshotPtr before_;             ///< meanwhile: what `out_` may share
  bool differs_ = false;           ///< `out_`, from the snapshot that it began as
};

/// All of it anew. Reuses unchanged services of `previous`.
SnapshotPtr compile_snapshot(const State& state, const Settings& settings, const SnapshotPtr& previous);

}  // namespace causeway::control
