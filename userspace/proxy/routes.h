#pragma once
#include <memory>
#include <unordered_map>

#include "causeway/abi/origin.h"
#include "model/snapshot.h"
#include "upstream/usage.h"

namespace causeway::proxy {

/// A snapshot with its aliases indexed by the address that is dialled. Immutable, shared by all workers.
class Routes {
 public:
  using Usages = std::unordered_map<ServiceId, std::shared_ptr<const upstream::Usage>>;
  /// `usages`: of every service of the snapshot.
  Routes(SnapshotPtr snapshot, Usages usages);

  /// The alias dialled, or nullptr: no alias of this snapshot has that address and port. The kernel checked already
  /// that the client's namespace may see it.
  const Alias* find(const SocketAddress& dialled) const;
  const std::shared_ptr<const Service>* service(ServiceId id) const;
  std::shared_ptr<const upstream::Usage> usage(ServiceId id) const;
  Revision revision() const { return snapshot_->revision; }
  const Snapshot& snapshot() const { return *snapshot_; }

 private:
  SnapshotPtr snapshot_;
  Usages usages_;
  std::unordered_map<SocketAddress, const Alias*> by_address_;
};

using RoutesPtr = std::shared_ptr<const Routes>;

SocketAddress dialled_address(const cw_origin& origin);

}  // namespace causeway::proxy
