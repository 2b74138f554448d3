#pragma once
// The kernel part as the agent sees it: one BPF object loaded, its maps and links pinned, kept in step with snapshots.
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ip.h"
#include "base/result.h"
#include "causeway/abi/counters.h"
#include "causeway/abi/heartbeat.h"
#include "causeway/abi/origin.h"
#include "kernel/sizes.h"
#include "model/snapshot.h"

namespace causeway::kernel {

struct PlaneOptions {
  std::string pin_root = "/sys/fs/bpf/causeway";  ///< bpffs is mounted if its parent is not one
  std::string attach_cgroup;  ///< absolute path of the cgroup v2 directory to attach to: usually the mount's root
  std::string agent_cgroup;   ///< absolute path; its processes are exempt, and get the getsockopt hook
  std::string tasks_cgroup;   ///< absolute path; a task's cgroup is a child of it
  IpPrefix alias_v4;          ///< 127.255.0.0/16
  IpPrefix alias_v6;          ///< 100::/64
  SocketAddress proxy_v4,
      proxy_v6;                  ///< outbound listeners in the agent's network namespace; v6 port 0 where IPv6 is off
  SocketAddress dns_v4, dns_v6;  ///< the agent's DNS (UDP and TCP); port 0: that family's queries are not captured
  bool capture_dns = true;
  MapSizes sizes;               ///< of maps that no earlier agent left
  bool end_by_netlink = false;  ///< connections to endpoints that left, even where a program could end them
};

/// A port of a task began or stopped listening; the receiver checks with is_listening(): events can be lost or late.
struct ListenEvent {
  SocketAddress address;
};

/// An endpoint is left out by the kernel path, or taken back. Events can be lost: is_ejected() tells what is.
struct EjectionEvent {
  ServiceId service;
  EndpointId endpoint;
  bool ejected = false;
  bool by_resets = false;                       ///< reset before any answer; else refused, or not answered
  std::uint32_t ejections = 0;                  ///< in a row
  std::chrono::steady_clock::time_point until;  ///< ejected: when it may be tried; else: when `ejections` is forgotten
};

struct Listeners {
  std::function<void(const ListenEvent&)> on_listen;
  std::function<void(const EjectionEvent&)> on_ejection = {};
};

struct UdpPeer {
  NamespaceNumber namespace_number;
  ClientId client;
  SocketAddress
      resolver;  ///< as dialled; port 0: the agent's DNS itself was dialled (a connection's origin says so too)
};

/// What was counted of one client's connections that went straight to a service's endpoints.
struct PathCounters {
  ServiceId service;  ///< kCountedTogether: of all pairs for which there was no room
  ClientId client;
  cw_counters counted{};  ///< over all CPUs
};
inline constexpr ServiceId kCountedTogether{CW_COUNTED_TOGETHER};

/// Connections to an endpoint that left.
struct EndedConnections {
  EndpointId endpoint;
  std::size_t count = 0;
};

struct Feature {
  std::string name;  ///< "cgroup/connect4", "sk_storage in sockops", ...
  bool available = false;
  std::string enables;  ///< what it turns on, for people
  std::string detail;   ///< the kernel's or verifier's words where it is missing
};

/// Finds the cgroup v2 mount, hybrid mounts too (/proc/self/mountinfo).
Result<std::string> find_cgroup2_mount();
/// Mounts bpffs on /sys/fs/bpf if no bpffs holds `pin_root`.
Result<void> ensure_bpffs(const std::string& pin_root);
/// Probes by loading minimal programs; cached.
const std::vector<Feature>& features();
/// Removes every pin under `pin_root` and detaches the links there; returns what it removed. Safe to call twice.
Result<std::vector<std::string>> detach(const std::string& pin_root);
/// True if a TCP socket of this network namespace listens on exactly this address and port (sock_diag).
Result<bool> is_listening(const SocketAddress& address);

/// Loads, pins and attaches on start(); the destructor leaves all attached (a crash must not cut traffic), stop()
/// removes it. Pins of an earlier agent are taken over: maps are reused, links updated in place.
/// Thread: the control thread, but udp_peer(), path_counters(), active(), is_ejected() and heartbeat(): any.
class Plane final : public SnapshotSink {
 public:
  static Result<std::unique_ptr<Plane>> start(const PlaneOptions& options);
  ~Plane() override;

  void publish(SnapshotPtr snapshot) override;
  Revision acknowledged() const override;
  /// The newest failure to write a map: names the map, its limit and the setting; what was there stays.
  std::optional<Error> last_error() const;

  /// Readable when events wait; then call drain_events().
  int events_fd() const;
  /// True: next_end() may have changed.
  bool drain_events(const Listeners& listeners);

  /// When end_connections() is to be called next; it may change with each publish(), drain_events() and
  /// end_connections().
  std::optional<std::chrono::steady_clock::time_point> next_end() const;
  /// Ends the connections of the kernel path to endpoints that get no new ones (they left, or are unhealthy) once the
  /// service's drain time is over. A walk through the TCP sockets of this network namespace, if there are any to end.
  Result<std::vector<EndedConnections>> end_connections();

  /// Who sent a DNS query from this source address (cgroup_skb/egress published it), if it was captured.
  std::optional<UdpPeer> udp_peer(const SocketAddress& source) const;

  /// Of those for which anything was counted.
  std::vector<PathCounters> path_counters() const;
  /// Dials and connections of the kernel path, from connect() to their end.
  std::int64_t active(ServiceId service) const;
  std::int64_t active(EndpointId endpoint) const;
  /// Whether the kernel path leaves the endpoint out.
  bool is_ejected(EndpointId endpoint) const;

  int heartbeat_fd() const;         ///< BPF_F_MMAPABLE array of one cw_heartbeat, for the proxy
  cw_heartbeat* heartbeat() const;  ///< this process's mapping

  /// Dials a canary alias from a child cgroup: true if the kernel took it to a listener of ours.
  Result<bool> verify_interception();

  /// First half of stop(): detaches the hooks that take new dials (connect, sendmsg, bind), so that nothing new reaches
  /// the proxy while it drains; hand-over and getpeername go on for the connections that are there.
  Result<void> stop_capture();
  Result<void> stop();

 private:
  struct State;
  explicit Plane(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace causeway::kernel
