// Bytes of any protocol, and how a protocol is recognised.
#include "fixture.h"
#include "proxy/accept.h"

namespace causeway::proxy::test {
namespace {

using namespace std::chrono_literals;
using observe::FailureReason;

/// Sends every byte back.
void echo(Peer& peer) {
  for (std::string byte = peer.read_exactly(1); !byte.empty(); byte = peer.read_exactly(1)) {
    if (!peer.send(byte)) return;
  }
}

TEST_F(ProxyTest, RelaysBytesAndHalfClose) {
  Server server([](Peer& peer) {
    const auto all = peer.read_all();
    peer.send("got " + std::to_string(all.size()));
  });
  publish({server.address()}, {.protocol = AppProtocol::tcp});
  auto client = dial();
  ASSERT_TRUE(client.send(std::string(1'000'000, 'x')));
  client.shutdown_send();
  EXPECT_EQ(client.read_all(), "got 1000000");
  EXPECT_EQ(client.at_end(), Peer::End::closed);
  EXPECT_TRUE(eventually([&] { return totals().active == 0; }));
  EXPECT_EQ(totals().sent, 1'000'000u);
  EXPECT_EQ(totals().received, 11u);
  EXPECT_EQ(totals().opened, 1u);
}

TEST_F(ProxyTest, RelaysTheServersHalfCloseToo) {
  std::promise<std::string> got;
  Server server([&](Peer& peer) {
    peer.send("bye");
    peer.shutdown_send();
    got.set_value(peer.read_all());
  });
  publish({server.address()}, {.protocol = AppProtocol::tcp});
  auto client = dial();
  EXPECT_EQ(client.read_all(), "bye");
  ASSERT_TRUE(client.send("still here"));
  client.close();
  EXPECT_EQ(got.get_future().get(), "still here");
}

TEST_F(ProxyTest, BalancesAndRetriesConnections) {
  Server a([](Peer& peer) { peer.send("a"); });
  Server b([](Peer& peer) { peer.send("b"); });
  publish({a.address(), refusing_address(), b.address()}, {.protocol = AppProtocol::tcp});
  std::string got;
  for (int i = 0; i < 12; ++i) got += dial().read_all();
  EXPECT_EQ(got.size(), 12u);
  EXPECT_GE(std::count(got.begin(), got.end(), 'a'), 4);
  EXPECT_GE(std::count(got.begin(), got.end(), 'b'), 4);
  EXPECT_GT(totals().retries, 0u);
}

TEST_F(ProxyTest, ResetsTheClientWhenNobodyTakesItsConnection) {
  publish({refusing_address()}, {.protocol = AppProtocol::tcp});
  auto client = dial();
  client.read_all();
  EXPECT_EQ(client.at_end(), Peer::End::reset);
  publish(std::vector<SocketAddress>{}, {.protocol = AppProtocol::tcp});
  auto other = dial();
  other.read_all();
  EXPECT_EQ(other.at_end(), Peer::End::reset);
  EXPECT_TRUE(eventually([&] { return totals().failures(FailureReason::no_endpoint) == 1; }));
}

TEST_F(ProxyTest, PassesAResetOn) {
  Server server([](Peer& peer) {
    peer.read_exactly(1);
    peer.reset();
  });
  publish({server.address()}, {.protocol = AppProtocol::tcp});
  auto client = dial();
  ASSERT_TRUE(client.send("x"));
  client.read_all();
  EXPECT_EQ(client.at_end(), Peer::End::reset);
}

TEST_F(ProxyTest, EndsAnIdleTcpConnectionButNotABusyOne) {
  Server server(echo);
  publish({server.address()}, {.protocol = AppProtocol::tcp, .settings = with([](auto& s) { s.idle_timeout = 1s; })});
  auto client = dial();
  for (int i = 0; i < 12; ++i) {
    std::this_thread::sleep_for(100ms);  // what is tested is time itself
    ASSERT_TRUE(client.send("x"));
    ASSERT_EQ(client.read_exactly(1), "x") << i;
  }
  client.read_all();
  EXPECT_NE(client.at_end(), Peer::End::timed_out);
}

TEST_F(ProxyTest, WhatIsRecognisedAsHttpHasHttpsIdleTime) {
  Server server([](Peer& peer) {
    const auto first = peer.read_exactly(1);  // HTTP or one letter, whatever comes
    if (first == "G") peer.read_until("\r\n\r\n");
    peer.send(first == "G" ? response("one") : first);
    peer.send(peer.read_exactly(1));
    peer.read_all();
  });
  publish({server.address()},
          {.protocol = AppProtocol::detect, .settings = with([](auto& s) { s.http_idle_timeout = 1s; })});
  auto relayed = dial();
  ASSERT_TRUE(relayed.send("x"));
  ASSERT_EQ(relayed.read_exactly(1), "x");
  auto http = dial();
  ASSERT_TRUE(http.send(get()));
  const auto reply = http.read_message();
  ASSERT_TRUE(reply);
  ASSERT_EQ(reply->body, "one");
  http.read_all();
  EXPECT_EQ(http.at_end(), Peer::End::closed) << "idle for its time";
  ASSERT_TRUE(relayed.send("y"));
  EXPECT_EQ(relayed.read_exactly(1), "y") << "idle for longer than that";
}

TEST_F(ProxyTest, RelayedHttp2HasHttpsIdleTime) {
  Server server(echo);
  for (const auto protocol : {AppProtocol::http2, AppProtocol::grpc}) {
    publish({server.address()}, {.protocol = protocol, .settings = with([](auto& s) { s.http_idle_timeout = 1s; })});
    auto client = dial();
    ASSERT_TRUE(client.send("x"));
    ASSERT_EQ(client.read_exactly(1), "x");
    client.read_all();
    EXPECT_NE(client.at_end(), Peer::End::timed_out);
  }
}

TEST_F(ProxyTest, RecognisesHttp) {
  Server a(Server::echo_name("a"));
  Server b(Server::echo_name("b"));
  publish({a.address(), b.address()}, {.protocol = AppProtocol::detect});
  auto client = dial();
  std::string got;
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(client.send(get()));
    got += client.read_message()->body;
  }
  EXPECT_TRUE(got == "abab" || got == "baba") << "per request, so it is HTTP: " << got;
}

TEST_F(ProxyTest, RecognisesAnythingElseAsTcp) {
  Server server(echo);
  publish({server.address()}, {.protocol = AppProtocol::detect});
  auto client = dial();
  for (const std::string& bytes :
       {std::string("\x16\x03\x01 hello"), std::string("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")}) {
    auto peer = dial();
    ASSERT_TRUE(peer.send(bytes));
    EXPECT_EQ(peer.read_exactly(bytes.size()), bytes);
  }
}

TEST_F(ProxyTest, DoesNotStallAServerThatSpeaksFirst) {
  Server server([](Peer& peer) {
    peer.send("220 ready\r\n");
    EXPECT_EQ(peer.read_until("\r\n"), "QUIT\r\n");
    peer.send("221 bye\r\n");
  });
  publish({server.address()}, {.protocol = AppProtocol::detect});
  auto client = dial();
  EXPECT_EQ(client.read_until("\r\n"), "220 ready\r\n");
  ASSERT_TRUE(client.send("QUIT\r\n"));
  EXPECT_EQ(client.read_all(), "221 bye\r\n");
}

TEST_F(ProxyTest, RecognisesAnHttpClientThatConnectsAheadOfItsRequest) {
  Server server(Server::echo_name("one"));
  publish({server.address()}, {.protocol = AppProtocol::detect});
  auto client = dial();
  // The silence is over once the proxy has dialled the server.
  ASSERT_TRUE(eventually([&] { return server.connections() == 1; }));
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(client.send(get()));
    EXPECT_EQ(client.read_message()->body, "one");
  }
  EXPECT_EQ(server.connections(), 1) << "the connection that was dialled is used";
  EXPECT_TRUE(eventually([&] { return totals().requests[2] == 3; }));
}

TEST_F(ProxyTest, EndsAConnectionWhoseEndpointIsGoneAfterTheDrainTime) {
  Server server(echo);
  publish({server.address()},
          {.protocol = AppProtocol::tcp, .settings = with([](auto& s) { s.drain_timeout = 100ms; })});
  auto client = dial();
  ASSERT_TRUE(client.send("x"));
  ASSERT_EQ(client.read_exactly(1), "x");
  publish(std::vector<std::pair<SocketAddress, Health>>{{server.address(), Health::draining}}, setup_);
  ASSERT_TRUE(client.send("y"));
  ASSERT_EQ(client.read_exactly(1), "y") << "draining: lasts";
  publish(std::vector<SocketAddress>{});
  client.read_all();
  EXPECT_NE(client.at_end(), Peer::End::timed_out);
}

}  // namespace
}  // namespace causeway::proxy::test
