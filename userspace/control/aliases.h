#pragma once
// The names that an alias answers to, and who has them.
#include <string>
#include <string_view>
#include <vector>

#include "control/ecs_connect.h"

namespace causeway::control {

/// Why a dnsName cannot be dialled as it stands ("has …; …"), or "".
std::string unusable_dns_name(std::string_view name);

/// Lower case: the dnsName as given; without one `discoveryName.namespace` and the bare discoveryName; none without an
/// alias.
std::vector<std::string> alias_names(const ConnectEntry& entry, std::string_view namespace_name);

/// Each (name, port) of `service`'s aliases is its own in the namespace. `service` is the record as it will stand.
Checked<> check_aliases(const State& state, const NamespaceRecord& space, const EcsServiceRecord& service);

}  // namespace causeway::control
