#pragma once
// The ECS API on records alone: operations run against a State, their transactions are applied to it.
#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <gtest/gtest.h>

#include "control/controller.h"
#include "control/ecs_check.h"
#include "control/sd_make.h"
#include "control/tasks.h"

namespace causeway::control {

/// JSON with ' for ", so that C++ needs no escapes.
inline json::object parse_json(std::string text) {
  std::replace(text.begin(), text.end(), '\'', '"');
  return json::parse(text).as_object();
}

template <class Map>
bool same_pointed(const Map& a, const Map& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const auto& x, const auto& y) { return x.first == y.first && *x.second == *y.second; });
}
inline bool same(const Snapshot& a, const Snapshot& b) {
  return a.namespaces == b.namespaces && same_pointed(a.services, b.services) && a.aliases == b.aliases &&
         a.alias_names == b.alias_names && same_pointed(a.cloud_map_names, b.cloud_map_names) &&
         a.workloads == b.workloads && a.clients == b.clients;
}
inline void expect_same(const Snapshot& a, const Snapshot& b) {
  EXPECT_EQ(a.namespaces == b.namespaces, true);
  EXPECT_TRUE(same_pointed(a.services, b.services));
  EXPECT_TRUE(a.aliases == b.aliases);
  EXPECT_TRUE(a.alias_names == b.alias_names);
  EXPECT_TRUE(same_pointed(a.cloud_map_names, b.cloud_map_names));
  EXPECT_TRUE(a.workloads == b.workloads);
  EXPECT_TRUE(a.clients == b.clients);
}

class World {
 public:
  World() {
    settings.alias_v4 = *IpPrefix::parse("127.255.0.0/16");
    settings.alias_v6 = *IpPrefix::parse("100::/64");
    settings.task_v4 = *IpPrefix::parse("127.254.0.0/16");
  }

  ApiResult run(std::string_view operation, const std::string& input) { return run_of(operations, operation, input); }
  ApiResult run_of(const Operations& all, std::string_view operation, const std::string& input) {
    const auto found = all.find(operation);
    if (found == all.end()) return fail(400, "UnknownOperationException", std::string(operation));
    Call call(state, settings, clock, random);
    auto result = found->second(call, parse_json(input));
    if (!result.error) apply(call.txn);
    return result;
  }
  /// The answer of an operation that must succeed.
  json::object ok(std::string_view operation, const std::string& input) {
    auto result = run(operation, input);
    EXPECT_FALSE(result.error) << operation << " " << input << ": " << (result.error ? result.error->message : "");
    return result.body;
  }
  /// "TYPE: MESSAGE" of one that must be refused, "" if it is not.
  std::string refused(std::string_view operation, const std::string& input) {
    const auto before = revision;
    const auto result = run(operation, input);
    EXPECT_EQ(before, revision);
    return result.error ? result.error->type + ": " + result.error->message : "";
  }
  /// A change of the agent's own.
  template <class Fill>
  auto change(Fill fill) {
    Call call(state, settings, clock, random);
    auto result = fill(call);
    EXPECT_TRUE(result.has_value());
    if (result) apply(call.txn);
    return result;
  }
  NamespaceRecord make_space(const std::string& name, bool dns = true) {
    Call call(state, settings, clock, random);
    auto record = make_namespace(call, name, dns);
    apply(call.txn);
    return record;
  }
  ServiceRecord make_cloud_map_service(const NamespaceRecord& space, const std::string& name,
                                       const std::string& type = "A") {
    Call call(state, settings, clock, random);
    auto record = make_service(call, space.id, name, [&](ServiceRecord& service) {
      service.routing_policy = "MULTIVALUE";
      service.dns_records = {{type, 10}};
    });
    apply(call.txn);
    return record;
  }
  void register_instance(const ServiceRecord& service, const std::string& id,
                         std::map<std::string, std::string> attributes) {
    Call call(state, settings, clock, random);
    InstanceRecord instance;
    instance.service_id = service.id;
    instance.id = id;
    instance.attributes = std::move(attributes);
    put_instance(call, instance);
    apply(call.txn);
  }
  void register_definition(const std::string& family, const std::string& mappings) {
    ok("RegisterTaskDefinition", "{'family':'" + family +
                                     "','containerDefinitions':[{'name':'app','image':'none','portMappings':[" +
                                     mappings + "]}]}");
  }
  /// A RUNNING task, its cgroup id counted up from 1000.
  TaskRecord start_task(const std::string& cluster, const std::string& service) {
    const auto task = change([&](Call& call) { return create_task(call, {cluster, service}); });
    if (!task) return {};
    change([&](Call& call) { return task_started(call, task->cluster, task->id, 4711, ++next_cgroup); });
    return state.tasks.at(task->cluster).at(task->id);
  }
  void listen(const TaskRecord& task, std::uint16_t port, bool listening = true) {
    change([&](Call& call) { return task_listening(call, task, port, listening); });
  }
  void stop(const TaskRecord& task, std::optional<int> exit_code = 0) {
    change([&](Call& call) {
      return task_stopped(call, task.cluster, task.id, "Essential container in task exited", exit_code);
    });
  }
  const TaskRecord& task(const TaskRecord& of) const { return state.tasks.at(of.cluster).at(of.id); }
  const EcsServiceRecord& service(const std::string& cluster, const std::string& name) const {
    return state.ecs_services.at(cluster).at(name);
  }
  SnapshotPtr compile(const SnapshotPtr& previous = nullptr) const {
    return compile_snapshot(state, settings, previous);
  }

  State state;
  Settings settings;
  bool follows = true;   ///< false: the test changes state or settings by itself
  SnapshotPtr followed;  ///< by the changes alone
  ManualClock clock;
  FastRandom random{42};
  Operations operations = ecs_operations();
  Revision revision;          ///< of the last transaction
  std::size_t last_size = 0;  ///< puts and deletes of the last transaction

 private:
  void apply(const store::Transaction& txn) {
    last_size = txn.puts.size() + txn.deletes.size();
    if (txn.empty()) return;
    revision = Revision(revision.value + 1);
    std::vector<store::Event> events;
    for (const auto& [key, value] : txn.puts) events.push_back({key, value, revision});
    for (const auto& key : txn.deletes) events.push_back({key, std::nullopt, revision});
    const auto applied = state.apply(events);
    ASSERT_TRUE(applied.has_value()) << applied.error().message();
    follow(events);
  }
  /// The snapshot that follows the changes is the one that is compiled anew.
  void follow(const std::vector<store::Event>& events) {
    if (!follows) return;
    const auto fresh = compile();
    const auto before = followed;
    followed = before ? compiler.follow(before, events) : compiler.compile(nullptr);
    expect_same(*fresh, *followed);
    if (before && followed != before) {
      EXPECT_FALSE(same(*before, *followed)) << "nothing changed, and yet it was told";
    }
  }
  std::uint64_t next_cgroup = 1000;
  SnapshotCompiler compiler{state, settings};
};

/// The address that an alias name of a namespace has in the snapshot; empty: it has none.
inline std::string vip_of(const Snapshot& snapshot, std::string_view name, NamespaceNumber space) {
  for (const auto& alias : snapshot.alias_names) {
    if (alias.name == name && alias.namespace_number == space) return alias.vip4.to_string();
  }
  return {};
}

/// What a dial of that name and port reaches; null where nothing is aliased.
inline std::shared_ptr<const Service> dialled(const Snapshot& snapshot, std::string_view name, std::uint16_t port,
                                              NamespaceNumber space) {
  const auto vip = vip_of(snapshot, name, space);
  for (const auto& alias : snapshot.aliases) {
    if (alias.vip4.to_string() == vip && alias.port == port) return snapshot.services.at(alias.service);
  }
  return nullptr;
}

}  // namespace causeway::control
