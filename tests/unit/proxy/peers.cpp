#include "peers.h"

#include <algorithm>
#include <cerrno>
#include <chrono>

#include <gtest/gtest.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace causeway::proxy::test {

namespace {

constexpr int kWaitMs = 10'000;

Fd bind_to_loopback(std::uint16_t port, SocketAddress& address) {
  Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_storage storage;
  auto length = SocketAddress{IpAddress::v4(0x7f000001), port}.to(storage);
  EXPECT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&storage), length), 0);
  length = sizeof storage;
  EXPECT_EQ(::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&storage), &length), 0);
  address = *SocketAddress::from(storage);
  return fd;
}

Fd listen_on_loopback(std::uint16_t port, SocketAddress& address) {
  Fd fd = bind_to_loopback(port, address);
  EXPECT_EQ(::listen(fd.get(), 1024), 0);
  return fd;
}

}  // namespace

std::string Reply::field(std::string_view name) const {
  std::size_t at = head.find("\r\n");
  while (at != std::string::npos) {
    const std::size_t begin = at + 2;
    const std::size_t end = head.find("\r\n", begin);
    if (end == std::string::npos) break;
    const auto line = std::string_view(head).substr(begin, end - begin);
    if (const auto colon = line.find(':'); colon != std::string_view::npos) {
      std::string key(line.substr(0, colon));
      std::transform(key.begin(), key.end(), key.begin(), [](unsigned char c) { return std::tolower(c); });
      if (key == name) return std::string(line.substr(line.find_first_not_of(' ', colon + 1)));
    }
    at = end;
  }
  return "";
}

Peer::Peer(Fd fd) : fd_(std::move(fd)) {
  const int on = 1;
  ::setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

Peer Peer::dial(const SocketAddress& address, int receive_buffer) {
  sockaddr_storage storage;
  const auto length = address.to(storage);
  Fd fd(::socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (receive_buffer > 0) ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
  EXPECT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr*>(&storage), length), 0) << address.to_string();
  return Peer(std::move(fd));
}

bool Peer::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

std::size_t Peer::send_some(std::string_view bytes) {
  const ssize_t n = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  return n > 0 ? static_cast<std::size_t>(n) : 0;
}

std::size_t Peer::send_until_stuck(std::size_t bytes) {
  const std::string block(65536, 'x');
  std::size_t sent = 0;
  pollfd poll_fd{fd_.get(), POLLOUT, 0};
  while (sent < bytes && ::poll(&poll_fd, 1, 1000) == 1) {
    const auto n = send_some(block);
    if (n == 0 && (poll_fd.revents & (POLLERR | POLLHUP)) != 0) break;
    sent += n;
  }
  return sent;
}

bool Peer::all_acknowledged() {
  return eventually([this] {
    int unacknowledged = 0;
    return ::ioctl(fd_.get(), SIOCOUTQ, &unacknowledged) == 0 && unacknowledged == 0;
  });
}

void Peer::shutdown_send() {
  ::shutdown(fd_.get(), SHUT_WR);
}

void Peer::reset() {
  const linger abort{1, 0};
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &abort, sizeof abort);
  fd_.reset();
}

bool Peer::fill() {
  pollfd poll_fd{fd_.get(), POLLIN, 0};
  if (::poll(&poll_fd, 1, kWaitMs) <= 0) {
    end_ = End::timed_out;
    return false;
  }
  char bytes[65536];
  const ssize_t n = ::recv(fd_.get(), bytes, sizeof bytes, 0);
  if (n > 0) {
    buffer_.append(bytes, static_cast<std::size_t>(n));
    return true;
  }
  end_ = n == 0 ? End::closed : End::reset;
  return false;
}

std::string Peer::read_until(std::string_view end) {
  std::size_t at = 0;
  while ((at = buffer_.find(end)) == std::string::npos) {
    if (!fill()) return "";
  }
  auto out = buffer_.substr(0, at + end.size());
  buffer_.erase(0, out.size());
  return out;
}

std::string Peer::read_exactly(std::size_t bytes) {
  while (buffer_.size() < bytes) {
    if (!fill()) return "";
  }
  auto out = buffer_.substr(0, bytes);
  buffer_.erase(0, bytes);
  return out;
}

std::string Peer::read_all() {
  while (fill()) {
  }
  return std::exchange(buffer_, {});
}

std::optional<Reply> Peer::read_message(bool head_only) {
  Reply reply;
  reply.head = read_until("\r\n\r\n");
  if (reply.head.empty()) return std::nullopt;
  if (reply.head.starts_with("HTTP/1.")) reply.status = std::atoi(reply.head.c_str() + 9);
  if (head_only) return reply;
  if (const auto length = reply.field("content-length"); !length.empty()) {
    const auto bytes = std::stoull(length);
    reply.body = read_exactly(bytes);
    if (reply.body.size() != bytes) return std::nullopt;
  } else if (reply.field("transfer-encoding") == "chunked") {
    for (;;) {
      const auto line = read_until("\r\n");
      if (line.empty()) return std::nullopt;
      const auto size = std::stoull(line, nullptr, 16);
      if (size == 0) break;
      const auto chunk = read_exactly(size + 2);
      if (chunk.empty()) return std::nullopt;
      reply.body += chunk.substr(0, size);
    }
    while (read_until("\r\n").size() > 2) {
    }
  }
  return reply;
}

Server::Server(Handler handler, std::uint16_t port)
    : handler_(std::move(handler)),
      listener_(listen_on_loopback(port, address_)),
      acceptor_([this] { accept_all(); }) {}

void Server::accept_all() {
  for (;;) {
    Fd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!fd) return;
    ++connections_;
    const std::lock_guard lock(mutex_);
    // A duplicate, so that the end of the handler does not free the number that the destructor shuts down.
    open_.push_back(::dup(fd.get()));
    threads_.emplace_back([this, fd = std::make_shared<Fd>(std::move(fd)), held = open_.back()] {
      Peer peer(std::move(*fd));
      handler_(peer);
      peer = Peer();
      const std::lock_guard inner(mutex_);
      std::erase(open_, held);
      ::close(held);
      ++ended_;
    });
  }
}

Server::~Server() {
  ::shutdown(listener_.get(), SHUT_RDWR);
  acceptor_.join();
  {
    const std::lock_guard lock(mutex_);
    for (const int fd : open_) ::shutdown(fd, SHUT_RDWR);
  }
  for (auto& thread : threads_) thread.join();
}

Server::Handler Server::echo_name(std::string name) {
  return [name = std::move(name)](Peer& peer) {
    while (peer.read_message()) {
      if (!peer.send(response(name))) return;
    }
  };
}

SocketAddress refusing_address() {
  static std::vector<Fd> bound;
  SocketAddress address;
  bound.push_back(bind_to_loopback(0, address));
  return address;
}

std::string response(std::string_view body, std::string_view more_fields) {
  return "HTTP/1.1 200 OK\r\ncontent-length: " + std::to_string(body.size()) + "\r\n" + std::string(more_fields) +
         "\r\n" + std::string(body);
}

std::string get(std::string_view path, std::string_view more_fields) {
  return "GET " + std::string(path) + " HTTP/1.1\r\nhost: user-svc\r\n" + std::string(more_fields) + "\r\n";
}

bool eventually(const std::function<bool()>& holds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(kWaitMs);
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

}  // namespace causeway::proxy::test
