#include "agent/data_path.h"

#include <algorithm>
#include <set>
#include <tuple>

namespace causeway::agent {
namespace {

using NameKey = std::tuple<std::string_view, NamespaceNumber>;

std::set<NameKey> alias_keys(const Snapshot& snapshot) {
  std::set<NameKey> keys;
  for (const auto& alias : snapshot.alias_names) keys.emplace(alias.name, alias.namespace_number);
  return keys;
}

}  // namespace

SnapshotPtr restrict_names(const SnapshotPtr& base, const SnapshotPtr& allowed) {
  if (base == allowed) return base;
  const auto keys = allowed ? alias_keys(*allowed) : std::set<NameKey>{};
  const auto refused_alias = [&](const AliasName& a) { return !keys.contains({a.name, a.namespace_number}); };
  const auto refused_name = [&](const auto& entry) { return !allowed || !allowed->cloud_map_names.contains(entry.first); };
  if (std::none_of(base->alias_names.begin(), base->alias_names.end(), refused_alias) &&
      std::none_of(base->cloud_map_names.begin(), base->cloud_map_names.end(), refused_name)) {
    return base;
  }
  auto restricted = std::make_shared<Snapshot>(*base);
  std::erase_if(restricted->alias_names, refused_alias);
  std::erase_if(restricted->cloud_map_names, refused_name);
  return restricted;
}

void DataPath::publish(SnapshotPtr next) {
  named_ = restrict_names(next, named_);
  sinks_.dns->publish(named_);
  // A proxy that is away gets the newest alone when it is back. The kernel goes on without it meanwhile: it fails open to
  // endpoints, which must be the present ones.
  const bool alive = sinks_.proxy_alive();
  if (!alive) in_flight_.clear();
  in_flight_.push_back(next);
  sinks_.proxy(next);
  if (!alive) advance(next);
}

void DataPath::proxy_acknowledged(Revision revision) {
  SnapshotPtr reached;
  while (!in_flight_.empty() && in_flight_.front()->revision <= revision) {
    reached = std::move(in_flight_.front());
    in_flight_.pop_front();
  }
  if (reached) advance(reached);
}

void DataPath::proxy_ended() {
  if (in_flight_.empty()) return;
  const auto newest = in_flight_.back();
  in_flight_.clear();
  in_flight_.push_back(newest);  // the next proxy gets it, and acknowledges it
  advance(newest);
}

void DataPath::when_kernel_acts(Revision revision, std::function<void()> done) {
  if (revision <= sinks_.kernel->acknowledged()) return done();
  kernel_waits_.emplace_back(revision, std::move(done));
}

void DataPath::advance(const SnapshotPtr& snapshot) {
  sinks_.kernel->publish(snapshot);
  for (auto& [revision, done] : std::exchange(kernel_waits_, {})) when_kernel_acts(revision, std::move(done));
  named_ = in_flight_.empty() ? snapshot : restrict_names(snapshot, in_flight_.back());
  sinks_.dns->publish(named_);
  if (sinks_.proxy_alive()) sinks_.reached(snapshot->revision);
}

}  // namespace causeway::agent
