#include "dns/server.h"

#include <cerrno>

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/log.h"
#include "dns/responder.h"
#include "dns/tcp_server.h"
#include "dns/udp_forwarder.h"
#include "dns/udp_listener.h"

namespace causeway::dns {
namespace {

struct Pair {
  Fd udp, tcp;
  SocketAddress address;
};

Result<Pair> open_pair(const SocketAddress& wanted) {
  // A port that is free for UDP may be taken for TCP; with port 0 another one will do.
  for (int attempts_left = wanted.port == 0 ? 16 : 1;; --attempts_left) {
    auto udp = UdpListener::open(wanted);
    if (!udp) return udp.error();
    sockaddr_storage bound{};
    socklen_t length = sizeof bound;
    if (::getsockname(udp->get(), reinterpret_cast<sockaddr*>(&bound), &length) != 0)
      return errno_error(errno, "read the address of DNS socket", wanted.to_string());
    const SocketAddress address{wanted.ip, SocketAddress::from(bound)->port};
    auto tcp = TcpServer::open(address);
    if (tcp) return Pair{std::move(*udp), std::move(*tcp), address};
    if (tcp.error().code != EADDRINUSE || attempts_left <= 1) return tcp.error();
  }
}

Error with_advice(Error error) {
  if (error.code == EADDRINUSE)
    error.cause += "; another DNS server or agent has it, listen.dns and listen.dns6 set another address";
  return error;
}

}  // namespace

struct Server::State {
  State(boost::asio::any_io_executor e, AskerLookup& a, ServerOptions o)
      : executor(std::move(e)),
        askers(a),
        options(std::move(o)),
        responder(counters, options.fallback_resolvers),
        forwarder(executor, options.forward_timeout, counters),
        tcp(std::make_shared<TcpServer>(executor, askers, responder, counters, options.forward_timeout)) {}

  boost::asio::any_io_executor executor;
  AskerLookup& askers;
  ServerOptions options;
  Counters counters;
  Responder responder;
  UdpForwarder forwarder;
  std::vector<std::shared_ptr<UdpListener>> udp;
  std::shared_ptr<TcpServer> tcp;
  std::vector<SocketAddress> addresses;
};

Server::Server(boost::asio::any_io_executor executor, AskerLookup& askers, ServerOptions options)
    : state_(std::make_shared<State>(std::move(executor), askers, std::move(options))) {}

Server::~Server() {
  stop();
}

Result<void> Server::start() {
  State& s = *state_;
  for (const SocketAddress& wanted : s.options.listen) {
    auto pair = open_pair(wanted);
    if (!pair) {
      const bool no_ipv6 =
          !wanted.ip.is_v4() && (pair.error().code == EADDRNOTAVAIL || pair.error().code == EAFNOSUPPORT);
      if (!no_ipv6) return with_advice(pair.error());
      log::warn("DNS does not listen on {}: this network namespace has no such IPv6 address", wanted.to_string());
      continue;
    }
    s.addresses.push_back(pair->address);
    s.udp.push_back(
        std::make_shared<UdpListener>(s.executor, std::move(pair->udp), s.askers, s.responder, s.forwarder));
    s.tcp->serve(std::move(pair->tcp), !wanted.ip.is_v4());
  }
  s.responder.set_own(s.addresses);
  for (const auto& listener : s.udp) listener->start();
  return {};
}

void Server::stop() {
  for (const auto& listener : state_->udp) listener->stop();
  state_->forwarder.stop();
  state_->tcp->stop();
}

std::vector<SocketAddress> Server::addresses() const {
  return state_->addresses;
}

void Server::publish(SnapshotPtr snapshot) {
  // Every query reads the newest zone: once it is stored it is in use, and so acknowledged.
  const auto before = state_->responder.zone();
  if (before && before->snapshot() == snapshot) return;
  state_->responder.set_zone(std::make_shared<const Zone>(std::move(snapshot), before.get()));
}

Revision Server::acknowledged() const {
  return state_->responder.revision();
}

const Counters& Server::counters() const {
  return state_->counters;
}

}  // namespace causeway::dns
