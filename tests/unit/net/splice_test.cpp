#include "net/splice.h"

#include <string>
#include <thread>

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/relay.h"

namespace causeway::net {
namespace {

/// A TCP connection over loopback: {ours, the peer's}.
std::pair<Fd, Fd> tcp_pair() {
  Fd listening(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_storage storage;
  auto length = SocketAddress{IpAddress::v4(0x7f000001), 0}.to(storage);
  EXPECT_EQ(::bind(listening.get(), reinterpret_cast<sockaddr*>(&storage), length), 0);
  EXPECT_EQ(::listen(listening.get(), 1), 0);
  length = sizeof storage;
  ::getsockname(listening.get(), reinterpret_cast<sockaddr*>(&storage), &length);
  Fd peer(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(::connect(peer.get(), reinterpret_cast<sockaddr*>(&storage), length), 0);
  return {Fd(::accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)), std::move(peer)};
}

void write_all(int fd, const std::string& bytes) {
  for (std::size_t sent = 0; sent < bytes.size();) {
    const ssize_t n = ::send(fd, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (n <= 0) return;
    sent += static_cast<std::size_t>(n);
  }
}

std::string read_all(int fd) {
  std::string got;
  char room[65536];
  for (;;) {
    const ssize_t n = ::recv(fd, room, sizeof room, 0);
    if (n <= 0) return got;
    got.append(room, static_cast<std::size_t>(n));
  }
}

/// Waits until this has come: POLLIN for bytes, POLLRDHUP for the end.
bool has_come(short what, const Connection& connection) {
  pollfd waiting{connection.fd(), what, 0};
  return ::poll(&waiting, 1, 10'000) == 1;
}

std::string patterned(std::size_t bytes) {
  std::string out(bytes, '\0');
  for (std::size_t i = 0; i < bytes; ++i) out[i] = static_cast<char>(i * 31 + i / 997);
  return out;
}

class SpliceTest : public ::testing::Test {
 protected:
  SpliceTest() { ::signal(SIGPIPE, SIG_IGN); }  // splice(2) has no MSG_NOSIGNAL
  void run(Task<> task) {
    bool done = false;
    spawn(std::move(task), [&](const std::exception_ptr& failure) {
      EXPECT_EQ(failure, nullptr);
      done = true;
    });
    while (!done) loop_.run_once(1000);
  }

  EventLoop loop_;
  PipePool pipes_;
  std::size_t moved_ = 0;
  static void count(void* self, std::size_t bytes) { static_cast<SpliceTest*>(self)->moved_ += bytes; }
};

TEST_F(SpliceTest, PassesExactlyAsManyBytesAsAsked) {
  auto [in, from] = tcp_pair();
  auto [out, to] = tcp_pair();
  Connection source(loop_, std::move(in));
  Connection sink(loop_, std::move(out));
  const std::string bytes = patterned(5'000'000);
  std::thread writer([&, fd = from.get()] { write_all(fd, bytes); });
  std::string got;
  std::thread reader([&, fd = to.get()] { got = read_all(fd); });
  constexpr std::uint64_t kAsked = 4'000'001;
  run([&]() -> Task<> {
    std::uint64_t passed = 0;
    while (passed < kAsked) {
      BorrowedPipe pipe(pipes_);
      Splicing splicing{source, sink, kAsked - passed, this, count};
      const auto result = co_await splicing.run(pipe);
      EXPECT_FALSE(result.error);
      passed += result.bytes;
      if (result.end == Splicing::End::source_quiet) {
        const auto error = co_await source.wait_readable();
        EXPECT_FALSE(error);
      }
    }
    sink.shutdown_send();
  }());
  reader.join();
  source.close();
  writer.join();
  EXPECT_EQ(moved_, kAsked);
  EXPECT_TRUE(got == bytes.substr(0, kAsked));
  EXPECT_EQ(pipes_.in_use(), 0u);
}

TEST_F(SpliceTest, TellsTheEndsApart) {
  auto [in, from] = tcp_pair();
  auto [out, to] = tcp_pair();
  Connection source(loop_, std::move(in));
  Connection sink(loop_, std::move(out));
  write_all(from.get(), "abc");
  ASSERT_TRUE(has_come(POLLIN, source));
  run([&]() -> Task<> {
    BorrowedPipe pipe(pipes_);
    Splicing splicing{source, sink, 10, this, count};
    auto result = co_await splicing.run(pipe);
    EXPECT_EQ(result.end, Splicing::End::source_quiet);
    EXPECT_EQ(result.bytes, 3u);
    from.reset();
    EXPECT_TRUE(has_come(POLLRDHUP, source));
    const auto error = co_await source.wait_readable();
    EXPECT_FALSE(error);
    result = co_await splicing.run(pipe);
    EXPECT_EQ(result.end, Splicing::End::source_ended);
  }());
}

TEST_F(SpliceTest, APipeWithBytesLeftIsNotUsedAgain) {
  auto [in, from] = tcp_pair();
  auto [out, to] = tcp_pair();
  Connection source(loop_, std::move(in));
  Connection sink(loop_, std::move(out));
  write_all(from.get(), "left behind");
  ASSERT_TRUE(has_come(POLLIN, source));
  sink.interrupt(boost::asio::error::operation_aborted);
  run([&]() -> Task<> {
    BorrowedPipe pipe(pipes_);
    Splicing splicing{source, sink, 100, this, count};
    const auto result = co_await splicing.run(pipe);
    EXPECT_EQ(result.end, Splicing::End::sink_failed);
    EXPECT_EQ(result.error, boost::asio::error::operation_aborted);
  }());
  sink.resume();
  write_all(from.get(), "next");
  from.reset();
  ASSERT_TRUE(has_come(POLLRDHUP, source));
  run([&]() -> Task<> {
    const auto error = co_await source.wait_readable();
    EXPECT_FALSE(error);
    BorrowedPipe pipe(pipes_);
    Splicing splicing{source, sink, 100, this, count};
    const auto result = co_await splicing.run(pipe);
    EXPECT_EQ(result.end, Splicing::End::source_ended);
  }());
  sink.close();
  EXPECT_EQ(read_all(to.get()), "next");
}

TEST_F(SpliceTest, ThereAreNoMorePipesThanAllowed) {
  PipePool two(2);
  BorrowedPipe first(two);
  BorrowedPipe second(two);
  EXPECT_TRUE(first);
  EXPECT_TRUE(second);
  {
    const BorrowedPipe third(two);
    EXPECT_FALSE(third);
  }
  first.give_back();
  const BorrowedPipe fourth(two);
  EXPECT_TRUE(fourth);
}

TEST_F(SpliceTest, ARelayedStreamArrivesWhole) {
  auto [in, from] = tcp_pair();
  auto [out, to] = tcp_pair();
  Connection source(loop_, std::move(in));
  Connection sink(loop_, std::move(out));
  BufferPool buffers;
  Buffer buffer(buffers);
  const std::string bytes = patterned(20'000'003);
  std::thread writer([&] {
    write_all(from.get(), bytes);
    ::shutdown(from.get(), SHUT_WR);
  });
  std::string got;
  std::thread reader([&] { got = read_all(to.get()); });
  run([&]() -> Task<> {
    const Pump there{source, sink, buffer, this, count, &pipes_};
    const auto error = co_await pump(there);
    EXPECT_FALSE(error);
  }());
  writer.join();
  reader.join();
  EXPECT_EQ(moved_, bytes.size());
  EXPECT_TRUE(got == bytes);
  EXPECT_EQ(pipes_.in_use(), 0u);
}

TEST_F(SpliceTest, BytesBehindUrgentDataAreNotLeftBehind) {
  auto [in, from] = tcp_pair();
  auto [out, to] = tcp_pair();
  Connection source(loop_, std::move(in));
  Connection sink(loop_, std::move(out));
  BufferPool buffers;
  Buffer buffer(buffers);
  // All of it is there before the first read, which stops at the mark; the sender then waits.
  ASSERT_EQ(::send(from.get(), "abc", 3, 0), 3);
  ASSERT_EQ(::send(from.get(), "!", 1, MSG_OOB), 1);
  ASSERT_EQ(::send(from.get(), "efg", 3, 0), 3);
  bool ended = false;
  const Pump there{source, sink, buffer, this, count, &pipes_};
  const auto relay_one_way = [&]() -> Task<> {
    const auto error = co_await pump(there);
    EXPECT_FALSE(error);
  };
  spawn(relay_one_way(), [&](const std::exception_ptr&) { ended = true; });
  for (int turn = 0; moved_ < 6 && turn < 50; ++turn) loop_.run_once(20);
  EXPECT_EQ(moved_, 6u) << "without the urgent byte itself";
  from.reset();
  for (int turn = 0; !ended && turn < 50; ++turn) loop_.run_once(20);
  EXPECT_TRUE(ended);
}

}  // namespace
}  // namespace causeway::net
