#pragma once
// Connections to endpoints that left are ended: their client meets ECONNABORTED, the endpoint an RST.
#include <cstdint>
#include <functional>
#include <unordered_map>

#include "base/result.h"

namespace causeway::kernel {

/// How many were ended, by endpoint id.
using Ended = std::unordered_map<std::uint32_t, std::size_t>;
/// Endpoint ids by the cookies of the sockets that have a connection to them.
using EndpointsByCookie = std::unordered_map<std::uint64_t, std::uint32_t>;

/// By the program `end_connections` (Linux 6.5), which looks at the map itself. One walk through the TCP
/// sockets of this thread's network namespace.
Result<Ended> end_by_program(int program_fd);

/// By sock_diag: a dump of the TCP sockets, of which those count that are in `by_cookie` or have an entry in the socket
/// storage `connections_fd`, then SOCK_DESTROY for each whose endpoint `has_to_end` (CONFIG_INET_DIAG_DESTROY).
Result<Ended> end_by_netlink(int connections_fd, const EndpointsByCookie& by_cookie,
                             const std::function<bool(std::uint32_t endpoint_id)>& has_to_end);

/// Whether the kernel has SOCK_DESTROY: asked for a socket that cannot be.
bool has_netlink_destroy();

}  // namespace causeway::kernel
