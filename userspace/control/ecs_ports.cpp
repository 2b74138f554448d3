#include "control/ecs_ports.h"

#include <algorithm>
#include <set>

#include <fmt/core.h>

#include "control/ecs_find.h"

namespace causeway::control {
namespace {

constexpr std::size_t kNameLimit = 64;

/// AWS's form of a name that was left out; a long container name is cut so that the rule for port names holds.
std::string generated_name(std::string_view container, std::int64_t port, std::string_view protocol) {
  const auto tail = fmt::format("-{}-{}", port, protocol);
  auto name = lower_case(container.substr(0, kNameLimit - tail.size())) + tail;
  if (name.front() == '-') name.front() = '_';
  return name;
}

Checked<> complete(json::object& mapping, const std::string& container) {
  const auto where = fmt::format("a port mapping of container \"{}\"", container);
  if (has(mapping, "containerPortRange")) {
    return client_exception(
        fmt::format("{} has a containerPortRange, which is not supported; list each containerPort", where));
  }
  const auto port = integer_of(mapping, "containerPort");
  if (port == 0) return client_exception(fmt::format("{} has no containerPort; give one from 1 to 65535", where));
  if (!has(mapping, "protocol")) mapping["protocol"] = "tcp";
  const auto protocol = text_of(mapping, "protocol");
  if (protocol == "udp" && has(mapping, "appProtocol")) {
    return client_exception(fmt::format("{} has appProtocol {} on UDP; leave it out, or use protocol tcp", where,
                                        text_of(mapping, "appProtocol")));
  }
  if (!has(mapping, "hostPort")) mapping["hostPort"] = port;
  if (!has(mapping, "name")) mapping["name"] = generated_name(container, port, protocol);
  const auto name = text_of(mapping, "name");
  if (is_port_name(name)) return {};
  return client_exception(
      fmt::format("port mapping name \"{}\" of container \"{}\" is not valid: up to {} of a-z, 0-9, "
                  "\"_\" and \"-\", not beginning with \"-\"",
                  name, container, kNameLimit));
}

}  // namespace

std::vector<PortMapping> port_mappings(const TaskDefinitionRecord& definition) {
  std::vector<PortMapping> all;
  for (const auto& value : list_of(definition.document, "containerDefinitions")) {
    const auto* container = value.if_object();
    if (container == nullptr) continue;
    for (const auto& entry : list_of(*container, "portMappings")) {
      const auto* mapping = entry.if_object();
      if (mapping == nullptr) continue;
      all.push_back({text_of(*mapping, "name"), text_of(*container, "name"),
                     static_cast<std::uint16_t>(integer_of(*mapping, "containerPort")),
                     text_of(*mapping, "protocol") == "udp", text_of(*mapping, "appProtocol")});
    }
  }
  return all;
}

const PortMapping* find_port(const std::vector<PortMapping>& ports, std::string_view name) {
  const auto found =
      std::find_if(ports.begin(), ports.end(), [&](const PortMapping& port) { return port.name == name; });
  return found == ports.end() ? nullptr : &*found;
}

Checked<> complete_port_mappings(json::array& containers) {
  std::set<std::string> names;
  std::set<std::string> taken;
  for (auto& value : containers) {
    auto& container = value.as_object();
    const auto container_name = text_of(container, "name");
    auto& mappings = container["portMappings"];
    if (!mappings.is_array()) mappings.emplace_array();
    for (auto& entry : mappings.get_array()) {
      auto& mapping = entry.as_object();
      if (auto done = complete(mapping, container_name); !done) return done.error();
      const auto name = text_of(mapping, "name");
      if (!names.insert(name).second) {
        return client_exception(
            fmt::format("port mapping name \"{}\" is used twice in this task definition; give each "
                        "port mapping a name of its own",
                        name));
      }
      const auto port = fmt::format("{}/{}", integer_of(mapping, "containerPort"), text_of(mapping, "protocol"));
      if (!taken.insert(port).second) {
        return client_exception(
            fmt::format("containerPort {} is mapped twice in this task definition; a task has one "
                        "address, so each port and protocol can be mapped once",
                        port));
      }
    }
  }
  return {};
}

}  // namespace causeway::control
