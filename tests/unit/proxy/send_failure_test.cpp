// A send to an endpoint that fails once, as when the endpoint ends the connection in the same moment. Real peers meet
// that moment by chance only: here sendmsg itself fails, for one connection of this test executable.
#include <cerrno>
#include <mutex>

#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fixture.h"

namespace causeway::proxy::test {
namespace {

/// Which send fails next. Workers look at it from their threads.
class SendFailure {
 public:
  /// The first send to `peer` after `passed` others breaks its connection.
  void arm(const SocketAddress& peer, int passed = 0) {
    const std::lock_guard lock(mutex_);
    peer_ = peer;
    passed_ = passed;
    armed_ = true;
  }
  bool happened() {
    const std::lock_guard lock(mutex_);
    return !armed_;
  }
  /// Takes the failure if it is this socket's.
  bool take(int fd) {
    const std::lock_guard lock(mutex_);
    if (!armed_) return false;
    sockaddr_storage storage{};
    socklen_t length = sizeof storage;
    if (::getpeername(fd, reinterpret_cast<sockaddr*>(&storage), &length) != 0) return false;
    if (SocketAddress::from(storage) != peer_) return false;
    if (passed_-- > 0) return false;
    armed_ = false;
    return true;
  }

 private:
  std::mutex mutex_;
  SocketAddress peer_;
  int passed_ = 0;
  bool armed_ = false;
};

SendFailure send_failure;

}  // namespace
}  // namespace causeway::proxy::test

/// In the executable, so that it stands before libc's.
extern "C" ssize_t sendmsg(int fd, const msghdr* message, int flags) {
  if (causeway::proxy::test::send_failure.take(fd)) {
    ::shutdown(fd, SHUT_RDWR);  // EPIPE comes of an ended connection: the read after it must meet the end
    errno = EPIPE;
    return -1;
  }
  return ::syscall(SYS_sendmsg, fd, message, flags);
}

namespace causeway::proxy::test {
namespace {

class SendFailureTest : public ProxyTest {
 protected:
  void TearDown() override { EXPECT_TRUE(send_failure.happened()) << "no send failed: the test shows nothing"; }
};

TEST_F(SendFailureTest, AGetWhoseSendFailsOnAPooledConnectionIsAnsweredOnAFreshOne) {
  Server server(Server::echo_name("good"));
  publish({server.address()});
  auto client = dial();
  ASSERT_TRUE(client.send(get()));
  ASSERT_TRUE(client.read_message());
  send_failure.arm(server.address());
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(client.send(get()));
    const auto reply = client.read_message();
    ASSERT_TRUE(reply) << "the client must not pay for the endpoint's connection";
    EXPECT_EQ(reply->body, "good");
  }
  EXPECT_EQ(server.connections(), 2);
  EXPECT_EQ(totals().failures(observe::FailureReason::reset), 0u);
}

TEST_F(SendFailureTest, ARequestWhoseSendFailsOnANewConnectionIsAnsweredByAnotherEndpoint) {
  const std::string post = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi";
  Server good(Server::echo_name("good"));
  for (const auto& request : {get(), post}) {
    Server bad([](Peer& peer) { peer.read_all(); });
    publish({bad.address(), good.address()});
    send_failure.arm(bad.address());
    auto client = dial();
    for (int i = 0; !send_failure.happened(); ++i) {
      ASSERT_LT(i, 2) << "the endpoints take turns";
      ASSERT_TRUE(client.send(request));
      const auto reply = client.read_message();
      ASSERT_TRUE(reply);
      EXPECT_EQ(reply->body, "good");
    }
    publish({good.address()});
    ASSERT_TRUE(client.send(get()));
    EXPECT_TRUE(client.read_message()) << "the client's connection goes on";
  }
  EXPECT_EQ(totals().failures(observe::FailureReason::reset), 2u);
  EXPECT_EQ(totals().retries, 2u);
}

TEST_F(SendFailureTest, APutWhoseSendFailsAmidItsBodyIsSentWholeToAnotherEndpoint) {
  Server bad([](Peer& peer) { peer.read_all(); });
  std::promise<std::string> body;
  Server good([&](Peer& peer) {
    const auto request = peer.read_message();
    body.set_value(request ? request->body : "");
    peer.send(response("good"));
  });
  publish({bad.address()});
  send_failure.arm(bad.address(), 1);
  auto client = dial();
  ASSERT_TRUE(client.send("PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 18\r\n\r\nfirst "));
  ASSERT_TRUE(eventually([&] { return bad.connections() == 1; }));
  publish({bad.address(), good.address()});
  ASSERT_TRUE(client.send("second third"));
  const auto reply = client.read_message();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->body, "good");
  EXPECT_EQ(body.get_future().get(), "first second third");
}

}  // namespace
}  // namespace causeway::proxy::test
