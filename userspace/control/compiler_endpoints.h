#pragma once
// From Cloud Map records to what the data path and DNS see of them.
#include <memory>

#include "control/records.h"
#include "model/snapshot.h"

namespace causeway::control {

using Instances = std::map<std::string, InstanceRecord>;  ///< by instance id

/// Draining before starting before unhealthy: the first that holds.
Health health_of(const InstanceRecord& instance);
/// The instances with an address and a port, ordered by their number.
std::vector<Endpoint> endpoints_of(const Instances& instances);
/// SERVICE.NAMESPACE, lower case.
std::string dns_name(const ServiceRecord& service, const NamespaceRecord& space);
/// That name as DNS answers it: draining instances are left out, starting ones unhealthy.
CloudMapName cloud_map_name(const ServiceRecord& service, const NamespaceRecord& space, const Instances& instances);

}  // namespace causeway::control
