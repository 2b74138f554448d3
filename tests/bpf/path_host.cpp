#include "path_host.h"

namespace causeway::test {

void PathHost::SetUp() {
  Host::SetUp();
  settings_.path = ServicePath::kernel;
  start();
}

std::shared_ptr<Service> PathHost::service_of(const std::vector<std::string>& endpoints) const {
  auto made = std::make_shared<Service>(*service(10, 1, endpoints));
  made->settings = settings_;
  return made;
}

void PathHost::serve(const std::vector<std::string>& endpoints) {
  serve_service(service_of(endpoints));
}

void PathHost::serve_service(std::shared_ptr<const Service> made) {
  snapshot.services[ServiceId(10)] = std::move(made);
  publish();
}

cw_counters PathHost::counted(ClientId client) const {
  for (const auto& each : plane->path_counters()) {
    if (each.service == ServiceId(10) && each.client == client) return each.counted;
  }
  return {};
}

void PathHost::restart() {
  plane.reset();
  auto again = kernel::Plane::start(options());
  ASSERT_TRUE(again) << again.error().message();
  plane = std::move(*again);
}

}  // namespace causeway::test
