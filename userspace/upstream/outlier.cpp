#include "upstream/outlier.h"

#include <algorithm>

namespace causeway::upstream {

std::size_t OutlierDetector::may_be_out() const {
  return settings_.ejection ? candidates_.size() * settings_.ejection_percent / 100 : 0;
}

void OutlierDetector::retain(const std::vector<EndpointId>& candidates, const ServiceSettings& settings) {
  if (settings.ejection_failures != settings_.ejection_failures) {
    for (auto& [endpoint, record] : records_) record.failures.clear();
  }
  settings_ = settings;
  candidates_ = candidates;
  std::sort(candidates_.begin(), candidates_.end());
  std::erase_if(records_, [this](const auto& entry) {
    if (std::binary_search(candidates_.begin(), candidates_.end(), entry.first)) return false;
    if (entry.second.phase != Phase::in) --ejected_;
    return true;
  });
  while (ejected_ > may_be_out()) {
    Record* first = nullptr;
    for (auto& [endpoint, record] : records_) {
      if (record.phase != Phase::in && (first == nullptr || record.until < first->until)) first = &record;
    }
    restore(*first, clock_.steady());
  }
}

OutlierDetector::State OutlierDetector::state(EndpointId endpoint) const {
  const auto found = records_.find(endpoint);
  if (found == records_.end() || found->second.phase == Phase::in) return State::in;
  if (clock_.steady() >= found->second.until) return State::trial_due;
  return found->second.phase == Phase::out ? State::out : State::on_trial;
}

EndpointId OutlierDetector::due_trial(std::span<const EndpointId> tried) const {
  if (ejected_ == 0) return {};
  const SteadyTime now = clock_.steady();
  for (const auto& [endpoint, record] : records_) {
    if (record.phase == Phase::in || now < record.until) continue;
    if (std::find(tried.begin(), tried.end(), endpoint) == tried.end()) return endpoint;
  }
  return {};
}

void OutlierDetector::begin_trial(EndpointId endpoint) {
  const auto found = records_.find(endpoint);
  if (found == records_.end() || found->second.phase == Phase::in) return;
  found->second.phase = Phase::on_trial;
  found->second.until = clock_.steady() + kTrialTimeout;
}

bool OutlierDetector::on_failure(EndpointId endpoint) {
  // A late report of an endpoint that is gone must not bring its record back.
  if (!std::binary_search(candidates_.begin(), candidates_.end(), endpoint)) return false;
  const SteadyTime now = clock_.steady();
  Record& record = records_[endpoint];
  switch (record.phase) {
    case Phase::out:
      return false;  // begun before it was ejected
    case Phase::on_trial:
      eject(record, now);
      return true;
    case Phase::in:
      break;
  }
  const std::size_t enough = settings_.ejection_failures;
  if (record.failures.size() != enough) {
    record.failures.assign(enough, {});
    record.failure_count = 0;
  }
  record.failures[record.failure_count % enough] = now;
  ++record.failure_count;
  if (record.failure_count < enough) return false;
  const SteadyTime oldest = record.failures[record.failure_count % enough];
  // Without room it stays in, and its next failure asks again.
  if (now - oldest > settings_.ejection_window || ejected_ >= may_be_out()) return false;
  ++ejected_;
  eject(record, now);
  return true;
}

bool OutlierDetector::on_success(EndpointId endpoint) {
  if (records_.empty()) return false;
  const auto found = records_.find(endpoint);
  if (found == records_.end()) return false;
  Record& record = found->second;
  if (record.phase == Phase::out) return false;  // begun before it was ejected
  if (record.phase == Phase::on_trial) {
    restore(record, clock_.steady());
    return true;
  }
  record.failure_count = 0;
  if (record.ejections == 0 || clock_.steady() >= record.until) records_.erase(found);
  return false;
}

bool OutlierDetector::follow_ejection(EndpointId endpoint, std::uint32_t ejections) {
  if (!std::binary_search(candidates_.begin(), candidates_.end(), endpoint)) return false;
  const bool in = state(endpoint) == State::in;
  if (in && ejected_ >= may_be_out()) return false;
  Record& record = records_[endpoint];
  if (!in && record.ejections >= ejections) return false;  // it came to the same by itself
  if (in) ++ejected_;
  record.phase = Phase::out;
  record.ejections = ejections - 1;
  eject(record, clock_.steady());
  return true;
}

bool OutlierDetector::follow_return(EndpointId endpoint) {
  const auto found = records_.find(endpoint);
  if (found == records_.end() || found->second.phase == Phase::in) return false;
  restore(found->second, clock_.steady());
  return true;
}

std::uint32_t OutlierDetector::ejections(EndpointId endpoint) const {
  const auto found = records_.find(endpoint);
  return found != records_.end() ? found->second.ejections : 0;
}

void OutlierDetector::on_abandoned(EndpointId endpoint) {
  const auto found = records_.find(endpoint);
  if (found != records_.end() && found->second.phase == Phase::on_trial) found->second.until = clock_.steady();
}

void OutlierDetector::eject(Record& record, SteadyTime now) {
  if (record.phase == Phase::in && now >= record.until) record.ejections = 0;
  const auto longest = std::max(settings_.ejection_time, settings_.ejection_max_time);
  auto duration = settings_.ejection_time;
  for (std::uint32_t i = 0; i < record.ejections && duration < longest; ++i) duration *= 2;
  ++record.ejections;
  record.phase = Phase::out;
  record.until = now + std::min(duration, longest);
  record.failure_count = 0;
}

void OutlierDetector::restore(Record& record, SteadyTime now) {
  --ejected_;
  record.phase = Phase::in;
  record.failure_count = 0;
  record.until = now + std::max(settings_.ejection_time, settings_.ejection_max_time);
}

}  // namespace causeway::upstream
