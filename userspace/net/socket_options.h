#pragma once
#include <boost/system/error_code.hpp>

#include "base/fd.h"
#include "base/ip.h"
#include "base/result.h"

namespace causeway::net {

/// TCP_NODELAY: a proxy writes whole messages, and Nagle would hold their last segment back.
void set_no_delay(int fd);
/// close() then sends RST and drops what is unsent: the peer must not take the end for a whole message.
void set_reset_on_close(int fd);
/// A non-blocking, close-on-exec TCP socket of the address's family.
Result<Fd> tcp_socket(const SocketAddress& peer);
/// Takes SO_ERROR.
boost::system::error_code pending_error(int fd);
/// Whether the peer has reset the connection or both directions are shut down. A peer that only shut down its sending
/// half is not gone: it may wait for the answer. Does not block, reads nothing.
bool peer_is_gone(int fd);
/// Whether nothing came on an idle connection: neither data, nor an end, nor an error. Does not block, reads nothing.
bool is_quiet(int fd);

}  // namespace causeway::net
