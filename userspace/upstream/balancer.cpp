#include "upstream/balancer.h"

#include <algorithm>
#include <numeric>

namespace causeway::upstream {

namespace {

/// Weights are scaled so that the heaviest endpoint stands in the schedule at most this often: what a weight may be.
constexpr std::uint64_t kMaxTurns = 255;

struct Turn {
  double position = 0;
  const Endpoint* endpoint = nullptr;
};

/// An endpoint with w turns takes the positions (k + phase) / w of a round: evenly spread. The phases differ, so that
/// one endpoint's turns fall between the others'.
std::vector<const Endpoint*> spread(const std::vector<const Endpoint*>& endpoints, std::uint64_t divisor,
                                    std::uint64_t heaviest) {
  std::vector<Turn> turns;
  for (std::size_t i = 0; i < endpoints.size(); ++i) {
    const Endpoint* endpoint = endpoints[i];
    if (endpoint->weight == 0) continue;
    const double phase = (static_cast<double>(i) + 0.5) / static_cast<double>(endpoints.size());
    std::uint64_t count = endpoint->weight / divisor;
    if (heaviest > kMaxTurns) count = std::max<std::uint64_t>(1, count * kMaxTurns / heaviest);
    for (std::uint64_t k = 0; k < count; ++k) {
      turns.push_back({(static_cast<double>(k) + phase) / static_cast<double>(count), endpoint});
    }
  }
  std::stable_sort(turns.begin(), turns.end(), [](const Turn& a, const Turn& b) { return a.position < b.position; });
  std::vector<const Endpoint*> schedule;
  schedule.reserve(turns.size());
  for (const Turn& turn : turns) schedule.push_back(turn.endpoint);
  return schedule;
}

}  // namespace

std::vector<const Endpoint*> candidates(const Service& service) {
  std::vector<const Endpoint*> healthy;
  std::vector<const Endpoint*> unhealthy;
  for (const Endpoint& endpoint : service.endpoints) {
    if (endpoint.health == Health::healthy) healthy.push_back(&endpoint);
    if (endpoint.health == Health::unhealthy) unhealthy.push_back(&endpoint);
  }
  return healthy.empty() ? unhealthy : healthy;
}

void RoundRobin::assign(const std::vector<const Endpoint*>& endpoints) {
  std::uint64_t divisor = 0;
  std::uint64_t heaviest = 0;
  bool equal = true;
  for (const Endpoint* endpoint : endpoints) {
    divisor = std::gcd(divisor, std::uint64_t{endpoint->weight});
    heaviest = std::max(heaviest, std::uint64_t{endpoint->weight});
    equal = equal && endpoint->weight == endpoints.front()->weight;
  }
  const std::size_t old_size = schedule_.size();
  const bool was_weighted = weighted_;
  weighted_ = !equal;
  schedule_ = equal ? endpoints : spread(endpoints, divisor, heaviest / divisor);
  if (schedule_.empty()) {
    next_ = 0;
  } else if (!begun_) {
    next_ = static_cast<std::size_t>(random_.below(schedule_.size()));
    begun_ = true;
  } else if (equal) {
    const auto behind = std::upper_bound(schedule_.begin(), schedule_.end(), last_,
                                         [](EndpointId id, const Endpoint* endpoint) { return id < endpoint->id; });
    next_ = behind == schedule_.end() ? 0 : static_cast<std::size_t>(behind - schedule_.begin());
  } else {
    // With weights the order is not the ids': go on at the same part of the round.
    next_ = was_weighted && old_size > 0 ? next_ * schedule_.size() / old_size : 0;
  }
}

const Endpoint* RoundRobin::pick(std::span<const EndpointId> tried) {
  for (std::size_t looked_at = 0; looked_at < schedule_.size(); ++looked_at) {
    const Endpoint* endpoint = schedule_[next_];
    if (++next_ == schedule_.size()) next_ = 0;
    if (std::find(tried.begin(), tried.end(), endpoint->id) != tried.end()) continue;
    last_ = endpoint->id;
    return endpoint;
  }
  return nullptr;
}

}  // namespace causeway::upstream
