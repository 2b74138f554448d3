#include "sockets.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <poll.h>

namespace causeway::test {

SocketAddress at(const std::string& text) {
  const auto address = SocketAddress::parse(text);
  if (!address) std::abort();
  return *address;
}

sockaddr_storage sockaddr_for(const SocketAddress& address, int family, socklen_t& length) {
  sockaddr_storage storage{};
  if (family == AF_INET6 && address.ip.is_v4()) {
    auto* in6 = reinterpret_cast<sockaddr_in6*>(&storage);
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(address.port);
    std::memcpy(&in6->sin6_addr, address.ip.bytes().data(), 16);
    length = sizeof *in6;
  } else {
    length = address.to(storage);
  }
  return storage;
}

std::string error_name(int code) {
  return code == 0 ? "ok" : strerrorname_np(code);
}

namespace {

std::string say(int status, const sockaddr_storage& storage) {
  if (status != 0) return error_name(errno);
  const auto address = SocketAddress::from(storage);
  return address ? address->to_string() : "(no address)";
}

}  // namespace

std::string peer_of(int fd) {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  const int status = ::getpeername(fd, reinterpret_cast<sockaddr*>(&storage), &length);
  return say(status, storage);
}

std::string name_of(int fd) {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  const int status = ::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &length);
  return say(status, storage);
}

int family_of(const SocketAddress& address) {
  return address.ip.is_v4() ? AF_INET : AF_INET6;
}

Fd tcp_socket(int family, int protocol) {
  return Fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, protocol));
}

Fd udp_socket(int family) {
  Fd fd(::socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const timeval within{5, 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &within, sizeof within);
  return fd;
}

int connect_to(const Fd& fd, const SocketAddress& address, int family) {
  socklen_t length = 0;
  const sockaddr_storage storage = sockaddr_for(address, family, length);
  return ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&storage), length) == 0 ? 0 : errno;
}

int bind_to(const Fd& fd, const SocketAddress& address, int family) {
  socklen_t length = 0;
  const sockaddr_storage storage = sockaddr_for(address, family, length);
  return ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&storage), length) == 0 ? 0 : errno;
}

std::string dial_tcp(const SocketAddress& address, int family) {
  const Fd fd = tcp_socket(family);
  const timeval within{2, 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &within, sizeof within);
  const int error = connect_to(fd, address, family);
  return error == 0 ? "ok " + peer_of(fd.get()) : error_name(error);
}

Fd server_socket(int family, int protocol) {
  Fd fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  return fd;
}

Fd listener_on(const SocketAddress& address) {
  const int family = family_of(address);
  Fd fd = server_socket(family);
  if (bind_to(fd, address, family) != 0 || ::listen(fd.get(), 128) != 0) return Fd();
  return fd;
}

Fd accept_from(const Fd& listener) {
  pollfd ready{listener.get(), POLLIN, 0};
  if (::poll(&ready, 1, 5000) <= 0) return Fd();
  return Fd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
}

bool nothing_waits(const Fd& listener) {
  pollfd ready{listener.get(), POLLIN, 0};
  return ::poll(&ready, 1, 0) == 0;
}

std::string origin_of(const Fd& accepted) {
  cw_origin origin{};
  socklen_t length = sizeof origin;
  if (::getsockopt(accepted.get(), CW_SOL_CAUSEWAY, CW_SO_ORIGIN, &origin, &length) != 0) return error_name(errno);
  std::array<std::uint8_t, 16> ip{};
  std::memcpy(ip.data(), origin.dst_addr, ip.size());
  return fmt::format("dst={} family={} service={} namespace={} client={}",
                     SocketAddress{IpAddress::v6(ip), ntohs(origin.dst_port)}.to_string(),
                     static_cast<int>(origin.family), origin.service_id,
                     static_cast<std::int32_t>(origin.namespace_number), origin.client_id);
}

}  // namespace causeway::test
