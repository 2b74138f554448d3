#pragma once
#include <cstddef>

#include "base/ip.h"
#include "base/result.h"

namespace causeway::agent {

/// TCP connections of this network namespace whose local end is `local` and whose peer may still expect bytes from it
/// (SYN_RECV, ESTABLISHED, CLOSE_WAIT), by sock_diag(7). Blocking, a walk over the kernel's table of connections.
Result<std::size_t> open_connections(const SocketAddress& local);

}  // namespace causeway::agent
