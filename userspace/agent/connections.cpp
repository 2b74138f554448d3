#include "agent/connections.h"

#include <cerrno>
#include <cstring>

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"

namespace causeway::agent {
namespace {

constexpr unsigned kStates = (1U << TCP_SYN_RECV) | (1U << TCP_ESTABLISHED) | (1U << TCP_CLOSE_WAIT);

struct DumpRequest {
  nlmsghdr header;
  inet_diag_req_v2 query;
};

IpAddress source_of(const inet_diag_msg& message) {
  if (message.idiag_family == AF_INET) return IpAddress::v4_be(message.id.idiag_src[0]);
  std::array<std::uint8_t, 16> bytes{};
  std::memcpy(bytes.data(), message.id.idiag_src, bytes.size());
  return IpAddress::v6(bytes);
}

/// Adds the matches of one datagram; true when the dump has ended.
Result<bool> count(char* data, std::size_t size, const SocketAddress& local, std::size_t& matches) {
  auto left = static_cast<unsigned>(size);
  for (auto* message = reinterpret_cast<nlmsghdr*>(data); NLMSG_OK(message, left);
       message = NLMSG_NEXT(message, left)) {
    if (message->nlmsg_type == NLMSG_DONE) return true;
    if (message->nlmsg_type == NLMSG_ERROR) {
      nlmsgerr error{};
      if (message->nlmsg_len >= NLMSG_LENGTH(sizeof error)) std::memcpy(&error, NLMSG_DATA(message), sizeof error);
      return errno_error(error.error == 0 ? EIO : -error.error, "list connections of", local.to_string());
    }
    if (message->nlmsg_len < NLMSG_LENGTH(sizeof(inet_diag_msg))) continue;
    inet_diag_msg socket{};
    std::memcpy(&socket, NLMSG_DATA(message), sizeof socket);
    if (ntohs(socket.id.idiag_sport) == local.port && source_of(socket) == local.ip) ++matches;
  }
  return false;
}

Result<void> dump(int netlink, int family, const SocketAddress& local, std::size_t& matches) {
  DumpRequest request{};
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request.query.sdiag_family = static_cast<__u8>(family);
  request.query.sdiag_protocol = IPPROTO_TCP;
  request.query.idiag_states = kStates;
  request.query.id.idiag_sport = htons(local.port);  // the kernel filters on the port itself
  if (::send(netlink, &request, sizeof request, 0) < 0)
    return errno_error(errno, "list connections of", local.to_string());
  alignas(nlmsghdr) char buffer[32768];
  for (;;) {
    const ssize_t n = ::recv(netlink, buffer, sizeof buffer, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return errno_error(n == 0 ? EIO : errno, "list connections of", local.to_string());
    const auto ended = count(buffer, static_cast<std::size_t>(n), local, matches);
    if (!ended) return ended.error();
    if (*ended) return {};
  }
}

}  // namespace

Result<std::size_t> open_connections(const SocketAddress& local) {
  const Fd netlink(::socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
  if (!netlink) return errno_error(errno, "list connections of", local.to_string());
  std::size_t matches = 0;
  // Servers on v6 sockets show up under AF_INET6, v4-mapped.
  for (const int family : {AF_INET, AF_INET6}) {
    if (const auto dumped = dump(netlink.get(), family, local, matches); !dumped) {
      if (family == AF_INET6 && dumped.error().code == ENOENT) continue;  // a kernel without IPv6
      return dumped.error();
    }
  }
  return matches;
}

}  // namespace causeway::agent
