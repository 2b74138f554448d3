#pragma once
// A host whose service 10 of namespace 1 takes the kernel path.
#include <memory>
#include <string>
#include <vector>

#include "host.h"

namespace causeway::test {

inline constexpr const char* kAlias = "127.255.0.10:80";  ///< of service 10

class PathHost : public Host {
 protected:
  void SetUp() override;
  /// Gives service 10 these endpoints, healthy and numbered from 1000 in that order, and settings_.
  void serve(const std::vector<std::string>& endpoints);
  /// A service 10 as serve() would publish it.
  std::shared_ptr<Service> service_of(const std::vector<std::string>& endpoints) const;
  void serve_service(std::shared_ptr<const Service> made);
  /// What the programs counted of service 10 and one client.
  cw_counters counted(ClientId client = kHostClient) const;
  /// Another agent takes over, as after a crash; it has published nothing yet.
  void restart();

  ServiceSettings settings_;
};

}  // namespace causeway::test
