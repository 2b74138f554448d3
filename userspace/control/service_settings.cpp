#include "control/service_settings.h"

#include <algorithm>

#include <fmt/core.h>

#include "base/nearest.h"
#include "base/shown.h"
#include "control/compiler_endpoints.h"
#include "control/ecs_find.h"
#include "control/ecs_registry.h"
#include "control/sd_make.h"

namespace causeway::control {
namespace {

class Resolver {
 public:
  void set(SettingKey key, std::uint64_t value, SettingSource source) {
    setting(key).set(out_.values, value);
    out_.sources[key] = source;
  }
  void set(const SettingValues& values, SettingSource source) {
    for (const auto& [key, value] : values) set(key, value, source);
  }
  /// AWS allows 68 years, and 0 for off.
  void set_seconds(SettingKey key, const std::optional<std::uint32_t>& seconds) {
    if (seconds) set(key, std::min(*seconds * std::uint64_t{1000}, setting(key).max), SettingSource::service_connect);
  }
  ResolvedSettings take() { return std::move(out_); }

 private:
  ResolvedSettings out_;
};

std::string_view instance_of(std::string_view name) {
  return name.starts_with(kWeightSetting) ? name.substr(kWeightSetting.size()) : std::string_view();
}

/// Of an instance that exists, in the call's state, with this weight; an empty one takes the attribute away.
Result<InstanceRecord> weighted(const Call& call, const ServiceRecord& service, std::string_view instance,
                                const std::string& weight) {
  const auto of_service = call.state.instances.find(service.id);
  std::vector<std::string> all;
  if (of_service != call.state.instances.end()) {
    const auto found = of_service->second.find(std::string(instance));
    if (found != of_service->second.end()) {
      auto changed = found->second;
      if (weight.empty()) {
        changed.attributes.erase(kWeightAttribute);
      } else {
        changed.attributes[kWeightAttribute] = weight;
      }
      return changed;
    }
    for (const auto& [id, each] : of_service->second) all.push_back(id);
  }
  const auto near = nearest_few(instance, all, 3);
  return make_error("weigh instance", shown(instance, 80),
                    near.empty() ? "there is no such instance; `causeway endpoints` shows them"
                                 : fmt::format("there is no such instance; did you mean {}?", join(near, " or ")));
}

/// The instances with their new weights; an Error says which name or value is wrong.
Result<std::vector<InstanceRecord>> weigh(const Call& call, const ServiceRecord& service,
                                          const std::map<std::string, std::string>& put,
                                          const std::vector<std::string>& remove) {
  std::vector<InstanceRecord> changed;
  const auto add = [&](const std::string& name, const std::string& weight) -> Result<void> {
    auto instance = weighted(call, service, instance_of(name), weight);
    if (!instance) return instance.error();
    changed.push_back(std::move(*instance));
    return {};
  };
  for (const auto& [name, text] : put) {
    if (instance_of(name).empty()) continue;
    if (!parse_weight(text)) {
      return make_error("set", shown(name, 80),
                        fmt::format("it takes a whole number from 0 to {}, not \"{}\"", kMaxWeight, shown(text, 40)));
    }
    if (auto done = add(name, text); !done) return done.error();
  }
  for (const auto& name : remove) {
    if (instance_of(name).empty()) continue;
    if (auto done = add(name, ""); !done) return done.error();
  }
  return changed;
}

}  // namespace

std::string describe(SettingSource source, const Setting& setting, std::string_view service) {
  switch (source) {
    case SettingSource::built_in:
      return "the built-in default";
    case SettingSource::host_defaults:
      return "[defaults] of the configuration";
    case SettingSource::host_service:
      return fmt::format("[service.\"{}\"] of the configuration", service);
    case SettingSource::service_connect:
      return "timeout of the serviceConnectConfiguration";
    case SettingSource::attribute:
      return fmt::format("the service attribute {}{}", kSettingAttribute, setting.name);
  }
  return "?";
}

ResolvedSettings resolve_settings(const Settings& host, const NamespaceRecord& space, const ServiceRecord& service,
                                  const ConnectEntry* entry) {
  Resolver resolver;
  resolver.set(host.default_settings, SettingSource::host_defaults);
  const auto of_service = host.service_settings.find(setting_scope(space.name, service.name));
  if (of_service != host.service_settings.end()) resolver.set(of_service->second, SettingSource::host_service);
  if (entry != nullptr) {
    resolver.set_seconds(SettingKey::idle_timeout, entry->idle_timeout_seconds);
    resolver.set_seconds(SettingKey::http_idle_timeout, entry->idle_timeout_seconds);
    resolver.set_seconds(SettingKey::per_request_timeout, entry->per_request_timeout_seconds);
  }
  for (const auto& [name, text] : service.attributes) {
    if (!name.starts_with(kSettingAttribute)) continue;
    const Setting* known = find_setting(std::string_view(name).substr(kSettingAttribute.size()));
    const auto value = known != nullptr ? parse_setting(*known, text) : Result<std::uint64_t>(Error{});
    if (value) resolver.set(known->key, *value, SettingSource::attribute);
  }
  return resolver.take();
}

ResolvedSettings resolve_settings(const State& state, const Settings& host, const ServiceRecord& service) {
  const auto space = state.namespaces.find(service.namespace_id);
  if (space == state.namespaces.end()) return {};
  for (const auto& connected : connected_services(state, service.namespace_id)) {
    for (const auto& entry : connected.entries) {
      if (discovery_service(connected, entry) == service.id)
        return resolve_settings(host, space->second, service, &entry);
    }
  }
  return resolve_settings(host, space->second, service, nullptr);
}

std::string setting_scope(std::string_view namespace_name, std::string_view discovery_name) {
  return lower_case(fmt::format("{}/{}", namespace_name, discovery_name));
}

const ServiceRecord* find_scoped_service(const State& state, std::string_view scope) {
  // A namespace's name may hold slashes, a discovery name does not.
  const auto slash = scope.rfind('/');
  if (slash == std::string_view::npos) return nullptr;
  const auto* space = state.find_namespace_by_name(scope.substr(0, slash));
  return space == nullptr ? nullptr : state.find_service(space->id, scope.substr(slash + 1));
}

Result<void> change_settings(Call& call, std::string_view scope, const std::map<std::string, std::string>& put,
                             const std::vector<std::string>& remove) {
  const auto refused = [&](std::string_view cause) { return make_error("set", shown(scope, 200), cause); };
  const auto* service = find_scoped_service(call.state, scope);
  if (service == nullptr) return refused(no_such_service(call.state, scope));
  auto instances = weigh(call, *service, put, remove);
  if (!instances) return instances.error();
  if (!instances->empty()) {
    if (instances->size() < put.size() + remove.size())
      return refused("weights of instances and settings of the service are set in two steps");
    for (auto& instance : *instances) put_instance(call, std::move(instance));
    return {};
  }
  auto changed = *service;
  for (const auto& [name, text] : put) {
    const Setting* known = find_setting(name);
    if (known == nullptr) return refused(unknown_setting(name));
    if (const auto value = parse_setting(*known, text); !value)
      return refused(fmt::format("{}: {}", name, value.error().cause));
    changed.attributes[std::string(kSettingAttribute) + name] = text;
  }
  for (const auto& name : remove) {
    // One that this version does not know may be left of another.
    if (changed.attributes.erase(std::string(kSettingAttribute) + name) == 0 && find_setting(name) == nullptr)
      return refused(unknown_setting(name));
  }
  if (changed.attributes.size() > kAttributesAService) {
    return refused(fmt::format("a service has at most {} attributes, this would make {}; remove some first",
                               kAttributesAService, changed.attributes.size()));
  }
  if (changed.attributes != service->attributes) call.put(changed);
  return {};
}

std::string no_such_service(const State& state, std::string_view scope) {
  const auto slash = scope.rfind('/');
  const auto* named = slash == std::string_view::npos ? nullptr : state.find_namespace_by_name(scope.substr(0, slash));
  std::vector<std::string> near;
  std::vector<std::string> names, all;
  for (const auto& [id, service] : state.services) {
    const auto space = state.namespaces.find(service.namespace_id);
    if (space == state.namespaces.end()) continue;
    all.push_back(space->second.name + "/" + service.name);
    if (&space->second == named) names.push_back(service.name);
  }
  if (named == nullptr) {
    near = nearest_few(scope, all, 3);
  } else {
    // A namespace that is right would make all its services look alike.
    for (const auto& name : nearest_few(scope.substr(slash + 1), names, 3)) near.push_back(named->name + "/" + name);
  }
  if (near.empty()) return "there is no such service; give NAMESPACE/DISCOVERY-NAME, as `causeway services` shows them";
  return fmt::format("there is no such service; did you mean {}?", join(near, " or "));
}

std::string misfit_attributes(const std::map<std::string, std::string>& attributes) {
  for (const auto& [name, text] : attributes) {
    if (!name.starts_with(kSettingAttribute)) continue;
    const auto key = std::string_view(name).substr(kSettingAttribute.size());
    const Setting* known = find_setting(key);
    if (known == nullptr) return fmt::format("Attribute {}: {}", shown(name, 80), unknown_setting(key));
    if (const auto value = parse_setting(*known, text); !value)
      return fmt::format("Attribute {}: {}", name, value.error().cause);
  }
  return {};
}

}  // namespace causeway::control
