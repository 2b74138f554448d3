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

std::unordered_map<ServiceId, std::shared_ptr<const Usage>> UsageRegistry::follow(const Snapshot& snapshot) {
  std::unordered_map<ServiceId, Entry> next;
  std::unordered_map<ServiceId, std::shared_ptr<const Usage>> out;
  next.reserve(snapshot.services.size());
  out.reserve(snapshot.services.size());
  for (const auto& [id, service] : snapshot.services) {
    const auto found = entries_.find(id);
    Entry entry{service, nullptr};
    if (found == entries_.end()) {
      entry.usage = follow_endpoints({std::make_shared<ServiceUsage>(), {}}, {}, *service);
    } else if (found->second.service == service) {
      entry.usage = found->second.usage;
    } else {
      entry.usage = follow_endpoints(*found->second.usage, *found->second.service, *service);
    }
    out.emplace(id, entry.usage);
    next.emplace(id, std::move(entry));
  }
  entries_ = std::move(next);
  return out;
}

}  // namespace causeway::upstream
