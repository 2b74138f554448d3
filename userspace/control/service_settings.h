#pragma once
// A service's settings from where they may be given. docs/settings.md tells users of the order.
#include <map>
#include <string>
#include <vector>

#include "control/call.h"
#include "control/ecs_connect.h"
#include "model/settings_table.h"

namespace causeway::control {

/// Where a value comes from; the last of these counts.
enum class SettingSource : std::uint8_t {
  built_in,
  host_defaults,    ///< [defaults] of the configuration
  host_service,     ///< [service."NAMESPACE/DISCOVERY-NAME"]
  service_connect,  ///< `timeout` in the serviceConnectConfiguration
  attribute,        ///< a Cloud Map service attribute
};

/// As a person would look for it: `the attribute causeway:retries`.
std::string describe(SettingSource source, const Setting& setting, std::string_view service);

struct ResolvedSettings {
  ServiceSettings values;
  std::map<SettingKey, SettingSource> sources;  ///< of those that are not built in
};

/// `entry`: what Service Connect says of the service, or null. Attributes that this version does not take are passed
/// over: a newer agent may have checked them.
ResolvedSettings resolve_settings(const Settings& host, const NamespaceRecord& space, const ServiceRecord& service,
                                  const ConnectEntry* entry);
/// The same from the state alone.
ResolvedSettings resolve_settings(const State& state, const Settings& host, const ServiceRecord& service);

/// "NAMESPACE/DISCOVERY-NAME" in lower case, as Settings::service_settings has it.
std::string setting_scope(std::string_view namespace_name, std::string_view discovery_name);
/// The service of NAMESPACE/DISCOVERY-NAME, in any case; null where there is none.
const ServiceRecord* find_scoped_service(const State& state, std::string_view scope);
/// That there is none, and which were perhaps meant.
std::string no_such_service(const State& state, std::string_view scope);

/// What stands before an instance's id where its weight is set beside the settings: "weight.i-1".
inline constexpr std::string_view kWeightSetting = "weight.";

/// Puts the service's attributes of these settings ("retries": "3") and takes those of `remove` away; or the weights of
/// its instances ("weight.i-1": "9", the instance's attribute causeway:weight). An Error says what is wrong: no such
/// service or instance, an unknown setting, a value it does not take.
Result<void> change_settings(Call& call, std::string_view scope, const std::map<std::string, std::string>& put,
                             const std::vector<std::string>& remove);

/// A service has at most so many attributes (botocore's model of UpdateServiceAttributes).
inline constexpr std::size_t kAttributesAService = 30;
/// What is wrong with service attributes that are to be written (unknown causeway: keys and values), or "".
std::string misfit_attributes(const std::map<std::string, std::string>& attributes);

}  // namespace causeway::control
