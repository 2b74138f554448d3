#include "upstream/usage.h"

namespace causeway::upstream {

std::shared_ptr<const Usage> follow_endpoints(const Usage& usage, const Service& before, const Service& now) {
  auto out = std::make_shared<Usage>();
  out->service = usage.service;
  out->endpoints.reserve(now.endpoints.size());
  // Both are ordered by id.
  std::size_t old = 0;
  for (const Endpoint& endpoint : now.endpoints) {
    while (old < before.endpoints.size() && before.endpoints[old].id < endpoint.id) ++old;
    const bool stays = old < before.endpoints.size() && before.endpoints[old].id == endpoint.id;
    out->endpoints.push_back(stays ? usage.endpoints[old] : std::make_shared<EndpointUsage>());
  }
  return out;
}

Usages UsageRegistry::follow(const Snapshot& snapshot) {
  using Ptr = std::shared_ptr<const Service>;
  for_each_difference(services_, snapshot.services, [this](ServiceId id, const Ptr* was, const Ptr* is) {
    if (is == nullptr) {
      usages_.erase(id);
    } else if (was == nullptr) {
      usages_.set(id, follow_endpoints({std::make_shared<ServiceUsage>(), {}}, {}, **is));
    } else {
      usages_.set(id, follow_endpoints(*usages_.at(id), **was, **is));
    }
  });
  services_ = snapshot.services;
  return usages_;
}

}  // namespace causeway::upstream
