#include "kernel/host_addresses.h"

#include <cstring>
#include <memory>
#include <optional>

#include <ifaddrs.h>
#include <netinet/in.h>

namespace causeway::kernel {

void HostAddresses::read() {
  ifaddrs* first = nullptr;
  if (::getifaddrs(&first) != 0) return;
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(first, &::freeifaddrs);
  addresses_.clear();
  for (const ifaddrs* each = first; each != nullptr; each = each->ifa_next) {
    if (each->ifa_addr == nullptr) continue;
    const int family = each->ifa_addr->sa_family;
    if (family != AF_INET && family != AF_INET6) continue;
    sockaddr_storage storage{};
    std::memcpy(&storage, each->ifa_addr, family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
    if (const auto address = SocketAddress::from(storage)) addresses_.insert(address->ip);
  }
}

bool HostAddresses::contains(const IpAddress& ip) const {
  return ip.is_loopback() || addresses_.contains(ip);
}

}  // namespace causeway::kernel
