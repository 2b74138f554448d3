#pragma once
// Passive ejection: an endpoint that keeps failing is left out for a while.
#include <chrono>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "model/ids.h"
#include "model/settings.h"

namespace causeway::upstream {

inline constexpr std::chrono::seconds kTrialTimeout{30};  ///< a trial without an outcome is given up after this

/// One worker's view of one service's endpoints; workers tell each other what they decide. Keyed by EndpointId, so it survives changes of the set.
/// An endpoint is ejected by so many consecutive failures (refused, reset, timed out, 502 to 504) within a window as
/// the service's settings say. An ejection's end is a trial: one request at a time goes to the endpoint; success takes
/// it back, failure ejects it for twice as long. At most ejection_percent of the candidates, rounded down, are out at a
/// time, trials counted. Not thread-safe.
class OutlierDetector {
 public:
  OutlierDetector(const Clock& clock, const ServiceSettings& settings) : clock_(clock), settings_(settings) {}

  enum class State : std::uint8_t {
    in,
    out,        ///< ejected
    trial_due,  ///< its time is over: the next request may try it
    on_trial,   ///< a request is trying it
  };

  /// The endpoints that may be chosen now, and the service's settings. Others are forgotten; if more of these are out
  /// than may be, those whose time ends first come back at once.
  void retain(const std::vector<EndpointId>& candidates, const ServiceSettings& settings);

  State state(EndpointId endpoint) const;
  /// An endpoint not in `tried` whose trial is due; id 0: none.
  EndpointId due_trial(std::span<const EndpointId> tried) const;
  /// The next request goes to this endpoint, whose state is trial_due.
  void begin_trial(EndpointId endpoint);

  /// True if this failure ejected the endpoint (count it).
  bool on_failure(EndpointId endpoint);
  /// True if it took the endpoint back.
  bool on_success(EndpointId endpoint);
  /// Another worker ejected it, so many times in a row; true if it is out by that.
  bool follow_ejection(EndpointId endpoint, std::uint32_t ejections);
  /// Another worker took it back; true if this one does by that.
  bool follow_return(EndpointId endpoint);
  /// A request ended without telling anything about the endpoint (its client left): a trial becomes due again.
  void on_abandoned(EndpointId endpoint);

  std::size_t ejected() const { return ejected_; }
  /// How often in a row it was ejected.
  std::uint32_t ejections(EndpointId endpoint) const;

 private:
  enum class Phase : std::uint8_t { in, out, on_trial };
  struct Record {
    std::vector<SteadyTime> failures;  ///< ring of the last ejection_failures consecutive ones
    std::size_t failure_count = 0;
    std::uint32_t ejections = 0;  ///< in a row, for doubling
    Phase phase = Phase::in;
    SteadyTime
        until{};  ///< out: when the trial is due; on_trial: when it is given up; in: when `ejections` is forgotten
  };
  std::size_t may_be_out() const;
  void eject(Record& record, SteadyTime now);
  void restore(Record& record, SteadyTime now);

  const Clock& clock_;
  ServiceSettings settings_;
  std::unordered_map<EndpointId, Record> records_;  ///< only endpoints that failed
  std::vector<EndpointId> candidates_;              ///< sorted
  std::size_t ejected_ = 0;                         ///< records not in phase `in`
};

}  // namespace causeway::upstream
