#pragma once
// The virtual addresses of alias names: one index a (namespace, name) into both alias ranges.
#include <cstdint>
#include <set>
#include <string>

#include "control/ecs_check.h"

namespace causeway::control {

/// Index 0 is the range's network address.
inline constexpr std::uint32_t kFirstVip = 1;
/// At the end of the range: the last one is the canary's, which the kernel part dials to verify interception.
inline constexpr std::uint32_t kReservedVipsAtEnd = 1;

/// The first index that is not an alias's any more: kReservedVipsAtEnd below the size of the smaller range.
std::uint32_t vip_end(const Settings& settings);
/// The canary's index.
std::uint32_t canary_vip(const Settings& settings);

/// Gives each alias name of these namespaces its VipRecord and deletes those without a name, as the services will stand
/// after the transaction (`instead`, see connected_services). A name keeps its index while an alias has it; a new one
/// gets the lowest that is free before the transaction. LimitExceededException when the range is full.
Checked<> update_vips(Call& call, const std::set<std::string>& namespace_ids, const EcsServiceRecord& instead);

}  // namespace causeway::control
