#pragma once
// Owns the store and the state: runs API calls one after another, and compiles snapshots.
#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "control/call.h"
#include "control/compiler.h"
#include "model/snapshot.h"

namespace causeway::control {

/// Control thread only.
class Controller {
 public:
  Controller(store::Store& store, Settings settings, const Clock& clock, Random& random);

  /// Reads the store, watches it, compiles the first snapshot.
  Result<void> start();

  /// Runs a call, commits what it asks for, applies it. Store failures answer 500 InternalFailure (or ServerException)
  /// with the reason.
  ApiResult run(const Handler& handler, const json::object& input);
  /// The same for the agent's own changes (tasks): fills a transaction; an Error from `fill` writes nothing.
  Result<Revision> change(const std::function<Result<void>(Call&)>& fill);

  const State& state() const { return state_; }
  const Settings& settings() const { return settings_; }
  SnapshotPtr snapshot() const { return snapshot_; }
  /// Called after revisions that changed what the data path sees, before the call that made them returns (the newest of
  /// several); the snapshot is complete. A callback may itself run calls and changes.
  void on_snapshot(std::function<void(SnapshotPtr)> callback);
  /// Called after each applied transaction, in their order, after on_snapshot's callback.
  void on_change(std::function<void(const std::vector<store::Event>&)> callback);
  /// The data path acts on everything up to `revision`: operations of it become SUCCESS.
  void acknowledged(Revision revision);
  /// Operations that the data path did not take within `limit` become FAIL; call it every few seconds.
  void fail_unacknowledged(std::chrono::seconds limit);

 private:
  struct Outcome;
  Outcome attempt(const std::function<bool(Call&)>& fill);
  void applied(const std::vector<store::Event>& events);
  void announce();
  void settle();
  void write_statuses(const std::vector<OperationRecord>& operations);
  void forget_ended(Call& call);

  store::Store& store_;
  Settings settings_;
  const Clock& clock_;
  Random& random_;
  State state_;
  SnapshotCompiler compiler_{state_, settings_};
  SnapshotPtr snapshot_;
  std::function<void(SnapshotPtr)> on_snapshot_;
  std::function<void(const std::vector<store::Event>&)> on_change_;
  Revision head_;                            ///< of kHeadKey: what the state was read at
  Revision acknowledged_;                    ///< by the data path
  std::map<std::string, Revision> waiting_;  ///< operations not ended, and the snapshot that they wait for
  std::deque<std::string> ended_;            ///< operations that ended, the oldest first; some may be forgotten already
  std::optional<Error> broken_;              ///< an event that could not be applied; the state is stale since
  std::deque<std::vector<store::Event>> unannounced_;
  bool unpublished_ = false;  ///< the snapshot, to on_snapshot_
  bool announcing_ = false;
  bool busy_ = false;
  bool settling_ = false;
};

}  // namespace causeway::control
