#pragma once
// What `causeway explain` says of a service's connections, in sentences' parts.
#include <string>
#include <string_view>

#include "model/snapshot.h"

namespace causeway::agent {

/// What the proxy makes of the service's connections.
std::string relayed_as(AppProtocol protocol);
/// What becomes of a connection, where the service has no endpoint, through the proxy.
std::string_view refused_by_proxy(AppProtocol protocol);
/// How the kernel path chooses among the service's endpoints.
std::string chosen_by(const Service& service);
/// How the proxy does.
std::string in_turn(const Service& service);

}  // namespace causeway::agent
