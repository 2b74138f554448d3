#pragma once
// From Cloud Map records to what the data path and DNS see of them.
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "control/records.h"
#include "model/snapshot.h"

namespace causeway::control {

using Instances = std::map<std::string, InstanceRecord>;  ///< by instance id

/// An instance's attribute: its share of the connections, beside the others of its service.
inline constexpr const char* kWeightAttribute = "causeway:weight";
inline constexpr std::uint32_t kMaxWeight = 255;
/// None: not a whole number in [0, kMaxWeight].
std::optional<std::uint32_t> parse_weight(std::string_view text);

/// Draining before starting before unhealthy: the first that holds.
Health health_of(const InstanceRecord& instance);
/// The instances with an address and a port, ordered by their number.
std::vector<Endpoint> endpoints_of(const Instances& instances);
/// SERVICE.NAMESPACE, lower case.
std::string dns_name(const ServiceRecord& service, const NamespaceRecord& space);
/// That name as DNS answers it: draining instances are left out, starting ones unhealthy.
CloudMapName cloud_map_name(const ServiceRecord& service, const NamespaceRecord& space, const Instances& instances);

}  // namespace causeway::control
