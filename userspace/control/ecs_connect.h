#pragma once
// serviceConnectConfiguration: read from a service's record, and checked when it is given.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "control/ecs_check.h"
#include "control/ecs_ports.h"

namespace causeway::control {

/// One entry of services[]: a port that is found under a discovery name, and the alias that clients dial.
struct ConnectEntry {
  PortMapping port;
  std::string discovery_name;
  std::optional<std::uint16_t> alias_port;                   ///< empty: found by discovery only
  std::string dns_name;                                      ///< "" where the alias has none
  std::optional<std::uint32_t> idle_timeout_seconds;         ///< 0 is off
  std::optional<std::uint32_t> per_request_timeout_seconds;  ///< 0 is off
  std::optional<AccessLogSettings> access_log;               ///< of the whole configuration
};

/// An ECS service that takes part in Service Connect.
struct Connected {
  const EcsServiceRecord* service;
  std::vector<ConnectEntry> entries;  ///< empty: client-only
};

const Shape& service_connect_shape();

bool connect_enabled(const EcsServiceRecord& service);
/// The entries whose port is in the task definition; none where Service Connect is off.
std::vector<ConnectEntry> connect_entries(const EcsServiceRecord& service, const TaskDefinitionRecord* definition);

/// The ACTIVE services of every cluster in a namespace ("": in all). `instead` stands for the record of its own key,
/// as it will be after the transaction; it may be null.
std::vector<Connected> connected_services(const State& state, const std::string& namespace_id,
                                          const EcsServiceRecord* instead = nullptr);

/// Each entry by itself: its port, names, alias and timeouts; and discovery names among each other.
Checked<> check_connect_entries(const json::object& configuration, const TaskDefinitionRecord& definition);

}  // namespace causeway::control
