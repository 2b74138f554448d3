#include "stub_resolver.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

namespace causeway::dns::test {
namespace {

SocketAddress bound_address(int fd) {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &length);
  return *SocketAddress::from(storage);
}

int bind_to(int fd, const SocketAddress& address) {
  sockaddr_storage storage{};
  const socklen_t length = address.to(storage);
  return ::bind(fd, reinterpret_cast<const sockaddr*>(&storage), length);
}

bool read_exactly(int fd, void* out, std::size_t size) {
  return ::recv(fd, out, size, MSG_WAITALL) == static_cast<ssize_t>(size);
}

}  // namespace

StubResolver::StubResolver(Script script) : script_(std::move(script)), stop_(::eventfd(0, EFD_CLOEXEC)) {
  for (int attempt = 0; attempt < 16; ++attempt) {
    udp_ = Fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    bind_to(udp_.get(), {ip_loopback(), 0});
    address_ = bound_address(udp_.get());
    tcp_ = Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (bind_to(tcp_.get(), address_) == 0 && ::listen(tcp_.get(), 16) == 0) {
      thread_ = std::thread([this] { run(); });
      return;
    }
  }
  ADD_FAILURE() << "no port for the stub resolver";
}

StubResolver::~StubResolver() {
  const std::uint64_t one = 1;
  EXPECT_EQ(::write(stop_.get(), &one, sizeof one), 8);
  if (thread_.joinable()) thread_.join();
}

std::vector<StubResolver::Asked> StubResolver::asked() const {
  const std::lock_guard lock(mutex_);
  return asked_;
}

std::vector<Packet> StubResolver::answer(const Packet& query, std::uint16_t port, bool tcp) {
  {
    const std::lock_guard lock(mutex_);
    asked_.push_back({query, port, tcp});
  }
  return script_(query, tcp);
}

void StubResolver::run() {
  pollfd polled[] = {{udp_.get(), POLLIN, 0}, {tcp_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}};
  while (::poll(polled, 3, -1) > 0 && polled[2].revents == 0) {
    if (polled[0].revents != 0) serve_udp();
    if (polled[1].revents != 0) serve_tcp();
  }
}

void StubResolver::serve_udp() {
  Packet query(65535);
  sockaddr_storage peer{};
  socklen_t length = sizeof peer;
  const ssize_t got =
      ::recvfrom(udp_.get(), query.data(), query.size(), 0, reinterpret_cast<sockaddr*>(&peer), &length);
  if (got < 0) return;
  query.resize(static_cast<std::size_t>(got));
  for (const Packet& reply : answer(query, SocketAddress::from(peer)->port, false))
    ::sendto(udp_.get(), reply.data(), reply.size(), 0, reinterpret_cast<sockaddr*>(&peer), length);
}

void StubResolver::serve_tcp() {
  const Fd connection(::accept4(tcp_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  const timeval limit{5, 0};
  ::setsockopt(connection.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  std::uint8_t size[2];
  while (read_exactly(connection.get(), size, 2)) {
    Packet query(static_cast<std::size_t>(size[0] << 8 | size[1]));
    if (!read_exactly(connection.get(), query.data(), query.size())) return;
    const auto replies = answer(query, 0, true);
    if (replies.empty()) return;
    for (const Packet& reply : replies) {
      Packet framed;
      append16(framed, static_cast<unsigned>(reply.size()));
      framed.insert(framed.end(), reply.begin(), reply.end());
      ::send(connection.get(), framed.data(), framed.size(), MSG_NOSIGNAL);
    }
  }
}

Packet a_answer(const Packet& query, IpAddress address) {
  Packet out = query;
  out[2] |= 0x80;
  out[7] = 1;
  out[10] = out[11] = 0;
  std::size_t end = 12;
  while (out[end] != 0) end += out[end] + 1u;
  out.resize(end + 5);  // the question alone
  for (const unsigned v : {0xc00cu, 1u, 1u, 0u, 60u, 4u}) append16(out, v);
  out.insert(out.end(), address.bytes().begin() + 12, address.bytes().end());
  return out;
}

}  // namespace causeway::dns::test
