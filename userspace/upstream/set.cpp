#include "upstream/set.h"

#include <algorithm>

namespace causeway::upstream {

UpstreamSet::UpstreamSet(std::shared_ptr<const Service> service, const Clock& clock, Random& random)
    : service_(std::move(service)), outliers_(clock, service_->settings), turn_(random), budget_(clock) {
  refresh_candidates();
}

void UpstreamSet::update(std::shared_ptr<const Service> service) {
  if (service == service_) return;
  service_ = std::move(service);
  refresh_candidates();
}

void UpstreamSet::refresh_candidates() {
  candidates_ = candidates(*service_);
  std::vector<EndpointId> ids;
  ids.reserve(candidates_.size());
  for (const Endpoint* endpoint : candidates_) ids.push_back(endpoint->id);
  outliers_.retain(ids, service_->settings);
  // turn_ points into the service before, which may be gone: pick() renews it before it looks.
  stale_ = true;
}

void UpstreamSet::refresh_turn() {
  stale_ = false;
  if (outliers_.ejected() == 0) return turn_.assign(candidates_);
  std::vector<const Endpoint*> in;
  for (const Endpoint* endpoint : candidates_) {
    if (!ejected(endpoint->id)) in.push_back(endpoint);
  }
  turn_.assign(in);
}

const Endpoint* UpstreamSet::pick(std::span<const EndpointId> tried) {
  if (stale_) refresh_turn();
  if (const EndpointId due = outliers_.due_trial(tried); due != EndpointId{}) {
    outliers_.begin_trial(due);
    return find(due);
  }
  if (const Endpoint* endpoint = turn_.pick(tried); endpoint != nullptr) return endpoint;
  if (outliers_.ejected() == 0) return nullptr;
  for (const Endpoint* endpoint : candidates_) {
    if (std::find(tried.begin(), tried.end(), endpoint->id) == tried.end()) return endpoint;
  }
  return nullptr;
}

bool UpstreamSet::has_another(std::span<const EndpointId> tried, EndpointId but) const {
  return std::any_of(candidates_.begin(), candidates_.end(), [&](const Endpoint* endpoint) {
    return endpoint->id != but && std::find(tried.begin(), tried.end(), endpoint->id) == tried.end();
  });
}

bool UpstreamSet::report_failure(EndpointId endpoint) {
  const bool ejected_now = outliers_.on_failure(endpoint);
  stale_ = stale_ || ejected_now;
  return ejected_now;
}

bool UpstreamSet::report_success(EndpointId endpoint) {
  const bool came_back = outliers_.on_success(endpoint);
  stale_ = stale_ || came_back;
  return came_back;
}

bool UpstreamSet::follow_ejection(EndpointId endpoint, std::uint32_t ejections) {
  const bool follows = outliers_.follow_ejection(endpoint, ejections);
  stale_ = stale_ || follows;
  return follows;
}

bool UpstreamSet::follow_return(EndpointId endpoint) {
  const bool follows = outliers_.follow_return(endpoint);
  stale_ = stale_ || follows;
  return follows;
}

void UpstreamSet::report_abandoned(EndpointId endpoint) {
  outliers_.on_abandoned(endpoint);
}

bool UpstreamSet::may_reuse(EndpointId endpoint) const {
  const Endpoint* found = find(endpoint);
  if (found == nullptr || found->health == Health::starting || found->health == Health::draining) return false;
  const OutlierDetector::State state = outliers_.state(endpoint);
  return state == OutlierDetector::State::in || state == OutlierDetector::State::on_trial;
}

const Endpoint* UpstreamSet::find(EndpointId endpoint) const {
  const auto& all = service_->endpoints;
  const auto found =
      std::lower_bound(all.begin(), all.end(), endpoint, [](const Endpoint& e, EndpointId id) { return e.id < id; });
  return found != all.end() && found->id == endpoint ? &*found : nullptr;
}

bool UpstreamSet::ejected(EndpointId endpoint) const {
  return outliers_.state(endpoint) != OutlierDetector::State::in;
}

}  // namespace causeway::upstream
