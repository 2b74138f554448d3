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

/// Whether `names` has all names of `base`; without a look at what both have in common.
bool has_names_of(const Snapshot& names, const Snapshot& base) {
  if (!names.alias_names.same_as(base.alias_names)) return false;
  bool all = true;
  using Ptr = std::shared_ptr<const CloudMapName>;
  for_each_difference(
      names.cloud_map_names, base.cloud_map_names,
      [&all](const std::string&, const Ptr* has, const Ptr* /*wanted*/) { all = all && has != nullptr; });
  return all;
}

}  // namespace

SnapshotPtr restrict_names(const SnapshotPtr& base, const SnapshotPtr& allowed) {
  if (base == allowed || (allowed && has_names_of(*allowed, *base))) return base;
  const auto keys = allowed ? alias_keys(*allowed) : std::set<NameKey>{};
  const auto refused_alias = [&](const AliasName& a) { return !keys.contains({a.name, a.namespace_number}); };
  std::vector<std::string> refused_names;
  for (const auto& [name, _] : base->cloud_map_names) {
    if (!allowed || !allowed->cloud_map_names.contains(name)) refused_names.push_back(name);
  }
  const bool refuses_aliases = std::any_of(base->alias_names.begin(), base->alias_names.end(), refused_alias);
  if (!refuses_aliases && refused_names.empty()) return base;
  auto restricted = std::make_shared<Snapshot>(*base);
  if (refuses_aliases) {
    restricted->alias_names.change([&](std::vector<AliasName>& names) { std::erase_if(names, refused_alias); });
  }
  for (const auto& name : refused_names) restricted->cloud_map_names.erase(name);
  return restricted;
}

void DataPath::publish(SnapshotPtr next) {
  named_ = restrict_names(next, named_);
  sinks_.dns->publish(named_);
  // A proxy that is away gets the newest alone when it is back. The kernel goes on without it meanwhile: it fails open
  // to endpoints, which must be the present ones.
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
