#include "agent/settings_view.h"

#include <boost/json/array.hpp>

#include "control/service_settings.h"

namespace causeway::agent {

namespace json = boost::json;

json::object settings_view(const control::State& state, const control::Settings& host,
                           const control::ServiceRecord& service) {
  const auto space = state.namespaces.find(service.namespace_id);
  const std::string namespace_name = space == state.namespaces.end() ? "?" : space->second.name;
  const auto resolved = control::resolve_settings(state, host, service);
  const ServiceSettings defaults;
  json::array list;
  for (const Setting& setting : settings_table()) {
    const auto source = resolved.sources.find(setting.key);
    const bool set = source != resolved.sources.end();
    list.push_back(json::object{{"key", setting.name},
                                {"value", show_setting(setting, setting.get(resolved.values))},
                                {"default", show_setting(setting, setting.get(defaults))},
                                {"set", set},
                                {"source", control::describe(set ? source->second : control::SettingSource::built_in,
                                                             setting, namespace_name + "/" + service.name)}});
  }
  return {{"namespace", namespace_name}, {"discovery_name", service.name}, {"settings", std::move(list)}};
}

}  // namespace causeway::agent
