// What attempts say about an endpoint, counted.
#include <fmt/core.h>

#include "base/log.h"
#include "proxy/service_state.h"

namespace causeway::proxy {

namespace {

std::string name_of(const upstream::UpstreamSet& set, EndpointId endpoint) {
  const Endpoint* found = set.find(endpoint);
  return fmt::format("endpoint {} of service \"{}\" in namespace \"{}\"",
                     found != nullptr ? found->address.to_string() : "that left", set.service()->discovery_name,
                     set.service()->namespace_name);
}

}  // namespace

void ServiceState::report_failure(EndpointId endpoint, observe::Slot& slot) {
  if (!set.report_failure(endpoint)) return;
  log::info("{} keeps failing and is left out for a while", name_of(set, endpoint));
  observe::bump(slot.ejections);
  show_ejected();
}

void ServiceState::report_success(EndpointId endpoint, observe::Slot& slot) {
  if (!set.report_success(endpoint)) return;
  log::info("{} is taken back", name_of(set, endpoint));
  observe::bump(slot.ejection_returns);
  show_ejected();
}

/// By the difference: the slot may be one that services share because the region is full.
void ServiceState::show_ejected() {
  const std::size_t now = set.ejected_count();
  if (now == shown_ejected_) return;
  observe::bump(around_.slot().endpoints_ejected, now - shown_ejected_);
  shown_ejected_ = now;
}

}  // namespace causeway::proxy
