#pragma once
// IP addresses and ports as plain values.
#include <sys/socket.h>

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace causeway {

/// An IPv4 or IPv6 address in one form: 16 bytes in network order, IPv4 as ::ffff:a.b.c.d (RFC 4291, 2.5.5.2).
/// Two addresses that reach the same host compare equal, whichever socket family dialled them.
class IpAddress {
 public:
  constexpr IpAddress() = default;  ///< ::
  static IpAddress v4(std::uint32_t host_order);
  static IpAddress v4_be(std::uint32_t network_order);
  static IpAddress v6(const std::array<std::uint8_t, 16>& bytes);
  /// Dotted quad or RFC 4291 text; no zone, no brackets, no name.
  static std::optional<IpAddress> parse(std::string_view text);

  bool is_v4() const;
  bool is_loopback() const;  ///< 127.0.0.0/8 or ::1
  std::uint32_t to_v4() const;  ///< host order; only if is_v4()
  std::uint32_t to_v4_be() const;
  const std::array<std::uint8_t, 16>& bytes() const { return bytes_; }
  std::string to_string() const;

  auto operator<=>(const IpAddress&) const = default;

 private:
  std::array<std::uint8_t, 16> bytes_{};
};

/// An address and a port (host order).
struct SocketAddress {
  IpAddress ip;
  std::uint16_t port = 0;

  /// "127.0.0.1:80" or "[::1]:80".
  static std::optional<SocketAddress> parse(std::string_view text);
  static std::optional<SocketAddress> from(const sockaddr_storage& storage);
  /// Fills `storage` as AF_INET for an IPv4 address, AF_INET6 otherwise, and returns its length.
  socklen_t to(sockaddr_storage& storage) const;
  std::string to_string() const;

  auto operator<=>(const SocketAddress&) const = default;
};

/// A CIDR block.
struct IpPrefix {
  IpAddress base;
  unsigned length = 0;  ///< bits, in the address's own family: 0..32 for IPv4, 0..128 for IPv6

  /// "127.255.0.0/16"; the bits behind the length must be zero.
  static std::optional<IpPrefix> parse(std::string_view text);
  bool contains(const IpAddress& ip) const;
  /// The address `offset` above the base, of the base's family.
  IpAddress at(std::uint64_t offset) const;
  std::string to_string() const;

  auto operator<=>(const IpPrefix&) const = default;
};

}  // namespace causeway

template <>
struct std::hash<causeway::IpAddress> {
  std::size_t operator()(const causeway::IpAddress& ip) const noexcept;
};
template <>
struct std::hash<causeway::SocketAddress> {
  std::size_t operator()(const causeway::SocketAddress& address) const noexcept;
};
