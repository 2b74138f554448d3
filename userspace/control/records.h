#pragma once
// What the store keeps, one record a key, as JSON. Field names follow the AWS APIs.
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/ip.h"
#include "base/result.h"
#include "model/ids.h"

namespace causeway::control {

namespace json = boost::json;
using Tags = std::map<std::string, std::string>;
using Seconds = double;  ///< since the epoch, as the AWS JSON protocols write times

/// key: /namespaces/ID
struct NamespaceRecord {
  std::string id;    ///< "ns-" and 16 characters
  std::string arn;
  std::string name;
  bool dns = false;  ///< DNS_PRIVATE, otherwise HTTP
  std::string vpc;
  std::string description;
  std::string creator_request_id;
  std::uint32_t soa_ttl = 15;
  Seconds created = 0;
  Tags tags;
  NamespaceNumber number;
};

struct DnsRecordSpec {
  std::string type;  ///< A, AAAA, SRV, CNAME
  std::uint32_t ttl = 0;
};

/// A Cloud Map service; a Service Connect discovery name is one too. key: /services/ID
struct ServiceRecord {
  std::string id;  ///< "srv-" and 16 characters
  std::string arn;
  std::string name;
  std::string namespace_id;
  std::string description;
  std::string creator_request_id;
  std::string routing_policy;  ///< MULTIVALUE, WEIGHTED or ""
  std::vector<DnsRecordSpec> dns_records;
  std::optional<std::uint32_t> custom_health_failure_threshold;  ///< HealthCheckCustomConfig
  json::object health_check_config;                              ///< HealthCheckConfig as given, empty without
  std::map<std::string, std::string> attributes;                 ///< service attributes, "causeway:KEY" among them
  std::uint64_t instances_revision = 1;
  bool service_connect = false;  ///< made by an ECS service's serviceConnectConfiguration
  Seconds created = 0;
  Tags tags;
  ServiceId number;
};

/// key: /instances/SERVICE_ID/INSTANCE_ID
struct InstanceRecord {
  std::string service_id;
  std::string id;
  std::map<std::string, std::string> attributes;
  std::string creator_request_id;
  bool custom_healthy = true;  ///< AWS_INIT_HEALTH_STATUS, then the custom health status
  std::string task_id;         ///< of the task that registered it; empty: register-instance
  bool listening = true;       ///< a task's: its port listens
  bool draining = false;       ///< deregistered, in its drain time
  EndpointId number;
};

/// key: /operations/ID
struct OperationRecord {
  std::string id;
  std::string type;    ///< CREATE_NAMESPACE, DELETE_NAMESPACE, UPDATE_SERVICE, REGISTER_INSTANCE, DEREGISTER_INSTANCE
  std::string status;  ///< SUBMITTED, PENDING, SUCCESS, FAIL
  std::string error_code;
  std::string error_message;
  std::map<std::string, std::string> targets;  ///< NAMESPACE, SERVICE, INSTANCE -> id
  Seconds created = 0;
  Seconds updated = 0;
};

/// key: /ecs/clusters/NAME
struct ClusterRecord {
  std::string name;
  std::string arn;
  std::string status;                     ///< ACTIVE, INACTIVE
  std::string service_connect_namespace;  ///< namespace ARN of serviceConnectDefaults, or ""
  json::array settings;
  json::array tags;
};

/// key: /ecs/task-definitions/FAMILY/REVISION (10 digits, so that keys sort)
struct TaskDefinitionRecord {
  std::string arn;
  std::string family;
  std::uint32_t revision = 0;
  std::string status;  ///< ACTIVE, INACTIVE
  json::object document;  ///< as DescribeTaskDefinition answers it, generated port names filled in
  json::array tags;
};

/// key: /ecs/services/CLUSTER/NAME
struct EcsServiceRecord {
  std::string name;
  std::string arn;
  std::string cluster;            ///< name
  std::string status;             ///< ACTIVE, DRAINING, INACTIVE
  std::string task_definition;    ///< ARN
  std::uint32_t desired_count = 0;
  json::array service_registries;
  json::object service_connect;   ///< serviceConnectConfiguration as given; empty without
  std::string service_connect_namespace;  ///< namespace id it resolved to; "" without Service Connect
  json::array service_connect_resources;  ///< [{discoveryName, discoveryArn}]
  std::string deployment_id;
  Seconds created = 0;
  Seconds deployment_created = 0;
  Seconds deleted = 0;            ///< DeleteService was called; 0: it was not
  json::object document;          ///< the other fields of CreateService, answered back as given
  ClientId number;
};

/// An alias name's addresses, given once and kept while an alias of that name lives. key: /vips/NAMESPACE_ID/NAME
struct VipRecord {
  std::string namespace_id;
  std::string name;
  std::uint32_t index = 0;  ///< the address is alias_v4.at(index) and alias_v6.at(index)
};

/// key: /ecs/tasks/CLUSTER/ID
struct TaskRecord {
  std::string id;   ///< 32 hex digits
  std::string arn;
  std::string cluster;
  std::string service;  ///< ECS service's name
  std::string task_definition;  ///< ARN
  std::string last_status;     ///< PENDING, RUNNING, DEACTIVATING, STOPPING, STOPPED
  std::string desired_status;  ///< RUNNING, STOPPED
  std::string stop_code;
  std::string stopped_reason;
  std::string cgroup;           ///< its directory's name under the tasks' cgroup
  std::uint64_t cgroup_id = 0;  ///< the inode of that directory
  int pid = 0;                  ///< of the program started
  std::optional<int> exit_code;
  IpAddress address;            ///< 127.254.x.y
  std::vector<std::uint16_t> ports;
  std::vector<std::uint16_t> listening_ports;  ///< of `ports`: those that listen
  std::uint32_t stop_timeout_seconds = 30;
  Seconds created = 0, started = 0, stopping = 0, stopped = 0;
};

// Each record: `std::string key_of(const R&)`, `json::value to_json(const R&)`, `Result<R> R_from_json`: see records.cpp.
// Unknown JSON members are ignored (a newer agent wrote them).
#define CAUSEWAY_RECORD(R)            \
  std::string key_of(const R& r);     \
  std::string encode(const R& r);     \
  Result<void> decode(std::string_view text, R& out);
CAUSEWAY_RECORD(NamespaceRecord)
CAUSEWAY_RECORD(ServiceRecord)
CAUSEWAY_RECORD(InstanceRecord)
CAUSEWAY_RECORD(OperationRecord)
CAUSEWAY_RECORD(ClusterRecord)
CAUSEWAY_RECORD(TaskDefinitionRecord)
CAUSEWAY_RECORD(EcsServiceRecord)
CAUSEWAY_RECORD(VipRecord)
CAUSEWAY_RECORD(TaskRecord)
#undef CAUSEWAY_RECORD

}  // namespace causeway::control
