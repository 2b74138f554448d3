// One worker's clients: none keeps the others waiting, however much it sends.
#include <fcntl.h>

#include "fixture.h"

namespace causeway::proxy::test {
namespace {

/// Sends `bytes` again and again, and reads and drops what comes back, until it is destroyed.
class Flood {
 public:
  Flood(Peer peer, std::string bytes) : peer_(std::move(peer)), bytes_(std::move(bytes)) {
    ::fcntl(peer_.fd(), F_SETFL, ::fcntl(peer_.fd(), F_GETFL) | O_NONBLOCK);
    thread_ = std::thread([this] { run(); });
  }
  ~Flood() {
    stop_ = true;
    thread_.join();
  }
  std::uint64_t sent() const { return sent_; }

 private:
  void run() {
    std::vector<char> dropped(1 << 20);
    std::size_t offset = 0;
    while (!stop_) {
      const ssize_t n = ::send(peer_.fd(), bytes_.data() + offset, bytes_.size() - offset, MSG_NOSIGNAL);
      if (n > 0) {
        offset = (offset + static_cast<std::size_t>(n)) % bytes_.size();
        sent_ += static_cast<std::uint64_t>(n);
      }
      while (::recv(peer_.fd(), dropped.data(), dropped.size(), MSG_DONTWAIT) > 0) {
      }
    }
  }

  Peer peer_;
  const std::string bytes_;
  std::atomic<bool> stop_{false};
  std::atomic<std::uint64_t> sent_{0};
  std::thread thread_;
};

TEST_F(ProxyTest, OneThatAsksWithoutEndForAServiceWithoutEndpointsLeavesTheOthersTheirTurn) {
  publish(std::vector<SocketAddress>{});
  std::string many;
  for (int i = 0; i < 1000; ++i) many += get();
  const Flood flood(dial(), many);
  ASSERT_TRUE(eventually([&] { return flood.sent() > 10 * many.size(); }));
  for (int i = 0; i < 20; ++i) EXPECT_EQ(ask()->status, 503);
}

TEST_F(ProxyTest, AnUploadWithoutEndLeavesTheOthersTheirTurn) {
  Server sink([](Peer& peer) {
    std::vector<char> dropped(1 << 20);
    while (::recv(peer.fd(), dropped.data(), dropped.size(), 0) > 0) {
    }
  });
  publish({sink.address()});
  auto client = dial();
  ASSERT_TRUE(client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000000000\r\n\r\n"));
  const Flood flood(std::move(client), std::string(1 << 20, 'x'));
  ASSERT_TRUE(eventually([&] { return flood.sent() > 64u << 20; }));
  Server other(Server::echo_name("other"));
  publish({other.address()});
  EXPECT_EQ(ask()->status, 200);
}

TEST_F(ProxyTest, ChunksOfOneByteForAnOldClientLeaveTheOthersTheirTurn) {
  std::string chunks;
  for (int i = 0; i < 10'000; ++i) chunks += "1\r\nx\r\n";
  Server tiny([&](Peer& peer) {
    peer.read_message();
    peer.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
    while (peer.send(chunks)) {
    }
  });
  publish({tiny.address()});
  auto client = dial();
  ASSERT_TRUE(client.send("GET / HTTP/1.0\r\nhost: a\r\n\r\n"));
  const Flood reading(std::move(client), "x");  // what it sends stays unread
  ASSERT_TRUE(eventually([&] { return totals().received > chunks.size(); }));
  Server other(Server::echo_name("other"));
  publish({other.address()});
  EXPECT_EQ(ask()->status, 200);
}

}  // namespace
}  // namespace causeway::proxy::test
