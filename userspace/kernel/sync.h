#pragma once
// Keeps the maps in step with snapshots, by what differs. One thread.
#include <memory>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "kernel/entries.h"
#include "kernel/host_addresses.h"
#include "kernel/leaving.h"
#include "kernel/object.h"
#include "model/snapshot.h"

namespace causeway::kernel {

/// A map and what stands in it, so that only differences are written.
template <class Key, class Value>
class Mirror {
 public:
  /// Begins with what the map holds: an earlier agent may have left it.
  Result<void> adopt(const Map<Key, Value>& map) {
    auto entries = map.entries();
    if (!entries) return entries.error();
    have_.clear();
    have_.insert(entries->begin(), entries->end());
    return {};
  }
  /// Writes what is missing or differs, as far as it goes; the error is the first one.
  Result<void> add(Map<Key, Value>& map, const Entries<Key, Value>& wanted) {
    Result<void> result;
    for (const auto& [key, value] : wanted) {
      const auto found = have_.find(key);
      if (found != have_.end() && KeyBytes<Value>{}(found->second, value)) continue;
      if (Result<void> done = map.put(key, value); done) {
        have_.insert_or_assign(key, value);
      } else if (result) {
        result = done;
      }
    }
    return result;
  }
  /// Deletes what is not wanted.
  Result<void> remove_others(Map<Key, Value>& map, const Entries<Key, Value>& wanted) {
    Result<void> result;
    for (auto it = have_.begin(); it != have_.end();) {
      if (wanted.contains(it->first)) {
        ++it;
      } else if (const Result<bool> done = map.erase(it->first); done) {
        it = have_.erase(it);
      } else {
        if (result) result = done.error();
        ++it;
      }
    }
    return result;
  }

 private:
  Entries<Key, Value> have_;
};

class Sync {
 public:
  /// `forget_ejection`: an endpoint that is gone, whose connections go on.
  Sync(Maps& maps, std::function<Result<void>(std::uint32_t endpoint)> forget_ejection)
      : maps_(maps), forget_ejection_(std::move(forget_ejection)), leaving_(maps.leaving) {}

  /// Reads what stands in the maps.
  Result<void> adopt();
  /// Additions first, from the endpoints up to the addresses, then removals the other way round, then once more what
  /// found no room before them. The first error, if all is not in place.
  Result<void> apply(const Snapshot& snapshot);

  const Leaving& leaving() const { return leaving_; }
  /// It may have got a connection after its time: it is looked at soon, if it leaves and its time is over.
  void recheck(std::uint32_t endpoint, MonotonicTime now) { leaving_.recheck(endpoint, now); }
  /// Those whose time is over and that have connections.
  std::vector<std::uint32_t> to_end(MonotonicTime now) const;
  /// After the end of those connections: forgets what is done with.
  Result<void> clear_up(MonotonicTime now);

 private:
  struct Rows {
    cw_service entry{};                     ///< as it stands in the map
    std::vector<RowList> lists;             ///< the rows and tables of that generation
    std::shared_ptr<const Service> source;  ///< an unchanged service keeps its pointer
  };

  template <class Add, class Remove>
  Result<void> apply(const Snapshot& snapshot, const Add& add_others, const Remove& remove_others);
  void follow_known(const Snapshot& snapshot);
  Result<void> add_services(const Snapshot& snapshot);
  /// `added`: those that had none.
  Result<void> add_states(const Service& service, std::vector<std::uint32_t>& added);
  /// Of endpoints that were there before and are not now; `now` null: the service is gone.
  Result<void> remove_states(const Service& before, const Service* now);
  Result<void> erase_state(std::uint32_t endpoint);
  Result<void> remove_unknown_states();
  /// Of those that left, with no connection left: when the map has no room for others.
  Result<void> erase_idle_states();
  Result<void> erase_service_states();
  std::int64_t active_on(std::uint32_t endpoint) const;
  /// Endpoints that took connections before and do not now leave, those that do stay; null: the service is not there.
  Result<void> follow(const Rows* before, const Service* now);
  Result<void> put_service(const std::shared_ptr<const Service>& service);
  Result<void> put_rows(const std::shared_ptr<const Service>& service);
  /// Of a service whose rows stay.
  Result<void> put_entry(Rows& kept, const std::shared_ptr<const Service>& service, const ServiceRows& rows);
  Result<void> remove_services(const Snapshot& snapshot);
  Result<void> remove_service(std::uint32_t id);
  Result<void> remove_counters(std::uint32_t id);
  Result<void> adopt_rows();
  Result<void> adopt_lookups();
  Result<void> put_lists(std::uint32_t id, std::uint32_t generation, const std::vector<RowList>& lists);
  Result<void> erase_lists(std::uint32_t id, std::uint32_t generation, const std::vector<RowList>& lists);
  ServiceRows rows_of(const Service& service);

  Maps& maps_;
  std::optional<Snapshot> in_place_;  ///< the last one, if all of it is in the maps: only differences are looked at
  std::function<Result<void>(std::uint32_t)> forget_ejection_;
  Leaving leaving_;
  HostAddresses host_;
  bool host_is_old_ = true;  ///< read once for a snapshot
  Mirror<cw_alias_key, cw_alias> aliases_;
  Mirror<std::uint64_t, cw_workload> workloads_;
  Mirror<cw_workload_port_key, std::uint32_t> ports_;
  std::unordered_map<std::uint32_t, Rows> services_;
  std::uint32_t generation_ = 0;                     ///< the newest of all services: no two have the same
  std::unordered_set<std::uint32_t> states_;         ///< endpoints that have one
  decltype(Snapshot::services) known_services_;      ///< of the newest snapshot
  std::unordered_set<std::uint32_t> known_;          ///< their endpoints
  std::unordered_set<std::uint32_t> gone_services_;  ///< that have a state, for connections that go on
  bool unknown_states_ = false;                      ///< of an earlier agent, which may know more endpoints
};

}  // namespace causeway::kernel
