#include "control/controller.h"

#include <algorithm>
#include <exception>
#include <utility>

#include <fmt/core.h>

#include "base/log.h"

namespace causeway::control {
namespace {

// Every transaction writes this key and compares it: what an operation read was the whole state, so any transaction in
// between (another agent on a shared store) makes it run again.
constexpr const char* kHeadKey = "/head";
constexpr int kAttempts = 16;
constexpr std::uint64_t kEventsKept = 4096;

bool ended(const OperationRecord& operation) {
  return operation.status == "SUCCESS" || operation.status == "FAIL";
}

}  // namespace

/// What became of one transaction.
struct Controller::Outcome {
  std::optional<Error> error;  ///< of the store
  bool refused = false;        ///< `fill` returned false: nothing was tried
  Revision revision;
};

Controller::Controller(store::Store& store, Settings settings, const Clock& clock, Random& random)
    : store_(store), settings_(std::move(settings)), clock_(clock), random_(random) {}

Result<void> Controller::start() {
  if (auto loaded = state_.load(store_); !loaded) return loaded.error();
  const auto head = store_.range(kHeadKey);
  if (!head) return head.error();
  for (const auto& entry : *head) {
    if (entry.key == kHeadKey) head_ = entry.modified;
  }
  snapshot_ = compiler_.compile(nullptr);
  std::vector<const OperationRecord*> over;
  for (const auto& [id, operation] : state_.operations) {
    if (!ended(operation)) {
      waiting_[id] = snapshot_->revision;
    } else {
      over.push_back(&operation);
    }
  }
  std::sort(over.begin(), over.end(), [](const auto* a, const auto* b) { return a->updated < b->updated; });
  for (const auto* operation : over) ended_.push_back(operation->id);
  auto watched = store_.watch(state_.revision(), [this](const auto& events) { applied(events); });
  if (!watched) return watched.error();
  return {};
}

Controller::Outcome Controller::attempt(const std::function<bool(Call&)>& fill) {
  if (broken_) return {broken_, false, {}};
  const bool outermost = !std::exchange(busy_, true);
  Outcome outcome;
  bool committed = false;
  for (int i = 0; i < kAttempts && !committed; ++i) {
    Call call(state_, settings_, clock_, random_);
    try {
      outcome.refused = !fill(call);
    } catch (const std::exception& e) {
      // A member of an unexpected type in hostile input must not end the agent.
      outcome.error = make_error("run", "operation", e.what());
    }
    if (outcome.refused || outcome.error) break;
    outcome.revision = state_.revision();
    if (call.txn.empty()) {
      committed = true;
      break;
    }
    call.txn.compares.push_back({kHeadKey, head_});
    call.put_raw(kHeadKey, "");
    auto answer = store_.commit(call.txn);
    if (!answer) {
      outcome.error = answer.error();
      break;
    }
    outcome.revision = answer->revision;
    committed = answer->succeeded;
  }
  if (!committed && !outcome.refused && !outcome.error) {
    outcome.error = make_error("write", "the store", "other agents wrote in between each time; try again");
  }
  if (committed && broken_) outcome.error = broken_;
  if (outermost) {
    busy_ = false;
    announce();
    settle();
  }
  return outcome;
}

ApiResult Controller::run(const Handler& handler, const json::object& input) {
  ApiResult result;
  const auto outcome = attempt([&](Call& call) {
    result = handler(call, input);
    return !result.error;
  });
  if (!outcome.error) return result;
  log::error("{}", outcome.error->message());
  return fail(500, "InternalFailure", (broken_ ? "" : "Nothing was changed: ") + outcome.error->message());
}

Result<Revision> Controller::change(const std::function<Result<void>(Call&)>& fill) {
  Result<void> filled;
  const auto outcome = attempt([&](Call& call) {
    filled = fill(call);
    return filled.has_value();
  });
  if (outcome.error) return *outcome.error;
  if (!filled) return filled.error();
  return outcome.revision;
}

void Controller::on_snapshot(std::function<void(SnapshotPtr)> callback) {
  on_snapshot_ = std::move(callback);
}

void Controller::on_change(std::function<void(const std::vector<store::Event>&)> callback) {
  on_change_ = std::move(callback);
}

void Controller::applied(const std::vector<store::Event>& events) {
  if (broken_) return;
  if (auto done = state_.apply(events); !done) {
    broken_ = done.error();
    log::error("{}; the agent changes nothing any more, restart it with a repaired store", broken_->message());
    return;
  }
  for (const auto& event : events) {
    if (event.key == kHeadKey) head_ = event.revision;
  }
  auto next = compiler_.follow(snapshot_, events);
  if (next != snapshot_) {
    snapshot_ = std::move(next);
    unpublished_ = true;
  }
  constexpr std::string_view kOperations = "/operations/";
  for (const auto& event : events) {
    if (!event.key.starts_with(kOperations)) continue;
    const auto id = event.key.substr(kOperations.size());
    const auto found = state_.operations.find(id);
    if (found == state_.operations.end()) {
      waiting_.erase(id);
    } else if (ended(found->second)) {
      waiting_.erase(id);
      ended_.push_back(id);
    } else {
      waiting_.try_emplace(id, snapshot_->revision);
    }
  }
  unannounced_.push_back(events);
  if (!busy_) announce();
  if (!events.empty() && events.back().revision.value % (kEventsKept / 4) == 0) {
    const auto keep_from = events.back().revision.value;
    if (keep_from > kEventsKept) {
      if (auto done = store_.compact(Revision(keep_from - kEventsKept)); !done) log::warn("{}", done.error().message());
    }
  }
}

// Only after the store has returned: a callback that changes something itself (a task to stop) would otherwise run on a
// state that its own transaction has not reached yet.
void Controller::announce() {
  if (std::exchange(announcing_, true)) return;
  while (!unannounced_.empty()) {
    if (std::exchange(unpublished_, false) && on_snapshot_) on_snapshot_(snapshot_);
    const auto events = std::move(unannounced_.front());
    unannounced_.pop_front();
    if (on_change_) on_change_(events);
  }
  announcing_ = false;
}

void Controller::acknowledged(Revision revision) {
  if (revision <= acknowledged_) return;
  acknowledged_ = revision;
  if (!busy_) settle();
}

void Controller::settle() {
  // Writing the ends is itself a transaction, whose end comes here again; where it fails that would not stop.
  if (std::exchange(settling_, true)) return;
  std::vector<OperationRecord> done;
  for (const auto& [id, needed] : waiting_) {
    if (needed > acknowledged_) continue;
    auto& operation = done.emplace_back(state_.operations.at(id));
    operation.status = "SUCCESS";
  }
  write_statuses(done);
  settling_ = false;
}

void Controller::fail_unacknowledged(std::chrono::seconds limit) {
  const auto now = std::chrono::duration<double>(clock_.wall().time_since_epoch()).count();
  std::vector<OperationRecord> late;
  for (const auto& [id, needed] : waiting_) {
    const auto& operation = state_.operations.at(id);
    if (now - operation.created < static_cast<double>(limit.count())) continue;
    auto& failed = late.emplace_back(operation);
    failed.status = "FAIL";
    failed.error_code = "INTERNAL_FAILURE";
    failed.error_message = fmt::format(
        "The data path did not take revision {} within {} s (it acts on {}). "
        "\"causeway status\" and \"causeway doctor\" tell why.",
        needed.value, limit.count(), acknowledged_.value);
  }
  write_statuses(late);
}

void Controller::write_statuses(const std::vector<OperationRecord>& operations) {
  if (operations.empty()) return;
  const auto written = change([&](Call& call) -> Result<void> {
    for (auto operation : operations) {
      operation.updated = call.now();
      call.put(operation);
    }
    forget_ended(call);
    return {};
  });
  // They stay in waiting_: the next acknowledgement or transaction tries again.
  if (!written) log::warn("end of {} operations not written: {}", operations.size(), written.error().message());
}

void Controller::forget_ended(Call& call) {
  constexpr std::size_t kAtOnce = 100;  // a store of an earlier version may have many
  for (std::size_t n = 0; n < kAtOnce && ended_.size() > settings_.ended_operations_kept; ++n) {
    const auto found = state_.operations.find(ended_.front());
    if (found != state_.operations.end()) call.erase(found->second);
    ended_.pop_front();
  }
}

}  // namespace causeway::control
