#include "control/ecs_connect.h"

#include <set>

#include <fmt/core.h>

#include "control/aliases.h"
#include "control/ecs_find.h"

namespace causeway::control {
namespace {

constexpr std::int64_t kSecondsLimit = 2147483647;

std::optional<std::uint32_t> seconds(const json::object& timeout, std::string_view name) {
  if (!has(timeout, name)) return std::nullopt;
  return static_cast<std::uint32_t>(integer_of(timeout, name));
}

ConnectEntry read_entry(const json::object& entry, const PortMapping& port) {
  ConnectEntry out;
  out.port = port;
  out.discovery_name = has(entry, "discoveryName") ? text_of(entry, "discoveryName") : port.name;
  if (const auto& aliases = list_of(entry, "clientAliases"); !aliases.empty() && aliases.front().is_object()) {
    const auto& alias = aliases.front().get_object();
    out.alias_port = static_cast<std::uint16_t>(integer_of(alias, "port"));
    out.dns_name = text_of(alias, "dnsName");
  }
  const auto& timeout = object_of(entry, "timeout");
  out.idle_timeout_seconds = seconds(timeout, "idleTimeoutSeconds");
  out.per_request_timeout_seconds = seconds(timeout, "perRequestTimeoutSeconds");
  return out;
}

/// accessLogConfiguration; empty where it is not given.
std::optional<AccessLogSettings> read_access_log(const json::object& configuration) {
  const auto& given = object_of(configuration, "accessLogConfiguration");
  if (!has(given, "format")) return std::nullopt;
  return AccessLogSettings{text_of(given, "format") == "JSON" ? AccessLogFormat::json : AccessLogFormat::text,
                           text_of(given, "includeQueryParameters") == "ENABLED"};
}

std::string names_of(const std::vector<PortMapping>& ports) {
  std::string all;
  for (const auto& port : ports) all += fmt::format("{}\"{}\"", all.empty() ? "" : ", ", port.name);
  return all.empty() ? "none" : all;
}

Checked<> check_alias(const json::object& alias, const PortMapping& port, const std::string& where) {
  if (integer_of(alias, "port") == 0) {
    return invalid_parameter(
        fmt::format("{}: clientAliases.port 0 cannot be dialled; give one from 1 to 65535", where));
  }
  if (has(alias, "testTrafficRules")) {
    return unsupported_feature(
        fmt::format("{}: testTrafficRules belong to blue/green deployments, which are not "
                    "supported; leave them out",
                    where));
  }
  if (port.udp) {
    return unsupported_feature(
        fmt::format("{}: port \"{}\" is UDP, and an alias takes TCP connections only; leave "
                    "clientAliases out (the port can still be discovered)",
                    where, port.name));
  }
  if (!has(alias, "dnsName")) return {};
  if (const auto why = unusable_dns_name(text_of(alias, "dnsName")); !why.empty()) {
    return invalid_parameter(fmt::format("{}: dnsName \"{}\" {}", where, text_of(alias, "dnsName"), why));
  }
  return {};
}

Checked<> check_entry(const json::object& entry, const std::vector<PortMapping>& ports,
                      const TaskDefinitionRecord& definition, std::set<std::string>& discovery_names) {
  const auto port_name = text_of(entry, "portName");
  const auto where = fmt::format("serviceConnectConfiguration, portName \"{}\"", port_name);
  const auto* port = find_port(ports, port_name);
  if (port == nullptr) {
    return invalid_parameter(
        fmt::format("{}: task definition {}:{} has no port mapping of that name (it has {}); name one "
                    "of these, or register a revision that has it",
                    where, definition.family, definition.revision, names_of(ports)));
  }
  const auto name = has(entry, "discoveryName") ? text_of(entry, "discoveryName") : port_name;
  if (!is_port_name(name)) {
    return invalid_parameter(
        fmt::format("{}: discoveryName \"{}\" is not valid: up to 64 of a-z, 0-9, \"_\" and \"-\", not "
                    "beginning with \"-\"",
                    where, name));
  }
  if (!discovery_names.insert(name).second) {
    return invalid_parameter(
        fmt::format("{}: discovery name \"{}\" is used twice in this service; give each entry a "
                    "discoveryName of its own",
                    where, name));
  }
  if (has(entry, "tls")) {
    return unsupported_feature(fmt::format("{}: tls is not supported; leave it out", where));
  }
  if (port->udp && has(object_of(entry, "timeout"), "perRequestTimeoutSeconds")) {
    return invalid_parameter(
        fmt::format("{}: perRequestTimeoutSeconds needs requests, and the port is UDP; leave it out", where));
  }
  const auto& aliases = list_of(entry, "clientAliases");
  if (aliases.size() > 1) {
    return invalid_parameter(
        fmt::format("{}: {} clientAliases; one is allowed an entry, as at AWS", where, aliases.size()));
  }
  return aliases.empty() ? Checked<>() : check_alias(aliases.front().as_object(), *port, where);
}

}  // namespace

const Shape& service_connect_shape() {
  static const Shape alias{integer("port", 0, 65535).required(), text("dnsName", 127), any_object("testTrafficRules")};
  static const Shape timeout{integer("idleTimeoutSeconds", 0, kSecondsLimit),
                             integer("perRequestTimeoutSeconds", 0, kSecondsLimit)};
  static const Shape entry{text("portName").required(),     text("discoveryName"),
                           objects("clientAliases", alias), integer("ingressPortOverride", 0, 65535),
                           object("timeout", timeout),      any_object("tls")};
  static const Shape access_log{text("format").one_of("TEXT|JSON").required(),
                                text("includeQueryParameters").one_of("DISABLED|ENABLED")};
  static const Shape shape{boolean("enabled").required(), text("namespace"), objects("services", entry),
                           any_object("logConfiguration"), object("accessLogConfiguration", access_log)};
  return shape;
}

bool connect_enabled(const EcsServiceRecord& service) {
  return flag_of(service.service_connect, "enabled");
}

std::vector<ConnectEntry> connect_entries(const EcsServiceRecord& service, const TaskDefinitionRecord* definition) {
  std::vector<ConnectEntry> entries;
  if (!connect_enabled(service) || definition == nullptr) return entries;
  const auto ports = port_mappings(*definition);
  const auto access_log = read_access_log(service.service_connect);
  for (const auto& value : list_of(service.service_connect, "services")) {
    const auto* entry = value.if_object();
    const auto* port = entry == nullptr ? nullptr : find_port(ports, text_of(*entry, "portName"));
    if (port == nullptr) continue;
    entries.push_back(read_entry(*entry, *port));
    entries.back().access_log = access_log;
  }
  return entries;
}

std::vector<Connected> connected_services(const State& state, const std::string& namespace_id,
                                          const EcsServiceRecord* instead) {
  std::vector<Connected> all;
  const auto add = [&](const EcsServiceRecord& service) {
    if (service.status != "ACTIVE" || service.service_connect_namespace.empty()) return;
    if (!namespace_id.empty() && service.service_connect_namespace != namespace_id) return;
    all.push_back({&service, connect_entries(service, task_definition_of(state, service.task_definition))});
  };
  for (const auto& [cluster, services] : state.ecs_services) {
    for (const auto& [name, service] : services) {
      const bool replaced = instead != nullptr && instead->cluster == cluster && instead->name == name;
      if (!replaced) add(service);
    }
  }
  if (instead != nullptr) add(*instead);
  return all;
}

Checked<> check_connect_entries(const json::object& configuration, const TaskDefinitionRecord& definition) {
  const auto ports = port_mappings(definition);
  std::set<std::string> discovery_names;
  for (const auto& entry : list_of(configuration, "services")) {
    if (auto checked = check_entry(entry.as_object(), ports, definition, discovery_names); !checked)
      return checked.error();
  }
  return {};
}

}  // namespace causeway::control
