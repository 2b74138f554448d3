#include "dns/tcp_server.h"

#include <cerrno>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <sys/socket.h>

#include "base/log.h"
#include "dns/udp_forwarder.h"

namespace causeway::dns {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

constexpr int kBacklog = 128;

auto into(error_code& error) {
  return asio::redirect_error(asio::use_awaitable, error);
}

/// One framed message, empty at the end of the connection or on an error.
asio::awaitable<std::vector<std::uint8_t>> read_message(TcpStream& stream) {
  error_code error;
  std::uint8_t length[2];
  co_await asio::async_read(stream.socket, asio::buffer(length), into(error));
  std::vector<std::uint8_t> message;
  if (error) co_return message;
  message.resize(static_cast<std::size_t>(length[0] << 8 | length[1]));
  co_await asio::async_read(stream.socket, asio::buffer(message), into(error));
  if (error) message.clear();
  co_return message;
}

asio::awaitable<bool> write_message(TcpStream& stream, Bytes message) {
  error_code error;
  const std::uint8_t length[2] = {static_cast<std::uint8_t>(message.size() >> 8),
                                  static_cast<std::uint8_t>(message.size() & 0xff)};
  // One write, so that length and message share a segment (RFC 7766, 8).
  const std::array<asio::const_buffer, 2> parts{asio::buffer(length), asio::buffer(message.data(), message.size())};
  co_await asio::async_write(stream.socket, parts, into(error));
  co_return !error;
}

tcp::endpoint endpoint_of(const SocketAddress& address) {
  sockaddr_storage storage{};
  tcp::endpoint endpoint;
  const socklen_t length = address.to(storage);
  endpoint.resize(length);
  std::memcpy(endpoint.data(), &storage, length);
  return endpoint;
}

}  // namespace

void TcpStream::expire_after(std::chrono::milliseconds time) {
  timer.expires_after(time);
  timer.async_wait([self = shared_from_this()](error_code error) {
    if (error || self->timer.expiry() > std::chrono::steady_clock::now()) return;
    self->expired = true;
    self->close();
  });
}

void TcpStream::close() {
  error_code ignored;
  timer.cancel();
  socket.close(ignored);
}

Result<Fd> TcpServer::open(const SocketAddress& address) {
  sockaddr_storage storage{};
  const socklen_t length = address.to(storage);
  const std::string subject = "TCP " + address.to_string();
  Fd fd(::socket(storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return errno_error(errno, "open DNS socket", subject);
  const int on = 1;
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0)
    return errno_error(errno, "set SO_REUSEADDR on", subject);
  if (storage.ss_family == AF_INET6 && ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0)
    return errno_error(errno, "set IPV6_V6ONLY on DNS socket", subject);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&storage), length) != 0 || ::listen(fd.get(), kBacklog) != 0)
    return errno_error(errno, "open DNS socket", subject);
  return fd;
}

void TcpServer::serve(Fd listener, bool v6) {
  auto acceptor = std::make_shared<tcp::acceptor>(executor_, v6 ? tcp::v6() : tcp::v4(), listener.release());
  acceptors_.push_back(acceptor);
  asio::co_spawn(executor_, accept(shared_from_this(), std::move(acceptor)), asio::detached);
}

void TcpServer::stop() {
  stopped_ = true;
  error_code ignored;
  for (const auto& acceptor : acceptors_) acceptor->close(ignored);
  for (const Stream& stream : streams_) stream->close();
  for (const Stream& stream : upstreams_) stream->close();
}

TcpServer::Task<> TcpServer::accept(std::shared_ptr<TcpServer> self, std::shared_ptr<tcp::acceptor> acceptor) {
  while (!self->stopped_) {
    error_code error;
    tcp::socket socket = co_await acceptor->async_accept(into(error));
    if (error == asio::error::operation_aborted || self->stopped_) co_return;
    if (error) {
      // Most likely out of descriptors: waiting lets connections end, spinning would not.
      log::warn("DNS: accept: {}", error.message());
      asio::steady_timer pause(self->executor_, std::chrono::milliseconds(100));
      co_await pause.async_wait(into(error));
      continue;
    }
    if (self->streams_.size() >= kMaxConnections) continue;  // closed at once: the asker tries again or elsewhere
    auto stream = std::make_shared<TcpStream>(std::move(socket));
    self->streams_.insert(stream);
    asio::co_spawn(self->executor_, session(self, std::move(stream)), asio::detached);
  }
}

TcpServer::Task<> TcpServer::session(std::shared_ptr<TcpServer> self, Stream client) {
  if (!self->stopped_) co_await self->serve_queries(client);
  client->close();
  self->streams_.erase(client);
}

TcpServer::Task<> TcpServer::serve_queries(Stream client) {
  error_code error;
  client->socket.set_option(tcp::no_delay(true), error);
  const tcp::endpoint remote = client->socket.remote_endpoint(error);
  if (error) co_return;
  sockaddr_storage storage{};
  std::memcpy(&storage, remote.data(), remote.size());
  const auto peer = SocketAddress::from(storage);
  if (!peer) co_return;
  const Asker asker = askers_.tcp(client->socket.native_handle(), *peer);
  for (;;) {
    client->expire_after(kIdle);
    const Message query = co_await read_message(*client);
    if (query.empty() || stopped_) co_return;
    const bool go_on = co_await answer(client, query, asker);
    if (!go_on) co_return;
  }
}

TcpServer::Task<bool> TcpServer::answer(Stream client, const Message& query, const Asker& asker) {
  Decision decision = responder_.decide(query, asker, Transport::tcp);
  if (decision.kind == Decision::Kind::drop) co_return false;
  if (decision.kind == Decision::Kind::transfer) {
    co_await transfer(client, query, decision);
    co_return false;
  }
  client->expire_after(kIdle + forward_timeout_);
  if (decision.kind == Decision::Kind::forward) {
    decision.reply = co_await forward(query, decision);
    if (stopped_) co_return false;  // the responder may be gone
    if (decision.reply.empty()) {
      decision.reply = responder_.servfail(query, decision.query);
    } else {
      responder_.relayed();
    }
  }
  const bool written = co_await write_message(*client, decision.reply);
  co_return written && !stopped_;
}

TcpServer::Task<TcpServer::Message> TcpServer::forward(const Message& query, const Decision& decision) {
  const auto each = forward_timeout_ / static_cast<int>(decision.resolvers.size());
  Message reply;
  for (const SocketAddress& resolver : decision.resolvers) {
    const std::uint16_t id = unguessable_id();
    const Stream upstream = co_await ask(query, resolver, each, id);
    reply = co_await next_reply(upstream, decision, id);
    release(upstream);
    if (stopped_ || !reply.empty()) break;
    if (upstream->expired) counters_.forward_timeouts.fetch_add(1, std::memory_order_relaxed);
  }
  co_return reply;
}

TcpServer::Task<TcpServer::Stream> TcpServer::ask(const Message& query, SocketAddress resolver,
                                                  std::chrono::milliseconds within, std::uint16_t id) {
  const auto upstream = std::make_shared<TcpStream>(tcp::socket(executor_));
  upstreams_.insert(upstream);
  upstream->expire_after(within);
  error_code error;
  co_await upstream->socket.async_connect(endpoint_of(resolver), into(error));
  if (!error) {
    Message asked = query;
    set_message_id(asked, id);
    co_await write_message(*upstream, asked);
  }
  co_return upstream;
}

TcpServer::Task<TcpServer::Message> TcpServer::next_reply(Stream upstream, const Decision& decision, std::uint16_t id) {
  Message reply;
  do {
    reply = co_await read_message(*upstream);
  } while (!reply.empty() && !answers_query(reply, id, decision.query.opcode(), decision.query.question));
  if (!reply.empty()) set_message_id(reply, decision.query.id);
  co_return reply;
}

TcpServer::Task<> TcpServer::transfer(Stream client, const Message& query, const Decision& decision) {
  // Where a transfer ends stands in its records, which are not read: it goes on until one side closes or nothing
  // comes for a while.
  const std::uint16_t id = unguessable_id();
  const Stream upstream = co_await ask(query, decision.resolvers.front(), forward_timeout_, id);
  for (bool first = true;; first = false) {
    client->expire_after(kIdle + forward_timeout_);
    Message reply = co_await read_message(*upstream);
    if (stopped_) break;
    if (first && answers_query(reply, id, decision.query.opcode(), decision.query.question)) {
      responder_.relayed();
    } else if (first) {
      reply = responder_.servfail(query, decision.query);
      upstream->close();
    } else if (reply.size() < kHeaderBytes || message_id(reply) != id) {
      break;
    }
    set_message_id(reply, decision.query.id);
    const bool written = co_await write_message(*client, reply);
    if (!written || !upstream->socket.is_open()) break;
    upstream->expire_after(kIdle);
  }
  release(upstream);
}

void TcpServer::release(const Stream& upstream) {
  upstream->close();
  upstreams_.erase(upstream);
}

}  // namespace causeway::dns
