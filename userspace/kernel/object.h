#pragma once
// The BPF object: configured, loaded with the maps that an earlier agent pinned, and taken apart into descriptors.
// libbpf's view of it (ELF, BTF) is freed again: it would stay the agent's largest allocation.
#include <cstdint>
#include <string>
#include <vector>

#include <linux/bpf.h>

#include "base/fd.h"
#include "base/result.h"
#include "causeway/abi/config.h"
#include "causeway/abi/connection.h"
#include "causeway/abi/counters.h"
#include "causeway/abi/heartbeat.h"
#include "causeway/abi/maps.h"
#include "kernel/map.h"
#include "kernel/sizes.h"

namespace causeway::kernel {

/// A program and where it is to be attached.
struct Program {
  std::string name;
  bpf_attach_type attach_type{};
  bool agent_only = false;  ///< to the agent's own cgroup
  Fd fd;
};

struct Maps {
  Map<cw_alias_key, cw_alias> aliases;
  Map<std::uint64_t, cw_workload> workloads;
  Map<cw_workload_port_key, std::uint32_t> workload_ports;
  Map<std::uint32_t, cw_service> services;
  Map<std::uint32_t, cw_service_state> service_states;
  Map<cw_endpoint_key, cw_endpoint> endpoints;
  Map<cw_lookup_key, cw_lookup> lookups;
  Map<std::uint32_t, cw_endpoint_state> endpoint_states;
  Map<std::uint32_t, cw_leaving> leaving;
  RawMap connections;  ///< in the sockets' storage
  Map<std::uint64_t, cw_connection> connections_by_cookie;
  PerCpuMap<cw_counters_key, cw_counters> path_counters;
  Map<cw_socket_address, cw_udp_peer> dns_peers;
  Map<std::uint32_t, cw_heartbeat> heartbeat;
  RawMap events;
};

struct Object {
  std::vector<Program> programs;  ///< in the order to attach: nothing is rewritten before its hand-over works
  Maps maps;
  Fd end_connections;  ///< a TCP iterator; empty where the kernel has no bpf_sock_destroy
  Fd forget_ejection;
  std::vector<std::string> replaced;  ///< pinned maps that did not fit and were made anew
  /// Pinned maps of another size than asked for, which stay: an empty one would cut off what is served.
  std::vector<std::string> kept_sizes;
};

/// Loads the programs and pins their maps under `pin_root` (its directories exist), taking over those that fit.
/// The error carries the verifier's or libbpf's last words.
Result<Object> load_object(const cw_config& config, const MapSizes& sizes, const std::string& pin_root,
                           bool has_sock_destroy = false);

}  // namespace causeway::kernel
