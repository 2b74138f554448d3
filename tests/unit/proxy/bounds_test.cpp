// What clients may use, and what those get that use more.
#include <unistd.h>

#include "fixture.h"

namespace causeway::proxy::test {
namespace {

using observe::Bound;
using namespace std::chrono_literals;

class BoundsTest : public ProxyTest {
 protected:
  /// A client that was admitted: its request was answered.
  Peer admitted() {
    auto client = dial();
    EXPECT_TRUE(client.send(get()));
    const auto reply = client.read_message();
    EXPECT_TRUE(reply);
    EXPECT_EQ(reply ? reply->status : 0, 200);
    return client;
  }

  /// One that is told why it is refused.
  void expect_refused(Bound bound, std::string_view because) {
    const auto before = totals().exceeded_of(bound);
    auto client = dial();
    ASSERT_TRUE(client.send(get()));
    const auto reply = client.read_message();
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->status, 503);
    EXPECT_EQ(reply->field("retry-after"), "1");
    EXPECT_EQ(reply->field("connection"), "close");
    EXPECT_NE(reply->body.find(because), std::string::npos) << reply->body;
    client.shutdown_send();
    EXPECT_EQ(client.read_all(), "");
    EXPECT_EQ(client.at_end(), Peer::End::closed);
    EXPECT_EQ(totals().exceeded_of(bound), before + 1);
  }

  Server server_{Server::echo_name("one")};
};

TEST_F(BoundsTest, AWorkloadHasItsShareAndOthersTheirs) {
  settings_.limits.connections_per_workload = 2;
  publish({server_.address()});
  auto first = admitted();
  {
    const auto second = admitted();
    expect_refused(Bound::workload, "connections_per_workload");
    origins_.client = 5;
    const auto other = admitted();
    origins_.client = 0;
    expect_refused(Bound::workload, "connections_per_workload");
    ASSERT_TRUE(first.send(get()));  // those that are there go on
    ASSERT_TRUE(first.read_message());
  }
  EXPECT_TRUE(eventually([&] { return totals().active == 1; }));
  admitted();
  EXPECT_EQ(totals().opened, 4u);  // refused ones are not among them
}

TEST_F(BoundsTest, AllClientsTogetherAreBounded) {
  settings_.limits.connections = 2;
  settings_.limits.connections_per_workload = 100;
  publish({server_.address()});
  const auto first = admitted();
  origins_.client = 5;
  const auto second = admitted();
  expect_refused(Bound::connections, "limits.connections");
}

TEST_F(BoundsTest, ARefusedHeadHasNoBody) {
  settings_.limits.connections_per_workload = 1;
  publish({server_.address()});
  const auto first = admitted();
  auto client = dial();
  ASSERT_TRUE(client.send("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n"));
  client.shutdown_send();
  const std::string all = client.read_all();
  EXPECT_TRUE(all.starts_with("HTTP/1.1 503")) << all;
  EXPECT_TRUE(all.ends_with("\r\n\r\n")) << all;
}

TEST_F(BoundsTest, ARefusedClientThatSpeaksNoHttpIsReset) {
  settings_.limits.connections_per_workload = 1;
  setup_.protocol = AppProtocol::detect;
  publish({server_.address()}, setup_);
  const auto first = admitted();
  expect_refused(Bound::workload, "connections_per_workload");
  auto client = dial();
  ASSERT_TRUE(client.send(std::string_view("\0\1\2\3", 4)));
  EXPECT_EQ(client.read_all(), "");
  EXPECT_EQ(client.at_end(), Peer::End::reset);
  auto silent = dial();
  EXPECT_EQ(silent.read_all(), "");
  EXPECT_EQ(silent.at_end(), Peer::End::reset);
  EXPECT_EQ(totals().exceeded_of(Bound::workload), 3u);
}

TEST_F(BoundsTest, TcpIsResetAtOnce) {
  settings_.limits.connections_per_workload = 1;
  setup_.protocol = AppProtocol::tcp;
  Server echo([](Peer& peer) { peer.send(peer.read_exactly(1) + peer.read_all()); });
  publish({echo.address()}, setup_);
  auto first = dial();
  ASSERT_TRUE(first.send("a"));
  ASSERT_TRUE(eventually([&] { return totals().active == 1; }));
  auto client = dial();
  EXPECT_EQ(client.read_all(), "");
  EXPECT_EQ(client.at_end(), Peer::End::reset);
  first.shutdown_send();
  EXPECT_EQ(first.read_all(), "a");
}

TEST_F(BoundsTest, ABurstOfRefusedClientsIsResetBeyondSomeThatAreTold) {
  settings_.limits.connections_per_workload = 1;
  publish({server_.address()});
  const auto first = admitted();
  std::vector<Peer> clients;
  for (int i = 0; i < 200; ++i) clients.push_back(dial());  // none of them sends a request
  int reset = 0;
  for (auto& client : clients) {
    client.read_all();
    EXPECT_NE(client.at_end(), Peer::End::timed_out);
    reset += client.at_end() == Peer::End::reset ? 1 : 0;
  }
  EXPECT_EQ(reset, 200);
  EXPECT_EQ(totals().exceeded_of(Bound::workload), 200u);
  expect_refused(Bound::workload, "connections_per_workload");
}

TEST_F(BoundsTest, IdleClientsMakeRoomWhenDescriptorsAreScarce) {
  // The mark lies a few numbers above what this process, which has both ends, has open: 32 are kept.
  Fd lowest(::dup(0));
  settings_.limits.descriptors = static_cast<std::uint32_t>(lowest.get()) + 60 + 32;
  lowest.reset();
  publish({server_.address()});
  std::vector<Peer> idle;
  for (int i = 0; i < 40; ++i) idle.push_back(admitted());
  // All were served: the first ones, idle, were ended for the later ones.
  EXPECT_EQ(totals().exceeded_of(Bound::descriptors), 0u);
  EXPECT_LT(totals().active, 35u);
  EXPECT_EQ(idle.front().read_all(), "");
  EXPECT_EQ(idle.front().at_end(), Peer::End::closed);
}

TEST_F(BoundsTest, WithoutIdleClientsThoseBeyondAreRefused) {
  Fd lowest(::dup(0));
  settings_.limits.descriptors = static_cast<std::uint32_t>(lowest.get()) + 60 + 32;
  lowest.reset();
  std::promise<void> go;
  auto gone = go.get_future().share();
  Server holding([&](Peer& peer) {
    peer.read_message();
    gone.wait();
    peer.send(response("held"));
    peer.read_all();
  });
  publish({holding.address()});
  std::vector<Peer> busy;
  while (totals().exceeded_of(Bound::descriptors) == 0 && busy.size() < 60) {
    busy.push_back(dial());
    ASSERT_TRUE(busy.back().send(get()));
    const auto expected = busy.size();
    ASSERT_TRUE(eventually([&] {
      return totals().sent >= totals().opened * get().size() &&
             totals().opened + totals().exceeded_of(Bound::descriptors) == expected;
    }));
  }
  EXPECT_EQ(totals().exceeded_of(Bound::descriptors), 1u);
  const auto refused = busy.back().read_message();
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->status, 503);
  busy.pop_back();
  go.set_value();
  for (auto& client : busy) {
    const auto reply = client.read_message();
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->status, 200);  // each that was let in found a descriptor for its endpoint
  }
}

TEST_F(BoundsTest, HeadsAreBoundedAsConfigured) {
  settings_.limits.header_bytes = 2048;
  settings_.limits.header_fields = 10;
  publish({server_.address()});
  EXPECT_EQ(ask(get("/" + std::string(1900, 'a')))->status, 200);
  EXPECT_EQ(ask("GET / HTTP/1.1\r\nHost: x\r\nX: " + std::string(2048, 'a') + "\r\n\r\n")->status, 431);
  EXPECT_EQ(totals().exceeded_of(Bound::header_bytes), 1u);
  EXPECT_EQ(ask(get("/" + std::string(2100, 'a')))->status, 414);
  EXPECT_EQ(totals().exceeded_of(Bound::header_bytes), 2u);
  std::string fields;
  for (int i = 0; i < 9; ++i) fields += "X: y\r\n";
  EXPECT_EQ(ask("GET / HTTP/1.1\r\nHost: x\r\n" + fields + "\r\n")->status, 200);
  EXPECT_EQ(ask("GET / HTTP/1.1\r\nHost: x\r\n" + fields + "X: y\r\n\r\n")->status, 431);
  EXPECT_EQ(totals().exceeded_of(Bound::header_fields), 1u);
  EXPECT_EQ(totals().exceeded_of(Bound::header_bytes), 2u);
}

TEST_F(BoundsTest, AHeadHasItsTime) {
  settings_.limits.header_time = 100ms;
  publish({server_.address()});
  const auto reply = ask("GET / HT");
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 408);
  EXPECT_EQ(totals().exceeded_of(Bound::header_time), 1u);
}

TEST_F(BoundsTest, ABodyThatPausesForTooLong) {
  settings_.limits.body_idle = 100ms;
  setup_.settings.http_idle_timeout = 0ms;  // off
  publish({server_.address()}, setup_);
  const auto reply = ask("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf");
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 408);
  EXPECT_EQ(totals().exceeded_of(Bound::body_idle), 1u);
}

}  // namespace
}  // namespace causeway::proxy::test
