#pragma once
// The proxy's listening sockets: opened by the agent, kept open across every restart of the proxy, so that connections
// wait in the accept queue instead of being refused.
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/ip.h"
#include "base/result.h"

namespace causeway::agent {

/// Opens `workers` SO_REUSEPORT listeners on each address; listener i belongs to worker i % workers. An address whose
/// family this host lacks (no IPv6) is left out. EADDRINUSE names the address and listen.proxy_port.
Result<std::vector<Fd>> open_listeners(const std::vector<SocketAddress>& addresses, unsigned workers);

/// A proxy that outlived its agent (kill -9), found in its cgroup.
struct Orphan {
  int pid = 0;
  Fd pidfd;
  std::vector<Fd> listeners;  ///< duplicates of its own (pidfd_getfd, kernel 5.6)
};

/// The processes in `proxy_cgroup` with their listening sockets, in the order of their descriptors.
std::vector<Orphan> find_orphans(const std::string& proxy_cgroup);

/// Those of the orphans' listeners that are on one of `addresses`, each once, and as many new ones as the workers lack:
/// the settings may have changed since. The orphans' lists are empty afterwards.
Result<std::vector<Fd>> take_over_listeners(std::vector<Orphan>& orphans, const std::vector<SocketAddress>& addresses,
                                            unsigned workers);

}  // namespace causeway::agent
