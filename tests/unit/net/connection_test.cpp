#include "net/connection.h"

#include <cerrno>
#include <memory>
#include <string>
#include <thread>

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/acceptor.h"
#include "net/buffer.h"
#include "net/connect.h"
#include "net/join.h"
#include "net/origin.h"
#include "net/relay.h"
#include "net/socket_options.h"

namespace causeway::net {
namespace {

using namespace std::chrono_literals;
namespace asio = boost::asio;

std::pair<Fd, Fd> stream_pair() {
  int ends[2];
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
  return {Fd(ends[0]), Fd(ends[1])};
}

void run(EventLoop& loop, Task<> task) {
  std::exception_ptr failure;
  bool done = false;
  spawn(std::move(task), [&](std::exception_ptr f) {
    failure = std::move(f);
    done = true;
  });
  const auto end = std::chrono::steady_clock::now() + 10s;
  while (!done && std::chrono::steady_clock::now() < end) loop.run_once(100);
  ASSERT_TRUE(done);
  if (failure != nullptr) std::rethrow_exception(failure);
}

Fd bound(SocketAddress& address) {
  Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_storage storage;
  auto length = SocketAddress{IpAddress::v4(0x7f000001), 0}.to(storage);
  EXPECT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&storage), length), 0);
  length = sizeof storage;
  ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&storage), &length);
  address = *SocketAddress::from(storage);
  return fd;
}

Fd listener(SocketAddress& address) {
  Fd fd = bound(address);
  EXPECT_EQ(::listen(fd.get(), 16), 0);
  return fd;
}

/// Connections that a listener may accept.
unsigned waiting_at(int listening) {
  tcp_info info{};
  socklen_t length = sizeof info;
  EXPECT_EQ(::getsockopt(listening, IPPROTO_TCP, TCP_INFO, &info, &length), 0);
  return info.tcpi_unacked;
}

TEST(Origin, IsAnErrorForWhatWasNotIntercepted) {
  auto [a, b] = stream_pair();
  const auto origin = connection_origin(a.get());
  ASSERT_FALSE(origin);
  EXPECT_NE(origin.error().code, 0);
}

TEST(BufferTest, BorrowsAndGivesBack) {
  BufferPool pool;
  Buffer buffer(pool);
  EXPECT_EQ(pool.in_use(), 0u);
  EXPECT_EQ(buffer.view(), "");
  auto room = buffer.space();
  ASSERT_EQ(room.size(), kBlockBytes);
  std::copy_n("hello world", 11, room.begin());
  buffer.commit(11);
  EXPECT_EQ(pool.in_use(), 1u);
  buffer.consume(6);
  EXPECT_EQ(buffer.view(), "world");
  buffer.release_if_empty();
  EXPECT_EQ(buffer.view(), "world");
  buffer.grow(kBlockBytes * 3);
  EXPECT_EQ(buffer.view(), "world");
  EXPECT_EQ(pool.in_use(), 0u) << "the block went back when the bytes moved";
  buffer.consume(5);
  buffer.release_if_empty();
  EXPECT_EQ(buffer.capacity(), 0u);
}

TEST(BufferTest, MakesRoomByMovingItsBytes) {
  BufferPool pool;
  Buffer buffer(pool);
  buffer.commit(buffer.space().size());
  EXPECT_TRUE(buffer.space().empty());
  buffer.consume(kBlockBytes - 3);
  EXPECT_EQ(buffer.space().size(), kBlockBytes - 3);
  EXPECT_EQ(buffer.view().size(), 3u);
}

TEST(ConnectionTest, ReadsWritesAndSeesTheEnd) {
  EventLoop loop;
  auto [a, b] = stream_pair();
  Connection left(loop, std::move(a));
  Connection right(loop, std::move(b));
  const std::string sent(3'000'000, 'x');
  std::string got;
  run(loop, [&]() -> Task<> {
    // Named: a coroutine refers to its lambda's captures.
    const auto write = [&]() -> Task<> {
      std::array<iovec, 2> parts{
          {{const_cast<char*>(sent.data()), 1'000'000}, {const_cast<char*>(sent.data()), 2'000'000}}};
      std::size_t written = 0;
      const auto error = co_await left.write_all(parts, &written);
      EXPECT_FALSE(error);
      EXPECT_EQ(written, sent.size());
      left.shutdown_send();
    };
    const auto read_all = [&]() -> Task<> {
      std::vector<char> room(100'000);
      for (;;) {
        const IoResult read = co_await right.read_some(room);
        if (read.error == asio::error::eof) break;
        if (read.error) {
          ADD_FAILURE() << read.error.message();
          break;
        }
        got.append(room.data(), read.bytes);
      }
    };
    auto writing = write();
    auto reading = read_all();
    co_await join(std::move(writing), std::move(reading));
  }());
  EXPECT_TRUE(got == sent);
}

TEST(ConnectionTest, EndsAWaitWithTheReasonGiven) {
  EventLoop loop;
  auto [a, b] = stream_pair();
  Connection left(loop, std::move(a));
  Deadline deadline(
      loop.wheel, [](void* c) { static_cast<Connection*>(c)->interrupt(asio::error::timed_out); }, &left);
  deadline.expires_after(20ms);
  run(loop, [&]() -> Task<> {
    char room[10];
    IoResult read = co_await left.read_some(room);
    EXPECT_EQ(read.error, asio::error::timed_out);
    read = co_await left.read_some(room);
    EXPECT_EQ(read.error, asio::error::timed_out) << "until it is resumed";
    left.resume();
    EXPECT_EQ(left.try_read(room).error, asio::error::would_block);
  }());
}

TEST(ConnectionTest, TellsAQuietPeerFromOneThatSpokeLeftOrVanished) {
  auto [a, b] = stream_pair();
  EXPECT_TRUE(is_quiet(a.get()));
  EXPECT_FALSE(peer_is_gone(a.get()));
  ASSERT_EQ(::send(b.get(), "x", 1, 0), 1);
  EXPECT_FALSE(is_quiet(a.get()));
  ASSERT_EQ(::shutdown(b.get(), SHUT_WR), 0);
  EXPECT_FALSE(peer_is_gone(a.get())) << "it may still read";
  b.reset();
  EXPECT_TRUE(peer_is_gone(a.get()));
}

TEST(ConnectorTest, ConnectsIsRefusedAndTimesOut) {
  EventLoop loop;
  SocketAddress open;
  SocketAddress closed;
  const Fd listening = listener(open);
  const Fd refusing = bound(closed);
  // A full accept queue answers nothing: SYNs are dropped.
  SocketAddress full;
  const Fd stuck = listener(full);
  ASSERT_EQ(::listen(stuck.get(), 0), 0);
  std::vector<Fd> fill;
  run(loop, [&]() -> Task<> {
    Connector connector(loop);
    Connected connected = co_await connector.connect(open, 1s);
    EXPECT_NE(connected.connection, nullptr);
    connected = co_await connector.connect(closed, 1s);
    EXPECT_EQ(connected.error.value(), ECONNREFUSED);
    std::vector<std::unique_ptr<Connection>> held;
    for (int i = 0; i < 4; ++i) {
      connected = co_await connector.connect(full, 50ms);
      if (connected.connection == nullptr) break;
      held.push_back(std::move(connected.connection));
    }
    EXPECT_EQ(connected.error.value(), ETIMEDOUT);
  }());
}

TEST(AcceptorTest, AcceptsAlsoWhatWaitsWhenItStops) {
  EventLoop loop;
  SocketAddress address;
  std::vector<Fd> accepted;
  Fd listening = listener(address);
  const int listening_fd = listening.get();
  Acceptor acceptor(loop, std::move(listening), [&](Fd socket) { accepted.push_back(std::move(socket)); });
  acceptor.start();
  sockaddr_storage storage;
  const auto length = address.to(storage);
  std::vector<Fd> clients;
  const auto dial = [&] {
    clients.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    return ::connect(clients.back().get(), reinterpret_cast<sockaddr*>(&storage), length);
  };
  for (int i = 0; i < 5; ++i) ASSERT_EQ(dial(), 0);
  for (int turn = 0; accepted.size() < 5 && turn < 50; ++turn) loop.run_once(100);
  EXPECT_EQ(accepted.size(), 5u);
  for (int i = 0; i < 5; ++i) ASSERT_EQ(dial(), 0);
  const auto end = std::chrono::steady_clock::now() + 10s;
  while (waiting_at(listening_fd) < 5 && std::chrono::steady_clock::now() < end) std::this_thread::yield();
  acceptor.stop();
  EXPECT_EQ(accepted.size(), 10u);
  EXPECT_NE(dial(), 0) << "it listens no more";
}

TEST(RelayTest, PassesBytesAndEndsInBothDirections) {
  EventLoop loop;
  BufferPool pool;
  auto [client, a] = stream_pair();
  auto [b, server] = stream_pair();
  Connection left(loop, std::move(a));
  Connection right(loop, std::move(b));
  Buffer there(pool);
  Buffer back(pool);
  std::size_t moved = 0;
  const auto count = [](void* sum, std::size_t bytes) { *static_cast<std::size_t*>(sum) += bytes; };
  ASSERT_EQ(::send(client.get(), "ping", 4, 0), 4);
  ASSERT_EQ(::shutdown(client.get(), SHUT_WR), 0);
  ASSERT_EQ(::send(server.get(), "pong!", 5, 0), 5);
  ASSERT_EQ(::shutdown(server.get(), SHUT_WR), 0);
  run(loop, [&]() -> Task<> {
    const Pump first{left, right, there, &moved, count};
    const Pump second{right, left, back, &moved, count};
    const auto error = co_await relay(first, second);
    EXPECT_FALSE(error);
  }());
  char room[10];
  EXPECT_EQ(::recv(server.get(), room, sizeof room, 0), 4);
  EXPECT_EQ(::recv(server.get(), room, sizeof room, 0), 0);
  EXPECT_EQ(::recv(client.get(), room, sizeof room, 0), 5);
  EXPECT_EQ(::recv(client.get(), room, sizeof room, 0), 0);
  EXPECT_EQ(moved, 9u);
  EXPECT_EQ(pool.in_use(), 0u);
}

TEST(RelayTest, AnErrorOfOneSideEndsBoth) {
  EventLoop loop;
  BufferPool pool;
  auto [client, a] = stream_pair();
  auto [b, server] = stream_pair();
  Connection left(loop, std::move(a));
  Connection right(loop, std::move(b));
  Buffer there(pool);
  Buffer back(pool);
  const auto ignore = [](void*, std::size_t) {};
  server.reset();  // writing to it is EPIPE
  ASSERT_EQ(::send(client.get(), "ping", 4, 0), 4);
  run(loop, [&]() -> Task<> {
    const Pump first{left, right, there, nullptr, ignore};
    const Pump second{right, left, back, nullptr, ignore};
    const auto error = co_await relay(first, second);
    EXPECT_EQ(error.value(), EPIPE);
  }());
}

}  // namespace
}  // namespace causeway::net
