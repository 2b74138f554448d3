#include "control/ecs_registry.h"
#include "control/sd_make.h"

namespace causeway::control {
namespace {

std::string attribute(const InstanceRecord& instance, const char* name) {
  const auto found = instance.attributes.find(name);
  return found == instance.attributes.end() ? std::string() : found->second;
}

bool same_endpoint(const InstanceRecord& a, const InstanceRecord& b) {
  return attribute(a, "AWS_INSTANCE_IPV4") == attribute(b, "AWS_INSTANCE_IPV4") &&
         attribute(a, "AWS_INSTANCE_PORT") == attribute(b, "AWS_INSTANCE_PORT");
}

bool same_instance(const InstanceRecord& a, const InstanceRecord& b) {
  return a.attributes == b.attributes && a.task_id == b.task_id && a.listening == b.listening &&
         a.draining == b.draining;
}

/// The discovery services that ACTIVE ECS services name.
std::set<std::string> named_discovery_services(const State& state, const EcsServiceRecord* instead) {
  std::set<std::string> ids;
  for (const auto& connected : connected_services(state, "", instead)) {
    for (const auto& resource : connected.service->service_connect_resources) {
      ids.insert(service_id_of(text_of(resource.as_object(), "discoveryArn")));
    }
  }
  return ids;
}

}  // namespace

const ServiceRecord& RegistryEdits::add_service(const std::string& namespace_id, const std::string& name,
                                                std::string description) {
  auto record = make_service(call_, namespace_id, name, [&](ServiceRecord& service) {
    service.service_connect = true;
    service.description = std::move(description);
  });
  const auto id = record.id;
  return added_.emplace(id, std::move(record)).first->second;
}

const ServiceRecord* RegistryEdits::find_service(const std::string& id) const {
  if (const auto added = added_.find(id); added != added_.end()) return &added->second;
  const auto found = call_.state.services.find(id);
  return found == call_.state.services.end() ? nullptr : &found->second;
}

const InstanceRecord* RegistryEdits::find(const Key& key) const {
  if (const auto edited = instances_.find(key); edited != instances_.end()) {
    return edited->second ? &*edited->second : nullptr;
  }
  const auto of_service = call_.state.instances.find(key.first);
  if (of_service == call_.state.instances.end()) return nullptr;
  const auto found = of_service->second.find(key.second);
  return found == of_service->second.end() ? nullptr : &found->second;
}

void RegistryEdits::set(const Key& key, InstanceRecord instance) {
  instances_[key] = std::move(instance);
  changed_.insert(key.first);
}

void RegistryEdits::put(InstanceRecord instance) {
  const Key key{instance.service_id, instance.id};
  const auto* standing = find(key);
  if (standing != nullptr) instance.custom_healthy = standing->custom_healthy;
  if (standing != nullptr && same_endpoint(*standing, instance)) {
    instance.number = standing->number;
    if (same_instance(*standing, instance)) return;
  } else {
    instance.number = EndpointId(static_cast<std::uint32_t>(call_.next_number(kEndpointNumbers)));
  }
  set(key, std::move(instance));
}

void RegistryEdits::drain(const InstanceRecord& instance) {
  const Key key{instance.service_id, instance.id};
  const auto* standing = find(key);
  if (standing == nullptr || standing->draining) return;
  auto draining = *standing;
  draining.draining = true;
  set(key, std::move(draining));
}

void RegistryEdits::erase(const InstanceRecord& instance) {
  const Key key{instance.service_id, instance.id};
  const auto* standing = find(key);
  if (standing == nullptr) return;
  // A draining one was deregistered, and counted, before; its end can leave the service empty.
  (standing->draining ? released_ : changed_).insert(key.first);
  instances_[key] = std::nullopt;
}

bool RegistryEdits::has_instances(const std::string& service_id) const {
  for (auto it = instances_.lower_bound({service_id, ""}); it != instances_.end() && it->first.first == service_id;
       ++it) {
    if (it->second) return true;
  }
  const auto of_service = call_.state.instances.find(service_id);
  if (of_service == call_.state.instances.end()) return false;
  for (const auto& [id, instance] : of_service->second) {
    if (!instances_.contains({service_id, id})) return true;
  }
  return false;
}

void RegistryEdits::write(const EcsServiceRecord* instead) {
  for (const auto& [key, instance] : instances_) {
    if (instance) {
      call_.put(*instance);
    } else {
      InstanceRecord gone;
      gone.service_id = key.first;
      gone.id = key.second;
      call_.erase(gone);
    }
  }
  std::set<std::string> touched = changed_;
  touched.insert(released_.begin(), released_.end());
  std::optional<std::set<std::string>> named;
  for (const auto& id : touched) {
    const auto* found = find_service(id);
    if (found == nullptr) continue;
    if (found->service_connect && !has_instances(id)) {
      if (!named) named = named_discovery_services(call_.state, instead);
      if (!named->contains(id)) {
        call_.erase(*found);
        continue;
      }
    }
    if (!changed_.contains(id)) continue;
    auto service = *found;
    ++service.instances_revision;
    call_.put(service);
  }
}

}  // namespace causeway::control
