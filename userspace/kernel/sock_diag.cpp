// Which sockets listen, asked by NETLINK_SOCK_DIAG (sock_diag(7)).
#include <array>
#include <cerrno>
#include <cstring>

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "kernel/plane.h"

namespace causeway::kernel {
namespace {

constexpr std::uint8_t kTcpListen = 10;
constexpr timeval kAnswerWithin{1, 0};

struct Request {
  nlmsghdr header;
  inet_diag_req_v2 body;
};

/// One exact lookup, no dump: a dump takes milliseconds on a host with many sockets.
Request request_for(const SocketAddress& address) {
  Request request{};
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  request.header.nlmsg_flags = NLM_F_REQUEST;
  request.body.sdiag_protocol = IPPROTO_TCP;
  request.body.idiag_states = 1u << kTcpListen;
  request.body.id.idiag_sport = htons(address.port);
  request.body.id.idiag_cookie[0] = INET_DIAG_NOCOOKIE;
  request.body.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
  if (address.ip.is_v4()) {
    request.body.sdiag_family = AF_INET;
    request.body.id.idiag_src[0] = address.ip.to_v4_be();
  } else {
    request.body.sdiag_family = AF_INET6;
    std::memcpy(request.body.id.idiag_src, address.ip.bytes().data(), 16);
  }
  return request;
}

IpAddress source_of(const inet_diag_msg& answer) {
  if (answer.idiag_family == AF_INET) return IpAddress::v4_be(answer.id.idiag_src[0]);
  std::array<std::uint8_t, 16> bytes{};
  std::memcpy(bytes.data(), answer.id.idiag_src, bytes.size());
  return IpAddress::v6(bytes);
}

}  // namespace

Result<bool> is_listening(const SocketAddress& address) {
  const Fd netlink(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
  if (!netlink) return errno_error(errno, "open netlink socket for", "sock_diag");
  ::setsockopt(netlink.get(), SOL_SOCKET, SO_RCVTIMEO, &kAnswerWithin, sizeof kAnswerWithin);
  const Request request = request_for(address);
  if (::send(netlink.get(), &request, sizeof request, 0) < 0)
    return errno_error(errno, "ask sock_diag about", address.to_string());
  alignas(nlmsghdr) std::array<char, 4096> buffer{};
  const ssize_t length = ::recv(netlink.get(), buffer.data(), buffer.size(), 0);
  if (length < 0) return errno_error(errno, "read sock_diag's answer about", address.to_string());
  const auto* header = reinterpret_cast<const nlmsghdr*>(buffer.data());
  if (!NLMSG_OK(header, static_cast<std::size_t>(length)))
    return errno_error(EPROTO, "read sock_diag's answer about", address.to_string());
  const auto* payload = buffer.data() + NLMSG_HDRLEN;
  if (header->nlmsg_type == NLMSG_ERROR) {
    nlmsgerr error{};
    if (header->nlmsg_len < NLMSG_LENGTH(sizeof error))
      return errno_error(EPROTO, "read sock_diag's answer about", address.to_string());
    std::memcpy(&error, payload, sizeof error);
    if (error.error == -ENOENT) return false;
    return errno_error(-error.error, "ask sock_diag about", address.to_string());
  }
  inet_diag_msg answer{};
  if (header->nlmsg_len < NLMSG_LENGTH(sizeof answer))
    return errno_error(EPROTO, "read sock_diag's answer about", address.to_string());
  std::memcpy(&answer, payload, sizeof answer);
  // The kernel finds what would get a connection to the address: a wildcard listener too, which is another's.
  return answer.idiag_state == kTcpListen && ntohs(answer.id.idiag_sport) == address.port &&
         source_of(answer) == address.ip;
}

}  // namespace causeway::kernel
