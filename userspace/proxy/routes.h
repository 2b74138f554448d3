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
  /// `usages`: of every service of the snapshot. `before`: what may be shared with, or null.
  Routes(SnapshotPtr snapshot, upstream::Usages usages, const Routes* before = nullptr);

  /// The alias dialled, or nullptr: no alias of this snapshot has that address and port. The kernel checked already
  /// that the client's namespace may see it.
  const Alias* find(const SocketAddress& dialled) const;
  const std::shared_ptr<const Service>* service(ServiceId id) const;
  std::shared_ptr<const upstream::Usage> usage(ServiceId id) const;
  Revision revision() const { return snapshot_->revision; }
  const Snapshot& snapshot() const { return *snapshot_; }

 private:
  using Index = std::unordered_map<SocketAddress, const Alias*>;

  SnapshotPtr snapshot_;
  upstream::Usages usages_;
  std::shared_ptr<const Index> by_address_;  ///< into the snapshot's aliases
};

using RoutesPtr = std::shared_ptr<const Routes>;

SocketAddress dialled_address(const cw_origin& origin);

}  // namespace causeway::proxy
