// This host lacks ports or descriptors: connect and socket fail, for the proxy's workers in this test executable.
#include <cerrno>
#include <mutex>
#include <string_view>

#include <pthread.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fixture.h"

namespace causeway::proxy::test {
namespace {

bool is_worker() {
  char name[16] = {};
  ::pthread_getname_np(::pthread_self(), name, sizeof name);
  return std::string_view(name) == "worker";
}

/// What fails next, and how often.
class LocalLimit {
 public:
  void no_port(const SocketAddress& peer, int times) {
    const std::lock_guard lock(mutex_);
    peer_ = peer;
    connects_ = times;
  }
  void no_descriptor(int times) {
    const std::lock_guard lock(mutex_);
    sockets_ = times;
  }
  bool take_connect(const sockaddr* address, socklen_t length) {
    const std::lock_guard lock(mutex_);
    if (connects_ == 0 || !is_worker()) return false;
    sockaddr_storage storage{};
    std::memcpy(&storage, address, std::min<std::size_t>(length, sizeof storage));
    if (SocketAddress::from(storage) != peer_) return false;
    --connects_;
    return true;
  }
  bool take_socket() {
    const std::lock_guard lock(mutex_);
    if (sockets_ == 0 || !is_worker()) return false;
    --sockets_;
    return true;
  }
  int left() {
    const std::lock_guard lock(mutex_);
    return connects_ + sockets_;
  }

 private:
  std::mutex mutex_;
  SocketAddress peer_;
  int connects_ = 0;
  int sockets_ = 0;
};

LocalLimit local_limit;

}  // namespace
}  // namespace causeway::proxy::test

/// In the executable, so that they stand before libc's.
extern "C" int connect(int fd, const sockaddr* address, socklen_t length) {
  if (causeway::proxy::test::local_limit.take_connect(address, length)) {
    errno = EADDRNOTAVAIL;
    return -1;
  }
  return static_cast<int>(::syscall(SYS_connect, fd, address, length));
}

extern "C" int socket(int domain, int type, int protocol) noexcept {
  if (causeway::proxy::test::local_limit.take_socket()) {
    errno = EMFILE;
    return -1;
  }
  return static_cast<int>(::syscall(SYS_socket, domain, type, protocol));
}

namespace causeway::proxy::test {
namespace {

using observe::FailureReason;

class LocalLimitTest : public ProxyTest {
 protected:
  void TearDown() override {
    EXPECT_EQ(local_limit.left(), 0) << "not everything failed that should: the test shows nothing";
    EXPECT_EQ(totals().ejections, 0u) << "no endpoint's failure";
  }
};

TEST_F(LocalLimitTest, WithoutAPortToOneEndpointAnotherIsTried) {
  Server one(Server::echo_name("one"));
  Server two(Server::echo_name("two"));
  publish({one.address(), two.address()});
  local_limit.no_port(one.address(), 1);
  for (int i = 0; i < 2; ++i) {
    const auto reply = ask();
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->status, 200) << reply->body;
  }
  EXPECT_EQ(totals().failures(FailureReason::limit), 1u);
}

TEST_F(LocalLimitTest, WithoutAPortToAnyEndpointTheAnswerIs503WithTheReason) {
  Server one(Server::echo_name("one"));
  publish({one.address()});
  local_limit.no_port(one.address(), 1);
  auto reply = ask();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 503);
  EXPECT_NE(reply->body.find("no free port"), std::string::npos) << reply->body;
  reply = ask();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 200);
}

TEST_F(LocalLimitTest, WithoutAPortIdleConnectionsToThatEndpointAreClosedAndItIsTriedOnceMore) {
  Server one([](Peer& peer) {
    const auto first = peer.read_exactly(1);  // HTTP or one letter, whatever comes
    if (first == "G") peer.read_until("\r\n\r\n");
    peer.send(first == "G" ? response("one") : first);
    peer.read_all();
  });
  publish({one.address()}, {.protocol = AppProtocol::detect});
  ASSERT_EQ(ask()->body, "one");
  ASSERT_TRUE(eventually([&] { return totals().upstream_connections == 1; }));
  local_limit.no_port(one.address(), 1);
  auto client = dial();
  ASSERT_TRUE(client.send("x"));
  EXPECT_EQ(client.read_exactly(1), "x");
  EXPECT_TRUE(eventually([&] { return one.ended() == 1; })) << "the idle connection made room";
}

TEST_F(LocalLimitTest, WithoutADescriptorIdleConnectionsAreClosedAndItIsTriedOnceMore) {
  Server one(Server::echo_name("one"));
  Server two(Server::echo_name("two"));
  publish({one.address()});
  ASSERT_EQ(ask()->status, 200);
  ASSERT_TRUE(eventually([&] { return totals().upstream_connections == 1; }));
  publish({one.address(), two.address()});
  local_limit.no_descriptor(1);
  // One of the two has no idle connection, and is dialled at the latest by the second request.
  for (int i = 0; i < 2; ++i) EXPECT_EQ(ask()->body.size(), 3u);
  EXPECT_TRUE(eventually([&] { return one.ended() == 1; })) << "the idle connection made room";
  EXPECT_EQ(totals().failures(FailureReason::limit), 0u);
}

TEST_F(LocalLimitTest, WithoutADescriptorTheAnswerIs503WithTheReason) {
  Server one(Server::echo_name("one"));
  publish({one.address()});
  local_limit.no_descriptor(1);
  const auto reply = ask();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 503);
  EXPECT_NE(reply->body.find("no file descriptor left"), std::string::npos) << reply->body;
  EXPECT_EQ(totals().failures(FailureReason::limit), 1u);
  EXPECT_EQ(totals().upstream_connections, 0u);
}

TEST_F(LocalLimitTest, ATcpConnectionGoesToAnotherEndpointToo) {
  const auto echo = [](Peer& peer) {
    for (auto byte = peer.read_exactly(1); !byte.empty(); byte = peer.read_exactly(1)) peer.send(byte);
  };
  Server one(echo), two(echo);
  publish({one.address(), two.address()}, {.protocol = AppProtocol::tcp});
  local_limit.no_port(one.address(), 1);
  for (int i = 0; i < 2; ++i) {
    auto client = dial();
    ASSERT_TRUE(client.send("x"));
    EXPECT_EQ(client.read_exactly(1), "x");
  }
  EXPECT_EQ(totals().failures(FailureReason::limit), 1u);
}

}  // namespace
}  // namespace causeway::proxy::test
