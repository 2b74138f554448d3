#pragma once
#include <memory>
#include <vector>

#include "model/snapshot.h"

namespace causeway::upstream {

inline Endpoint endpoint(std::uint32_t id, Health health = Health::healthy, std::uint32_t weight = 1) {
  Endpoint e;
  e.id = EndpointId{id};
  e.instance_id = "i-" + std::to_string(id);
  e.address = {IpAddress::v4(0x7f000001u + id), 3000};
  e.weight = weight;
  e.health = health;
  return e;
}

inline std::shared_ptr<const Service> service(std::vector<Endpoint> endpoints) {
  auto s = std::make_shared<Service>();
  s->id = ServiceId{1};
  s->discovery_name = "user-service";
  s->endpoints = std::move(endpoints);
  return s;
}

}  // namespace causeway::upstream
