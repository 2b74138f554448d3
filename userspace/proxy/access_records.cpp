#include "proxy/access_records.h"

#include <sys/socket.h>

namespace causeway::proxy {

std::optional<SocketAddress> peer_of(int fd) {
  sockaddr_storage storage;
  socklen_t length = sizeof storage;
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(&storage), &length) != 0) return std::nullopt;
  return SocketAddress::from(storage);
}

void write_record(Context& context, const Service& service, ClientId client, SteadyTime started,
                  observe::AccessRecord& record) {
  record.duration = std::chrono::steady_clock::now() - started;
  record.start = context.clock.wall() - std::chrono::duration_cast<WallTime::duration>(record.duration);
  record.client = context.client_name(client);
  record.namespace_name = service.namespace_name;
  record.discovery_name = service.discovery_name;
  context.access_log.write(record, service.access_log);
}

}  // namespace causeway::proxy
