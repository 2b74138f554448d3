#include "kernel/encode.h"

#include <array>
#include <cstring>

#include <arpa/inet.h>

namespace causeway::kernel {

cw_address encode(const IpAddress& ip) {
  cw_address address{};
  std::memcpy(&address, ip.bytes().data(), sizeof address);
  return address;
}

cw_socket_address encode(const SocketAddress& address) {
  return {encode(address.ip), htons(address.port), 0};
}

cw_address encode_mask(const IpPrefix& prefix) {
  std::array<std::uint8_t, 16> bytes{};
  const unsigned bits = prefix.base.is_v4() ? prefix.length + 96 : prefix.length;
  for (unsigned i = 0; i < bits; ++i) bytes[i / 8] = static_cast<std::uint8_t>(bytes[i / 8] | (0x80u >> (i % 8)));
  cw_address mask{};
  std::memcpy(&mask, bytes.data(), sizeof mask);
  return mask;
}

IpAddress decode(const cw_address& address) {
  std::array<std::uint8_t, 16> bytes{};
  std::memcpy(bytes.data(), &address, sizeof address);
  return IpAddress::v6(bytes);
}

SocketAddress decode(const cw_socket_address& address) {
  return {decode(address.ip), ntohs(address.port)};
}

}  // namespace causeway::kernel
