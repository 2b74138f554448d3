#pragma once
// Opening the listening sockets.
#include <string>

#include <sys/types.h>

#include "base/fd.h"
#include "base/ip.h"
#include "base/result.h"

namespace causeway::web {

Result<Fd> open_tcp_listener(const SocketAddress& address);
Result<Fd> open_unix_listener(const std::string& path, unsigned mode);
/// The address that a listener got.
Result<SocketAddress> local_address(int fd);

}  // namespace causeway::web
