#pragma once
// One UDP socket that queries come in on.
#include <memory>
#include <vector>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <netinet/in.h>

#include "base/fd.h"
#include "dns/responder.h"
#include "dns/udp_forwarder.h"

namespace causeway::dns {

/// On one thread. Held by a shared_ptr: forwarded answers come back later.
class UdpListener : public std::enable_shared_from_this<UdpListener> {
 public:
  UdpListener(boost::asio::any_io_executor executor, Fd bound, AskerLookup& askers, Responder& responder,
              UdpForwarder& forwarder);

  void start() { wait(); }
  void stop();

  /// A bound socket that tells each datagram's destination; port 0 picks a free one.
  static Result<Fd> open(const SocketAddress& address);

 private:
  /// The asker's address, and ours as it dialled it: on a socket bound to every address the kernel would choose
  /// another.
  struct Path {
    sockaddr_storage peer{};
    socklen_t peer_length = sizeof(sockaddr_storage);
    alignas(cmsghdr) unsigned char control[CMSG_SPACE(sizeof(in6_pktinfo))]{};
    std::size_t control_length = 0;
  };

  void wait();
  bool receive();
  void handle(Bytes packet, const Path& path);
  void send(Bytes reply, const Path& path);

  boost::asio::posix::stream_descriptor socket_;
  AskerLookup& askers_;
  Responder& responder_;
  UdpForwarder& forwarder_;
  std::vector<std::uint8_t> buffer_;
};

}  // namespace causeway::dns
