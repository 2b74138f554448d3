// What attempts say about an endpoint, counted.
#include "proxy/service_state.h"

namespace causeway::proxy {

void ServiceState::report_failure(EndpointId endpoint, observe::Slot& slot) {
  if (!set.report_failure(endpoint)) return;
  observe::bump(slot.ejections);
  show_ejected();
}

void ServiceState::report_success(EndpointId endpoint, observe::Slot& slot) {
  if (!set.report_success(endpoint)) return;
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
