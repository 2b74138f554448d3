// How the proxy stops.

#include "fixture.h"

namespace causeway::proxy::test {
namespace {

using namespace std::chrono_literals;

class DrainTest : public ProxyTest {
 protected:
  void drain() {
    on_main([&] { proxy_->drain([&] { drained_ = true; }); });
  }
  std::atomic<bool> drained_{false};
};

TEST_F(DrainTest, EndsAtOnceWithoutConnections) {
  publish(std::vector<SocketAddress>{});
  drain();
  EXPECT_TRUE(eventually([&] { return drained_.load(); }));
}

TEST_F(DrainTest, EndsIdleConnectionsAndFinishesRequests) {
  std::promise<void> go;
  auto gone = go.get_future().share();
  Server server([&](Peer& peer) {
    while (const auto request = peer.read_message()) {
      if (request->head.starts_with("GET /slow")) gone.wait();
      peer.send(response("done"));
    }
  });
  publish({server.address()});
  auto idle = dial();
  ASSERT_TRUE(idle.send(get()));
  ASSERT_TRUE(idle.read_message());
  auto busy = dial();
  ASSERT_TRUE(busy.send(get("/slow")));
  ASSERT_TRUE(eventually([&] { return totals().opened == 2 && totals().sent > 2 * get().size(); }));
  drain();
  EXPECT_EQ(idle.read_all(), "");
  EXPECT_EQ(idle.at_end(), Peer::End::closed);
  EXPECT_FALSE(drained_);
  go.set_value();
  const auto reply = busy.read_message();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->body, "done");
  EXPECT_EQ(reply->field("connection"), "close");
  EXPECT_EQ(busy.read_all(), "");
  EXPECT_TRUE(eventually([&] { return drained_.load(); }));
}

TEST_F(DrainTest, ServesWhatWaitsInTheQueue) {
  Server server(Server::echo_name("one"));
  publish({server.address()});
  std::vector<Peer> clients;
  // The worker waits in the first one's origin lookup: the others stay in the queue.
  std::unique_lock held(origins_.hold);
  for (int i = 0; i < 20; ++i) {
    clients.push_back(dial());
    ASSERT_TRUE(clients.back().send(get()));
    ASSERT_TRUE(clients.back().all_acknowledged()) << "it is in the queue";
  }
  drain();
  held.unlock();
  for (auto& client : clients) {
    const auto reply = client.read_message();
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->body, "one");
  }
  EXPECT_TRUE(eventually([&] { return drained_.load(); }));
}

TEST_F(DrainTest, EndsWhatDoesNotEndAfterTheDrainTime) {
  settings_.drain = 200ms;
  Server server([](Peer& peer) { peer.read_all(); });
  publish({server.address()});
  auto hanging = dial();
  ASSERT_TRUE(hanging.send(get()));
  ASSERT_TRUE(eventually([&] { return server.connections() == 1; }));
  drain();
  hanging.read_all();
  EXPECT_NE(hanging.at_end(), Peer::End::timed_out);
  EXPECT_TRUE(eventually([&] { return drained_.load(); }));
}

TEST_F(DrainTest, WorkersAnswerPingsUntilOneHangs) {
  Server server(Server::echo_name("one"));
  publish({server.address()});
  bool live = false;
  EXPECT_TRUE(eventually([&] {
    on_main([&] { live = proxy_->workers_live(); });
    return live;
  }));
  // The origin lookup runs on the worker's thread: it holds the worker up.
  origins_.hold.lock();
  auto client = dial();
  EXPECT_TRUE(eventually([&] {
    on_main([&] { live = proxy_->workers_live(); });
    return !live;
  }));
  origins_.hold.unlock();
  EXPECT_TRUE(eventually([&] {
    on_main([&] { live = proxy_->workers_live(); });
    return live;
  }));
}

}  // namespace
}  // namespace causeway::proxy::test
