#pragma once
// What the access log is told by sessions, and of clients that never had one.
#include <optional>

#include "base/ip.h"
#include "model/snapshot.h"
#include "observe/access_record.h"
#include "proxy/context.h"

namespace causeway::proxy {

inline bool is_logged(const Service& service) {
  return service.access_log.format != AccessLogFormat::off;
}

/// A connected socket's other end; none once it is reset.
std::optional<SocketAddress> peer_of(int fd);

/// Completes the record with what is known of every request to `service`, and writes it.
void write_record(Context& context, const Service& service, ClientId client, SteadyTime started,
                  observe::AccessRecord& record);

}  // namespace causeway::proxy
