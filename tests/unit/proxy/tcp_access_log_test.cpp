// The access log's lines of relayed connections: one for each way to end.
#include "access_log_fixture.h"

namespace causeway::proxy::test {
namespace {

using namespace std::chrono_literals;

class TcpAccessLogTest : public AccessLogTest {
 protected:
  static Setup tcp(std::chrono::milliseconds idle = 0ms, std::chrono::milliseconds drain = 5s) {
    const auto settings = with([&](auto& s) {
      s.idle_timeout = idle;
      s.drain_timeout = drain;
    });
    return {.protocol = AppProtocol::tcp, .settings = settings, .access_log = kJson};
  }
  void expect_connection(const json::array& flags, std::string_view reason) {
    ASSERT_TRUE(eventually([&] { return totals().active == 0; }));
    const auto line = only_line();
    EXPECT_EQ(line.at("protocol"), is("TCP"));
    EXPECT_EQ(line.at("flags"), is(flags)) << line;
    const auto* said = line.at("reason").if_string();
    EXPECT_EQ(said == nullptr ? std::string_view() : std::string_view(*said), reason);
  }
};

TEST_F(TcpAccessLogTest, AConnectionIsOneLine) {
  Server server([](Peer& peer) {
    peer.read_all();
    peer.send("answer");
  });
  publish({server.address()}, tcp());
  auto client = dial();
  ASSERT_TRUE(client.send(std::string(200'000, 'x')));
  client.shutdown_send();
  EXPECT_EQ(client.read_all(), "answer");
  ASSERT_TRUE(eventually([&] { return totals().active == 0; }));
  const auto line = only_line();
  EXPECT_EQ(line.at("protocol"), is("TCP"));
  EXPECT_EQ(line.at("method"), is(nullptr));
  EXPECT_EQ(line.at("status"), is(0));
  EXPECT_EQ(line.at("flags"), is(json::array()));
  EXPECT_EQ(line.at("bytes_received"), is(200'000));
  EXPECT_EQ(line.at("bytes_sent"), is(6));
  EXPECT_EQ(line.at("upstream"), is(server.address().to_string()));
  EXPECT_NE(line.at("peer"), is(nullptr));
}

TEST_F(TcpAccessLogTest, AClientThatTurnsOutToSpeakHttpIsNoConnection) {
  Server server(Server::echo_name("one"));
  publish({server.address()}, {.protocol = AppProtocol::detect, .access_log = kJson});
  auto client = dial();
  ASSERT_TRUE(eventually([&] { return server.connections() == 1; })) << "dialled for a silent client";
  ASSERT_TRUE(client.send(get()));
  ASSERT_TRUE(client.read_message());
  EXPECT_EQ(only_line().at("protocol"), "HTTP/1.1");
}

TEST_F(TcpAccessLogTest, UhWithoutEndpoints) {
  publish(std::vector<SocketAddress>{}, tcp());
  EXPECT_EQ(dial().read_all(), "");
  expect_connection({"UH"}, "no endpoint that could be asked");
}

TEST_F(TcpAccessLogTest, UfWhereAllRefuse) {
  publish({refusing_address(), refusing_address()}, tcp());
  EXPECT_EQ(dial().read_all(), "");
  expect_connection({"UF", "URX"}, "connection refused");
}

TEST_F(TcpAccessLogTest, OmWhereAClientIsRefused) {
  settings_.limits.connections = 1;
  Server server(hang);
  publish({server.address()}, tcp());
  auto first = dial();
  ASSERT_TRUE(first.send("x"));
  ASSERT_TRUE(eventually([&] { return totals().sent == 1; }));
  EXPECT_EQ(dial().read_all(), "");
  first.close();
  ASSERT_TRUE(eventually([&] { return totals().active == 0; }));
  const auto all = lines();
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].at("flags"), is(json::array{"OM"}));
  EXPECT_EQ(all[0].at("status"), is(0));
}

TEST_F(TcpAccessLogTest, UcWhereTheEndpointResets) {
  Server server([](Peer& peer) {
    peer.read_exactly(1);
    peer.reset();
  });
  publish({server.address()}, tcp());
  auto client = dial();
  ASSERT_TRUE(client.send("x"));
  EXPECT_EQ(client.read_all(), "");
  expect_connection({"UC"}, "the endpoint broke the connection");
}

TEST_F(TcpAccessLogTest, DcWhereTheClientResets) {
  Server server(hang);
  publish({server.address()}, tcp());
  auto client = dial();
  ASSERT_TRUE(client.send("x"));
  ASSERT_TRUE(eventually([&] { return totals().sent == 1; }));
  client.reset();
  expect_connection({"DC"}, "the client ended the connection");
}

TEST_F(TcpAccessLogTest, SiWhereNothingIsSent) {
  Server server(hang);
  publish({server.address()}, tcp(100ms));
  EXPECT_EQ(dial().read_all(), "");
  expect_connection({"SI"}, "nothing was sent for too long");
}

TEST_F(TcpAccessLogTest, LrWhereTheEndpointLeft) {
  Server server(hang);
  publish({server.address()}, tcp(0ms, 50ms));
  auto client = dial();
  ASSERT_TRUE(client.send("x"));
  ASSERT_TRUE(eventually([&] { return totals().sent == 1; }));
  publish(std::vector<SocketAddress>{}, tcp(0ms, 50ms));
  EXPECT_EQ(client.read_all(), "");
  expect_connection({"LR"}, "the endpoint left, and its drain time was over");
}

}  // namespace
}  // namespace causeway::proxy::test
