#pragma once
// A host for the programs: the test process is the agent, in a network and mount namespace of its own (main.cpp), with
// cgroups made for one test.
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/fd.h"
#include "child.h"
#include "kernel/plane.h"
#include "sockets.h"

namespace causeway::test {

inline constexpr const char* kProxyV4 = "127.0.0.1:15001";
inline constexpr const char* kProxyV6 = "[::1]:15001";
inline constexpr const char* kDnsV4 = "127.0.0.1:15053";
inline constexpr const char* kDnsV6 = "[::1]:15053";

/// The network namespace and bpffs for the whole process; false (said on stderr) without root.
bool prepare_process();
bool bring_loopback_up();

class Host : public testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  kernel::PlaneOptions options() const;
  /// Starts the plane, both listeners of the proxy, and beats for proxy and DNS.
  void start();
  void publish();

  /// A cgroup for a task; the snapshot's workload is added with it.
  std::string task(const std::string& name, NamespaceNumber namespace_number, const std::string& address,
                   std::vector<std::uint16_t> ports);
  std::string make_cgroup(const std::string& path);

  void beat_proxy(bool alive);
  void beat_dns(bool alive);

  std::string root;   ///< everything is attached here
  std::string agent;  ///< this process runs in it
  std::string tasks;
  std::string host;  ///< a cgroup of processes that belong to no task
  std::string pin_root;
  Snapshot snapshot;        ///< what publish() publishes: two namespaces, one alias each, services 10 and 20
  kernel::MapSizes sizes;   ///< of the maps
  bool by_netlink = false;  ///< connections to endpoints that left are ended so
  Fd proxy_v4, proxy_v6;
  std::unique_ptr<kernel::Plane> plane;

 private:
  std::vector<std::string> cgroups_;
};

/// A service of the snapshot with these endpoints, all healthy.
std::shared_ptr<const Service> service(std::uint32_t id, std::uint32_t namespace_number,
                                       const std::vector<std::string>& endpoints);

}  // namespace causeway::test
