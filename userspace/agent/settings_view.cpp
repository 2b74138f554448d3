#include "agent/settings_view.h"

#include <boost/json/array.hpp>

#include "control/compiler_endpoints.h"
#include "control/service_settings.h"

namespace causeway::agent {

namespace json = boost::json;

namespace {

/// Of the instances that have one.
void add_weights(const control::State& state, const control::ServiceRecord& service, json::array& list) {
  const auto instances = state.instances.find(service.id);
  if (instances == state.instances.end()) return;
  for (const auto& [id, instance] : instances->second) {
    const auto weight = instance.attributes.find(control::kWeightAttribute);
    if (weight == instance.attributes.end()) continue;
    list.push_back(json::object{{"key", std::string(control::kWeightSetting) + id},
                                {"value", weight->second},
                                {"default", "1"},
                                {"set", true},
                                {"source", std::string("the instance's attribute ") + control::kWeightAttribute}});
  }
}

}  // namespace

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
  add_weights(state, service, list);
  return {{"namespace", namespace_name}, {"discovery_name", service.name}, {"settings", std::move(list)}};
}

}  // namespace causeway::agent
