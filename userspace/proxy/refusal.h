#pragma once
// What a client gets that is refused for a bound, and the count of it.
#include "base/fd.h"
#include "model/snapshot.h"
#include "net/task.h"
#include "proxy/context.h"

namespace causeway::proxy {

/// Every bound that is exceeded passes here: the metric, and what else is to be told of it.
void note_exceeded(observe::Slot& slot, observe::Bound bound);

/// HTTP: 503 with Retry-After, told when the request is there: an answer ahead of it is taken for nobody's by some
/// clients. Anything else, and those beyond Admission::max_refusals(): RST. Takes at most a second.
net::Task<> refuse_client(Context& context, observe::Slot& slot, std::shared_ptr<const Service> service, ClientId from,
                          Fd socket, observe::Bound bound);

/// For the access log: this connection was reset for a bound.
void log_reset(Context& context, const Service& service, ClientId from, int fd, observe::Bound bound);

}  // namespace causeway::proxy
