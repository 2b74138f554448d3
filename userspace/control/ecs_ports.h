#pragma once
// The port mappings of a task definition.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "control/ecs_check.h"

namespace causeway::control {

struct PortMapping {
  std::string name;
  std::string container;
  std::uint16_t port = 0;
  bool udp = false;
  std::string app_protocol;  ///< http, http2, grpc or ""
};

/// All of them, in the document's order. Names are filled in when a task definition is registered.
std::vector<PortMapping> port_mappings(const TaskDefinitionRecord& definition);
const PortMapping* find_port(const std::vector<PortMapping>& ports, std::string_view name);

/// Checks the containers' port mappings and fills in what was left out: protocol tcp, hostPort, and the name
/// `CONTAINER-PORT-PROTOCOL`. A task is one address, so a port and protocol may be mapped once.
Checked<> complete_port_mappings(json::array& containers);

}  // namespace causeway::control
