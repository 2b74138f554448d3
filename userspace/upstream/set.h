#pragma once
#include <memory>
#include <span>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "model/snapshot.h"
#include "upstream/balancer.h"
#include "upstream/outlier.h"
#include "upstream/retry.h"

namespace causeway::upstream {

/// What one worker holds of one service: its endpoints, whose turn it is, who is ejected, what may be retried.
/// Not thread-safe.
class UpstreamSet {
 public:
  /// `clock` and `random` outlive it.
  UpstreamSet(std::shared_ptr<const Service> service, const Clock& clock, Random& random);

  /// A newer snapshot's service of the same id. Ejections stay; cheap if the pointer did not change.
  void update(std::shared_ptr<const Service> service);
  const std::shared_ptr<const Service>& service() const { return service_; }

  /// The endpoint for the next attempt, or nullptr: there is none (503; or, with `tried`, none other).
  /// In turn over candidates() that are not ejected; a due trial comes first. If all those were tried in this request,
  /// an ejected one is taken rather than none. The pointer is valid until update(): copy what outlives a suspension.
  /// Each pick ends in one of report_success(), report_failure() and report_abandoned().
  const Endpoint* pick(std::span<const EndpointId> tried = {});

  /// Whether pick() could answer another endpoint than `but` and those.
  bool has_another(std::span<const EndpointId> tried, EndpointId but) const;

  /// True if this failure ejected the endpoint (count it). Call only if counts_against_endpoint().
  bool report_failure(EndpointId endpoint);
  /// A response head other than 502 to 504 came; for plain TCP: connected.
  /// True if this took an ejected endpoint back (count it).
  bool report_success(EndpointId endpoint);
  /// What another worker decided; true if it changes anything here. `ejections`: see there.
  bool follow_ejection(EndpointId endpoint, std::uint32_t ejections);
  bool follow_return(EndpointId endpoint);
  /// Nothing was learned: the client left, or a pooled connection had been closed meanwhile.
  void report_abandoned(EndpointId endpoint);

  /// Whether an existing (pooled) connection to that endpoint may carry another request: it is registered, neither
  /// starting nor draining, and not ejected. An instance registered anew may keep its id and change its address: pools
  /// are keyed by both.
  bool may_reuse(EndpointId endpoint) const;
  /// The endpoint as registered now (also when draining), or nullptr.
  const Endpoint* find(EndpointId endpoint) const;

  bool ejected(EndpointId endpoint) const;
  /// Whether the pick in hand is an ejected endpoint's trial.
  bool on_trial(EndpointId endpoint) const { return outliers_.state(endpoint) == OutlierDetector::State::on_trial; }
  /// How often in a row it was ejected.
  std::uint32_t ejections(EndpointId endpoint) const { return outliers_.ejections(endpoint); }
  std::size_t ejected_count() const { return outliers_.ejected(); }
  RetryBudget& retry_budget() { return budget_; }

 private:
  void refresh_candidates();
  void refresh_turn();

  std::shared_ptr<const Service> service_;
  OutlierDetector outliers_;
  RoundRobin turn_;
  RetryBudget budget_;
  std::vector<const Endpoint*> candidates_;  ///< into *service_, ordered by id
  bool stale_ = true;                        ///< turn_ must be assigned anew
};

}  // namespace causeway::upstream
