#pragma once
// Model values as the maps hold them, and back.
#include "base/ip.h"
#include "causeway/abi/address.h"

namespace causeway::kernel {

cw_address encode(const IpAddress& ip);
/// A default SocketAddress (:: and port 0) gives all zeroes.
cw_socket_address encode(const SocketAddress& address);
/// The bits of the prefix in the 16-byte form, IPv4 counted behind the v4-mapped prefix.
cw_address encode_mask(const IpPrefix& prefix);

IpAddress decode(const cw_address& address);
SocketAddress decode(const cw_socket_address& address);

}  // namespace causeway::kernel
