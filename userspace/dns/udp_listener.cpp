#include "dns/udp_listener.h"

#include <cerrno>
#include <cstring>

#include <sys/socket.h>

namespace causeway::dns {
namespace {

namespace asio = boost::asio;

constexpr int kReceiveBatch = 64;
/// Longer queries are nobody's: a question, OPT and TSIG are below 1 KiB.
constexpr std::size_t kMaxQueryBytes = 4096;

}  // namespace

UdpListener::UdpListener(asio::any_io_executor executor, Fd bound, AskerLookup& askers, Responder& responder,
                         UdpForwarder& forwarder)
    : socket_(std::move(executor), bound.release()),
      askers_(askers),
      responder_(responder),
      forwarder_(forwarder),
      buffer_(kMaxQueryBytes) {}

Result<Fd> UdpListener::open(const SocketAddress& address) {
  sockaddr_storage storage{};
  const socklen_t length = address.to(storage);
  const std::string subject = "UDP " + address.to_string();
  Fd fd(::socket(storage.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return errno_error(errno, "open DNS socket", subject);
  const int on = 1;
  const bool v6 = storage.ss_family == AF_INET6;
  if (v6 && ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0)
    return errno_error(errno, "set IPV6_V6ONLY on DNS socket", subject);
  const int told = v6 ? ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on)
                      : ::setsockopt(fd.get(), IPPROTO_IP, IP_PKTINFO, &on, sizeof on);
  if (told != 0) return errno_error(errno, "set PKTINFO on DNS socket", subject);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&storage), length) != 0)
    return errno_error(errno, "open DNS socket", subject);
  return fd;
}

void UdpListener::stop() {
  boost::system::error_code ignored;
  socket_.close(ignored);
}

void UdpListener::wait() {
  socket_.async_wait(asio::posix::descriptor_base::wait_read,
                     [weak = weak_from_this()](boost::system::error_code error) {
                       const auto self = weak.lock();
                       if (error || !self) return;
                       for (int i = 0; i < kReceiveBatch && self->receive(); ++i) {
                       }
                       self->wait();
                     });
}

bool UdpListener::receive() {
  Path path;
  iovec part{buffer_.data(), buffer_.size()};
  msghdr message{};
  message.msg_name = &path.peer;
  message.msg_namelen = path.peer_length;
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = path.control;
  message.msg_controllen = sizeof path.control;
  const ssize_t got = ::recvmsg(socket_.native_handle(), &message, 0);
  if (got < 0) return errno == EINTR;
  path.peer_length = message.msg_namelen;
  path.control_length = message.msg_controllen;
  const bool cut_off = (message.msg_flags & MSG_TRUNC) != 0;
  handle(cut_off ? Bytes{} : Bytes(buffer_.data(), static_cast<std::size_t>(got)), path);
  return true;
}

void UdpListener::handle(Bytes packet, const Path& path) {
  const auto peer = SocketAddress::from(path.peer);
  // Port 0 cannot be answered.
  if (!peer || peer->port == 0) return;
  Decision decision = responder_.decide(packet, askers_.udp(*peer), Transport::udp);
  if (decision.kind == Decision::Kind::drop) return;
  if (decision.kind == Decision::Kind::reply) return send(decision.reply, path);
  std::vector<std::uint8_t> asked(packet.begin(), packet.end());
  forwarder_.forward(packet, decision,
                     [weak = weak_from_this(), path, query = decision.query, asked = std::move(asked)](Bytes reply) {
                       const auto self = weak.lock();
                       if (!self) return;
                       if (reply.empty()) return self->send(self->responder_.servfail(asked, query), path);
                       self->responder_.relayed();
                       self->send(reply, path);
                     });
}

void UdpListener::send(Bytes reply, const Path& path) {
  // The destination that came in goes out as the source; the interface is left to routing.
  Path out = path;
  iovec part{const_cast<std::uint8_t*>(reply.data()), reply.size()};
  msghdr message{};
  message.msg_name = &out.peer;
  message.msg_namelen = out.peer_length;
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = out.control;
  message.msg_controllen = out.control_length;
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level != IPPROTO_IP || c->cmsg_type != IP_PKTINFO) continue;
    in_pktinfo info{};
    std::memcpy(&info, CMSG_DATA(c), sizeof info);
    info.ipi_spec_dst = info.ipi_addr;
    info.ipi_ifindex = 0;
    std::memcpy(CMSG_DATA(c), &info, sizeof info);
  }
  if (out.control_length == 0) message.msg_control = nullptr;
  // A full buffer drops it, as the network may: the asker asks again.
  (void)::sendmsg(socket_.native_handle(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

}  // namespace causeway::dns
