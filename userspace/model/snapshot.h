#pragma once
// What the data path needs to know, immutable once published. Plain data, no I/O.
//
// The control plane compiles one Snapshot a revision and hands `shared_ptr<const Snapshot>` to every sink (proxy feed,
// BPF maps, DNS). What did not change is shared between snapshots: a sink keeps the last one that it followed, and asks
// for the difference, which costs in proportion to what changed.
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/ip.h"
#include "base/shared_map.h"
#include "base/shared_vector.h"
#include "model/ids.h"
#include "model/settings.h"

namespace causeway {

enum class AppProtocol : std::uint8_t {
  detect,  ///< no appProtocol: HTTP is recognised from the first bytes, otherwise TCP
  http,    ///< always HTTP/1, else 400
  http2,
  grpc,
  tcp,
};

enum class Health : std::uint8_t {
  healthy,
  unhealthy,  ///< its own health says so (custom health check)
  starting,   ///< a task whose port does not listen yet
  draining,   ///< deregistered or stopping: no new connection
};

enum class AccessLogFormat : std::uint8_t { off, text, json };

/// Whether and how requests to a service are written to the access log.
struct AccessLogSettings {
  AccessLogFormat format = AccessLogFormat::off;
  bool query = false;  ///< the path with its query parameters, which may hold secrets
  bool operator==(const AccessLogSettings&) const = default;
};

struct Endpoint {
  EndpointId id;
  std::string instance_id;  ///< Cloud Map instance id; for a task its task id
  SocketAddress address;
  std::uint32_t weight = 1;
  Health health = Health::healthy;
  bool operator==(const Endpoint&) const = default;
};

/// A discovery name in a namespace with its endpoints.
struct Service {
  ServiceId id;
  NamespaceNumber namespace_number;
  std::string namespace_name;
  std::string discovery_name;
  AppProtocol protocol = AppProtocol::detect;
  ServiceSettings settings;
  AccessLogSettings access_log;
  std::vector<Endpoint> endpoints;  ///< ordered by id; draining ones stay until they are gone
  bool operator==(const Service&) const = default;
};

/// A virtual address and port that the kernel intercepts, and the service behind it.
struct Alias {
  NamespaceNumber namespace_number;
  std::string name;  ///< dnsName, or discoveryName.namespace where none was given
  IpAddress vip4;
  IpAddress vip6;
  std::uint16_t port = 0;
  ServiceId service;
  bool operator==(const Alias&) const = default;
};

/// One name of an alias as DNS answers it (an alias without dnsName has two). Lower case, no trailing dot.
struct AliasName {
  std::string name;
  NamespaceNumber namespace_number;
  IpAddress vip4;
  IpAddress vip6;
  bool operator==(const AliasName&) const = default;
};

enum class RoutingPolicy : std::uint8_t { multivalue, weighted };
enum class RecordType : std::uint8_t { a, aaaa, srv, cname };

struct CloudMapRecord {
  RecordType type;
  std::uint32_t ttl_seconds;
  bool operator==(const CloudMapRecord&) const = default;
};

struct CloudMapInstance {
  std::string instance_id;
  std::string cname;  ///< AWS_INSTANCE_CNAME, empty without
  IpAddress ipv4;     ///< :: without
  IpAddress ipv6;     ///< :: without
  std::uint16_t port = 0;
  bool healthy = true;
  bool operator==(const CloudMapInstance&) const = default;
};

/// A Cloud Map service of a private DNS namespace: SERVICE.NAMESPACE.
struct CloudMapName {
  std::string name;  ///< "user-service.myapp.local", lower case, no trailing dot
  RoutingPolicy routing = RoutingPolicy::multivalue;
  std::vector<CloudMapRecord> records;
  std::vector<CloudMapInstance> instances;
  bool operator==(const CloudMapName&) const = default;
};

struct NamespaceZone {
  NamespaceNumber number;
  std::string name;  ///< lower case, no trailing dot
  bool dns = false;  ///< a private DNS namespace: names under it are ours (NXDOMAIN, SOA)
  std::uint32_t soa_ttl_seconds = 15;
  bool operator==(const NamespaceZone&) const = default;
};

/// A running task, as the kernel knows it.
struct Workload {
  ClientId client;  ///< the number of its ECS service
  std::string task_id;
  std::string client_name;  ///< the metrics label `client`: the ECS service's name
  std::uint64_t cgroup_id = 0;
  NamespaceNumber namespace_number;  ///< the one namespace whose aliases it sees, or kNoNamespace
  IpAddress address;                 ///< from the task range, 127.254.0.0/16
  std::vector<std::uint16_t> ports;  ///< container ports that bind() and dials of localhost are moved for
  bool operator==(const Workload&) const = default;
};

struct Snapshot {
  Revision revision;
  std::map<NamespaceNumber, NamespaceZone> namespaces;
  SharedMap<ServiceId, std::shared_ptr<const Service>> services;
  SharedVector<Alias> aliases;          ///< ordered by (vip4, port)
  SharedVector<AliasName> alias_names;  ///< ordered by (name, namespace)
  SharedMap<std::string, std::shared_ptr<const CloudMapName>> cloud_map_names;
  SharedMap<std::string, Workload> workloads;  ///< by task id
  SharedMap<ClientId, std::string> clients;    ///< names of the ECS services that may call, for the access log
};

using SnapshotPtr = std::shared_ptr<const Snapshot>;

/// A consumer of snapshots. `publish` is called on the control thread with growing revisions; a sink may skip to the
/// newest. `acknowledged` is the newest revision that its data path acts on; callable from any thread.
class SnapshotSink {
 public:
  virtual ~SnapshotSink() = default;
  virtual void publish(SnapshotPtr snapshot) = 0;
  virtual Revision acknowledged() const = 0;
};

}  // namespace causeway
