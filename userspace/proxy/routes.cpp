#include "proxy/routes.h"

#include <algorithm>

#include <arpa/inet.h>

namespace causeway::proxy {

Routes::Routes(SnapshotPtr snapshot, upstream::Usages usages, const Routes* before)
    : snapshot_(std::move(snapshot)), usages_(std::move(usages)) {
  if (before != nullptr && before->snapshot_->aliases.same_as(snapshot_->aliases)) {
    by_address_ = before->by_address_;
    return;
  }
  auto index = std::make_shared<Index>();
  index->reserve(snapshot_->aliases.size() * 2);
  for (const Alias& alias : snapshot_->aliases) {
    // "::" is an alias without an address of that family.
    if (alias.vip4 != IpAddress()) index->emplace(SocketAddress{alias.vip4, alias.port}, &alias);
    if (alias.vip6 != IpAddress()) index->emplace(SocketAddress{alias.vip6, alias.port}, &alias);
  }
  by_address_ = std::move(index);
}

const Alias* Routes::find(const SocketAddress& dialled) const {
  const auto it = by_address_->find(dialled);
  return it != by_address_->end() ? it->second : nullptr;
}

const std::shared_ptr<const Service>* Routes::service(ServiceId id) const {
  const auto it = snapshot_->services.find(id);
  return it != snapshot_->services.end() ? &it->second : nullptr;
}

std::shared_ptr<const upstream::Usage> Routes::usage(ServiceId id) const {
  const auto it = usages_.find(id);
  return it != usages_.end() ? it->second : nullptr;
}

SocketAddress dialled_address(const cw_origin& origin) {
  std::array<std::uint8_t, 16> bytes{};
  std::copy(std::begin(origin.dst_addr), std::end(origin.dst_addr), bytes.begin());
  return {IpAddress::v6(bytes), ntohs(origin.dst_port)};
}

}  // namespace causeway::proxy
