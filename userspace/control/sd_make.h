#pragma once
// Cloud Map records as every operation that makes them does: numbers, ids and ARNs given, put into the call.
#include <string>
#include <string_view>

#include "control/call.h"

namespace causeway::control {

/// Makes and puts a namespace. The caller has checked that the name is free (State::find_namespace_by_name).
NamespaceRecord make_namespace(Call& call, std::string name, bool dns);
/// Makes and puts a service of a namespace. The caller has checked that the name is free (State::find_service).
/// `fill` sets the members that differ from the default before the record is put.
ServiceRecord make_service(Call& call, const std::string& namespace_id, std::string name,
                           const std::function<void(ServiceRecord&)>& fill = {});
/// Puts an instance: a standing one of that id keeps its number while its address and port stay, else it gets the next.
/// Raises the service's InstancesRevision (once a call; the service must be in the state).
void put_instance(Call& call, InstanceRecord instance);
/// Deletes an instance and raises the service's InstancesRevision (once a call).
void erase_instance(Call& call, const InstanceRecord& instance);
/// Why an address cannot be an endpoint's (in the alias ranges, unspecified, multicast), or "".
std::string unusable_endpoint_address(const Settings& settings, const IpAddress& address);

}  // namespace causeway::control
