#pragma once
#include <unordered_set>

#include "base/ip.h"

namespace causeway::kernel {

/// The addresses of this network namespace's interfaces, as they were when last read.
class HostAddresses {
 public:
  /// getifaddrs(3). Where that fails, what was known stays.
  void read();
  /// Loopback addresses (127.0.0.0/8, ::1), tasks' among them, are always this host's.
  bool contains(const IpAddress& ip) const;

 private:
  std::unordered_set<IpAddress> addresses_;
};

}  // namespace causeway::kernel
