#include "control/aliases.h"

#include <algorithm>
#include <map>

#include <fmt/core.h>

#include "base/ip.h"
#include "control/ecs_find.h"

namespace causeway::control {
namespace {

constexpr std::size_t kLabelLimit = 63;  // RFC 1035, 2.3.4

bool all_digits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

std::string unusable_dns_name(std::string_view name) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
  };
  if (name.empty()) return "is empty; leave it out for discoveryName.namespace";
  if (!std::all_of(name.begin(), name.end(), allowed)) {
    return "has other characters than a-z, 0-9, \"_\", \"-\" and \".\"; write it in lower case";
  }
  if (name.front() == '-') return "begins with \"-\"";
  std::string_view rest = name;
  std::string_view label;
  while (true) {
    const auto dot = rest.find('.');
    label = rest.substr(0, dot);
    if (label.empty() || label.size() > kLabelLimit) {
      return "has a label that is empty or longer than 63 characters (RFC 1035); dots only separate labels";
    }
    if (dot == std::string_view::npos) break;
    rest.remove_prefix(dot + 1);
  }
  // Resolvers never ask DNS for these: an alias of such a name would be silent.
  if (all_digits(label)) return "is read as an IP address by clients; choose a name whose last label has a letter";
  if (label == "localhost") return "always means the client's own host (RFC 6761, 6.3); choose another name";
  return {};
}

std::vector<std::string> alias_names(const ConnectEntry& entry, std::string_view namespace_name) {
  if (!entry.alias_port) return {};
  if (!entry.dns_name.empty()) return {lower_case(entry.dns_name)};
  return {lower_case(fmt::format("{}.{}", entry.discovery_name, namespace_name)), entry.discovery_name};
}

Checked<> check_aliases(const State& state, const NamespaceRecord& space, const EcsServiceRecord& service) {
  struct Holder {
    const EcsServiceRecord* service;
    const ConnectEntry* entry;
  };
  const auto connected = connected_services(state, space.id, &service);  // `service` itself comes last
  std::map<std::pair<std::string, std::uint16_t>, Holder> taken;
  for (const auto& other : connected) {
    for (const auto& entry : other.entries) {
      for (const auto& name : alias_names(entry, space.name)) {
        const auto [holder, fresh] = taken.try_emplace({name, *entry.alias_port}, Holder{other.service, &entry});
        if (fresh || other.service != &service) continue;
        const auto& owner = *holder->second.service;
        const auto of_cluster =
            owner.cluster == service.cluster ? std::string() : fmt::format(" of cluster \"{}\"", owner.cluster);
        return invalid_parameter(fmt::format(
            "alias \"{}:{}\" in namespace \"{}\" is already taken by service \"{}\"{} (discovery name \"{}\"); choose "
            "another "
            "dnsName or port",
            name, *entry.alias_port, space.name, owner.name, of_cluster, holder->second.entry->discovery_name));
      }
    }
  }
  return {};
}

}  // namespace causeway::control
