#include "dns/udp_forwarder.h"

#include <cerrno>
#include <cstdlib>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <sys/random.h>
#include <sys/socket.h>

namespace causeway::dns {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

/// Datagrams read in one go, so that a flood on one socket leaves the others their turn.
constexpr int kAnswerBatch = 64;

void close(asio::posix::stream_descriptor& socket) {
  error_code ignored;
  socket.close(ignored);
}

}  // namespace

struct UdpForwarder::Exchange {
  Exchange(const asio::any_io_executor& executor, Bytes packet)
      : bytes(packet.begin(), packet.end()), socket(executor), timer(executor) {}

  std::vector<std::uint8_t> bytes;
  std::uint16_t client_id = 0;
  std::uint16_t id = 0;
  unsigned opcode = 0;
  std::string question;
  std::vector<SocketAddress> resolvers;
  std::size_t next = 0;
  asio::posix::stream_descriptor socket;
  asio::steady_timer timer;
  Done done;
};

std::uint16_t unguessable_id() {
  std::uint16_t id = 0;
  if (::getrandom(&id, sizeof id, 0) != sizeof id) std::abort();  // fails only before the kernel's pool is ready
  return id;
}

UdpForwarder::UdpForwarder(asio::any_io_executor executor, std::chrono::milliseconds timeout, Counters& counters)
    : executor_(std::move(executor)), timeout_(timeout), counters_(counters), buffer_(kMaxTcpBytes) {}

UdpForwarder::~UdpForwarder() {
  stop();
}

void UdpForwarder::stop() {
  for (const auto& exchange : outstanding_) {
    exchange->done = nullptr;
    exchange->timer.cancel();
    close(exchange->socket);
  }
  outstanding_.clear();
}

void UdpForwarder::forward(Bytes packet, const Decision& decision, Done done) {
  if (outstanding_.size() >= kMaxOutstanding) return done({});
  auto exchange = std::make_shared<Exchange>(executor_, packet);
  exchange->client_id = decision.query.id;
  exchange->opcode = decision.query.opcode();
  exchange->question = decision.query.question;
  exchange->resolvers = decision.resolvers;
  exchange->done = std::move(done);
  outstanding_.insert(exchange);
  next_resolver(exchange);
}

void UdpForwarder::next_resolver(const std::shared_ptr<Exchange>& exchange) {
  bool asked = false;
  while (!asked && exchange->next < exchange->resolvers.size()) asked = ask(*exchange);
  if (!asked) return finish(exchange, {});
  exchange->timer.expires_after(timeout_ / static_cast<int>(exchange->resolvers.size()));
  exchange->timer.async_wait([this, weak = std::weak_ptr(exchange)](error_code error) {
    const auto held = weak.lock();
    if (error || !held || !held->done || held->timer.expiry() > std::chrono::steady_clock::now()) return;
    counters_.forward_timeouts.fetch_add(1, std::memory_order_relaxed);
    next_resolver(held);
  });
  receive(exchange);
}

bool UdpForwarder::ask(Exchange& exchange) {
  close(exchange.socket);
  sockaddr_storage address{};
  const socklen_t length = exchange.resolvers[exchange.next++].to(address);
  Fd fd(::socket(address.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd || ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), length) != 0) return false;
  exchange.id = unguessable_id();
  set_message_id(exchange.bytes, exchange.id);
  if (::send(fd.get(), exchange.bytes.data(), exchange.bytes.size(), MSG_NOSIGNAL) < 0) return false;
  error_code error;
  exchange.socket.assign(fd.get(), error);
  if (error) return false;
  fd.release();
  return true;
}

void UdpForwarder::receive(const std::shared_ptr<Exchange>& exchange) {
  exchange->socket.async_wait(
      asio::posix::descriptor_base::wait_read, [this, weak = std::weak_ptr(exchange)](error_code error) {
        const auto held = weak.lock();
        if (error || !held || !held->done) return;  // closed: another resolver's turn, or over
        for (int i = 0; i < kAnswerBatch; ++i) {
          const ssize_t got = ::recv(held->socket.native_handle(), buffer_.data(), buffer_.size(), 0);
          if (got < 0 && (errno == EAGAIN || errno == EINTR)) return receive(held);
          if (got < 0) return next_resolver(held);  // ICMP: nobody there
          const std::span<std::uint8_t> reply(buffer_.data(), static_cast<std::size_t>(got));
          if (!answers_query(reply, held->id, held->opcode, held->question)) continue;  // forged or late
          set_message_id(reply, held->client_id);
          return finish(held, reply);
        }
        receive(held);
      });
}

void UdpForwarder::finish(const std::shared_ptr<Exchange>& exchange, Bytes reply) {
  const auto held = exchange;
  outstanding_.erase(held);
  held->timer.cancel();
  close(held->socket);
  if (const Done done = std::exchange(held->done, nullptr)) done(reply);
}

}  // namespace causeway::dns
