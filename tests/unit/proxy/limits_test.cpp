// Limits of a service: what waits, what is refused, and that everything is given back.
#include <condition_variable>

#include "fixture.h"

namespace causeway::proxy::test {
namespace {

using namespace std::chrono_literals;
using observe::Overflow;

/// Answers when it is let, and knows how many connections were open at most.
class GatedServer {
 public:
  explicit GatedServer(bool open = false) : open_(open), server_([this](Peer& peer) { serve(peer); }) {}
  ~GatedServer() { open(); }

  const SocketAddress& address() const { return server_.address(); }
  int connections() const { return server_.connections(); }
  int asked() const { return asked_; }
  int most_at_once() const { return most_; }
  /// Answers so many requests more.
  void let(int requests) {
    const std::lock_guard lock(mutex_);
    let_ += requests;
    changed_.notify_all();
  }
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }

 private:
  void serve(Peer& peer) {
    const int now = ++at_once_;
    for (int before = most_; now > before && !most_.compare_exchange_weak(before, now);) {
    }
    while (peer.read_message()) {
      ++asked_;
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return open_ || let_ > 0; });
      if (!open_) --let_;
      lock.unlock();
      if (!peer.send(response("one"))) break;
    }
    --at_once_;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_;
  int let_ = 0;
  std::atomic<int> asked_{0}, at_once_{0}, most_{0};
  Server server_;
};

class LimitsTest : public ProxyTest {
 protected:
  /// What a test leaves must be given back, but for idle connections.
  void TearDown() override {
    EXPECT_TRUE(eventually([&] { return totals().pending == 0 && totals().retries_active == 0; }))
        << totals().pending << " pending, " << totals().retries_active << " retries";
  }
  bool waits(std::uint64_t requests) {
    return eventually([&] { return totals().pending == requests; });
  }
  template <class Change>
  void set(const std::vector<SocketAddress>& endpoints, Change change, AppProtocol protocol = AppProtocol::http) {
    publish(endpoints, {.protocol = protocol, .settings = with(change)});
  }
};

TEST_F(LimitsTest, BeyondMaxConnectionsARequestWaitsForOneThatIsGivenBack) {
  GatedServer server;
  set({server.address()}, [](auto& s) { s.max_connections = 1; });
  auto first = dial();
  ASSERT_TRUE(first.send(get()));
  ASSERT_TRUE(eventually([&] { return server.asked() == 1; }));
  auto second = dial();
  ASSERT_TRUE(second.send(get()));
  ASSERT_TRUE(waits(1));
  auto third = dial();
  ASSERT_TRUE(third.send(get()));
  ASSERT_TRUE(waits(2));
  EXPECT_EQ(totals().upstream_connections, 1u);
  server.open();
  for (Peer* client : {&first, &second, &third}) {
    const auto reply = client->read_message();
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->status, 200) << reply->body;
  }
  EXPECT_EQ(server.connections(), 1);
  EXPECT_EQ(totals().overflow(Overflow::connections), 0u) << "nobody was refused";
}

TEST_F(LimitsTest, BeyondMaxPendingRequestsTheAnswerIs503AtOnce) {
  GatedServer server;
  set({server.address()}, [](auto& s) { s.max_connections = s.max_pending_requests = 1; });
  auto first = dial();
  ASSERT_TRUE(first.send(get()));
  ASSERT_TRUE(eventually([&] { return server.asked() == 1; }));
  auto second = dial();
  ASSERT_TRUE(second.send(get()));
  ASSERT_TRUE(waits(1));
  auto third = dial();
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(third.send(get())) << "its connection stays open";
    const auto reply = third.read_message();
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->status, 503);
    EXPECT_NE(reply->body.find("max_pending_requests"), std::string::npos) << reply->body;
  }
  EXPECT_EQ(totals().overflow(Overflow::pending_requests), 2u);
  server.open();
  EXPECT_EQ(first.read_message()->status, 200);
  EXPECT_EQ(second.read_message()->status, 200);
}

TEST_F(LimitsTest, WaitingIsBoundedByThePerRequestTimeout) {
  GatedServer server;
  set({server.address()}, [](auto& s) { s.max_connections = 1; });
  auto first = dial();
  ASSERT_TRUE(first.send(get()));
  ASSERT_TRUE(eventually([&] { return server.asked() == 1; }));
  set({server.address()}, [](auto& s) {
    s.max_connections = 1;
    s.per_request_timeout = 100ms;
  });
  auto second = dial();
  ASSERT_TRUE(second.send(get()));
  const auto reply = second.read_message();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 504);
  EXPECT_NE(reply->body.find("max_connections"), std::string::npos) << reply->body;
  EXPECT_EQ(totals().overflow(Overflow::connections), 1u);
  server.open();
  ASSERT_EQ(first.read_message()->status, 200);
  ASSERT_TRUE(second.send(get())) << "the client's connection goes on";
  EXPECT_EQ(second.read_message()->status, 200);
}

TEST_F(LimitsTest, AClientThatLeavesWhileItWaitsIsForgotten) {
  GatedServer server;
  set({server.address()}, [](auto& s) { s.max_connections = 1; });
  auto first = dial();
  ASSERT_TRUE(first.send(get()));
  ASSERT_TRUE(eventually([&] { return server.asked() == 1; }));
  auto second = dial();
  ASSERT_TRUE(second.send(get()));
  ASSERT_TRUE(waits(1));
  auto third = dial();
  ASSERT_TRUE(third.send(get()));
  ASSERT_TRUE(waits(2));
  second.reset();
  ASSERT_TRUE(waits(1));
  server.open();
  EXPECT_EQ(first.read_message()->status, 200);
  EXPECT_EQ(third.read_message()->status, 200);
  EXPECT_EQ(server.asked(), 2);
}

TEST_F(LimitsTest, AHigherLimitLetsThoseThatWaitGoOn) {
  GatedServer server;
  set({server.address()}, [](auto& s) { s.max_connections = 1; });
  std::list<Peer> clients;
  for (int i = 0; i < 4; ++i) {
    clients.push_back(dial());
    ASSERT_TRUE(clients.back().send(get()));
    ASSERT_TRUE(eventually([&] { return server.asked() == 1; }));
  }
  ASSERT_TRUE(waits(3));
  set({server.address()}, [](auto& s) { s.max_connections = 3; });
  EXPECT_TRUE(eventually([&] { return server.asked() == 3; }));
  EXPECT_TRUE(waits(1));
  server.open();
  for (auto& client : clients) EXPECT_EQ(client.read_message()->status, 200);
}

TEST_F(LimitsTest, ALowerLimitIsApproachedAsConnectionsAreGivenBack) {
  GatedServer server;
  set({server.address()}, [](auto& s) { s.max_connections = 4; });
  std::list<Peer> clients;
  for (int i = 0; i < 4; ++i) {
    clients.push_back(dial());
    ASSERT_TRUE(clients.back().send(get()));
    ASSERT_TRUE(eventually([&] { return server.asked() == i + 1; }));
  }
  set({server.address()}, [](auto& s) { s.max_connections = 1; });
  server.open();
  for (auto& client : clients) EXPECT_EQ(client.read_message()->status, 200);
  EXPECT_TRUE(eventually([&] { return totals().upstream_connections == 1; }));
}

TEST_F(LimitsTest, ThoseThatWaitForAServiceThatLeavesAreAnswered) {
  GatedServer server;
  set({server.address()}, [](auto& s) { s.max_connections = 1; });
  auto first = dial();
  ASSERT_TRUE(first.send(get()));
  ASSERT_TRUE(eventually([&] { return server.asked() == 1; }));
  auto second = dial();
  ASSERT_TRUE(second.send(get()));
  ASSERT_TRUE(waits(1));
  set({}, [](auto& s) { s.max_connections = 1; });
  EXPECT_EQ(second.read_message()->status, 503);
  server.open();
  EXPECT_EQ(first.read_message()->status, 200);
}

TEST_F(LimitsTest, AClientThatIsSilentAtFirstWaitsAsOneThatAsksAtOnce) {
  GatedServer server;
  set({server.address()}, [](auto& s) { s.max_connections = 1; }, AppProtocol::detect);
  auto first = dial();
  ASSERT_TRUE(first.send(get()));
  ASSERT_TRUE(eventually([&] { return server.asked() == 1; }));
  auto silent = dial();
  std::this_thread::sleep_for(200ms);  // beyond the time after which a silent client's endpoint is dialled
  ASSERT_TRUE(silent.send(get()));
  ASSERT_TRUE(waits(1));
  server.open();
  EXPECT_EQ(first.read_message()->status, 200);
  EXPECT_EQ(silent.read_message()->status, 200);
  EXPECT_EQ(totals().overflow(Overflow::connections), 0u);
}

TEST_F(LimitsTest, AnEndpointAtItsLimitIsPassedOver) {
  GatedServer one, two;
  set({one.address(), two.address()}, [](auto& s) { s.max_endpoint_connections = 1; });
  auto first = dial();
  auto second = dial();
  ASSERT_TRUE(first.send(get()));
  ASSERT_TRUE(second.send(get()));
  ASSERT_TRUE(eventually([&] { return one.asked() == 1 && two.asked() == 1; }));
  std::list<Peer> more;
  for (int i = 0; i < 3; ++i) {
    more.push_back(dial());
    ASSERT_TRUE(more.back().send(get()));
  }
  ASSERT_TRUE(waits(3));
  one.let(2);
  ASSERT_TRUE(eventually([&] { return one.asked() == 3 && two.asked() == 1; })) << "each goes where there is room";
  one.open();
  two.open();
  for (auto& client : more) EXPECT_EQ(client.read_message()->status, 200);
  EXPECT_EQ(first.read_message()->status, 200);
  EXPECT_EQ(second.read_message()->status, 200);
  EXPECT_EQ(one.most_at_once(), 1);
  EXPECT_EQ(two.most_at_once(), 1);
}

TEST_F(LimitsTest, AnIdleConnectionToAnotherEndpointIsTakenAtTheLimit) {
  GatedServer one(true), two(true);
  set({one.address(), two.address()}, [](auto& s) {
    s.max_connections = 1;
    s.max_pending_requests = 0;
  });
  auto client = dial();
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(client.send(get()));
    EXPECT_EQ(client.read_message()->status, 200) << i;
  }
  EXPECT_EQ(one.connections() + two.connections(), 1);
  EXPECT_EQ(totals().upstream_connections, 1u);
}

TEST_F(LimitsTest, AConnectionThatIsIdleAtOneWorkerMakesRoomForAnother) {
  start(2);
  GatedServer server(true);
  set({server.address()}, [](auto& s) { s.max_connections = 1; });
  // The kernel spreads them over the workers; each worker keeps the connection that it used last.
  std::list<Peer> clients;
  for (int i = 0; i < 32; ++i) {
    clients.push_back(dial());
    ASSERT_TRUE(clients.back().send(get()));
    const auto reply = clients.back().read_message();
    ASSERT_TRUE(reply) << i;
    EXPECT_EQ(reply->status, 200) << i;
  }
  EXPECT_GT(server.connections(), 1) << "all came to one worker: the test shows nothing";
  EXPECT_TRUE(eventually([&] { return totals().upstream_connections == 1; }));
}

TEST_F(LimitsTest, ManyRequestsOverFewConnectionsAreAllAnswered) {
  start(2);
  GatedServer server(true);
  set({server.address()}, [](auto& s) { s.max_connections = 3; });
  std::atomic<int> answered{0};
  std::vector<std::thread> clients;
  for (int c = 0; c < 16; ++c) {
    clients.emplace_back([&] {
      auto client = dial();
      for (int i = 0; i < 40; ++i) {
        if (!client.send(get())) return;
        const auto reply = client.read_message();
        if (!reply || reply->status != 200) return;
        ++answered;
      }
    });
  }
  for (auto& client : clients) client.join();
  EXPECT_EQ(answered, 16 * 40);
  EXPECT_LE(totals().upstream_connections, 3u);
  EXPECT_EQ(totals().overflow(Overflow::connections) + totals().overflow(Overflow::pending_requests), 0u);
}

TEST_F(LimitsTest, BeyondMaxConnectionsATcpConnectionIsReset) {
  Server server([](Peer& peer) {
    for (auto byte = peer.read_exactly(1); !byte.empty(); byte = peer.read_exactly(1)) peer.send(byte);
  });
  set(
      {server.address()}, [](auto& s) { s.max_connections = 1; }, AppProtocol::tcp);
  auto first = dial();
  ASSERT_TRUE(first.send("x"));
  ASSERT_EQ(first.read_exactly(1), "x");
  auto second = dial();
  second.read_all();
  EXPECT_EQ(second.at_end(), Peer::End::reset);
  EXPECT_EQ(totals().overflow(Overflow::connections), 1u);
  first.close();
  ASSERT_TRUE(eventually([&] { return totals().upstream_connections == 0; }));
  auto third = dial();
  ASSERT_TRUE(third.send("y"));
  EXPECT_EQ(third.read_exactly(1), "y");
}

TEST_F(LimitsTest, ATcpConnectionIsNotTakenFromThePoolButMayCloseAnIdleOne) {
  Server server([](Peer& peer) {
    // HTTP or one letter, whatever comes.
    const auto first = peer.read_exactly(1);
    if (first != "G") {
      peer.send(first);
      peer.read_all();
      return;
    }
    peer.read_until("\r\n\r\n");
    peer.send(response("one"));
    peer.read_all();
  });
  set(
      {server.address()}, [](auto& s) { s.max_connections = 1; }, AppProtocol::detect);
  ASSERT_EQ(ask()->body, "one");
  EXPECT_TRUE(eventually([&] { return totals().upstream_connections == 1; }));
  auto client = dial();
  ASSERT_TRUE(client.send("x"));
  EXPECT_EQ(client.read_exactly(1), "x");
  EXPECT_EQ(server.connections(), 2);
  EXPECT_EQ(totals().upstream_connections, 1u);
}

TEST_F(LimitsTest, WithoutRetriesLeftAFailureIsPassedOn) {
  GatedServer server(true);
  // One of two in turn: at the latest the second request meets the one that refuses.
  set({refusing_address(), server.address()}, [](auto& s) { s.max_retries = 0; });
  int failed = 0;
  for (int i = 0; i < 2; ++i) failed += ask()->status == 503 ? 1 : 0;
  EXPECT_EQ(failed, 1);
  EXPECT_EQ(totals().overflow(Overflow::retries), 1u);
  set(std::vector<SocketAddress>{refusing_address(), server.address()}, [](auto& s) { s.retries = 0; });
  failed = 0;
  for (int i = 0; i < 2; ++i) failed += ask()->status == 503 ? 1 : 0;
  EXPECT_EQ(failed, 1);
  EXPECT_EQ(totals().overflow(Overflow::retries), 1u) << "this was the number of retries";
}

TEST_F(LimitsTest, RetriesAreCountedWhileTheyLast) {
  GatedServer server;
  set({refusing_address(), server.address()}, [](auto& s) { s.max_retries = 2; });
  std::list<Peer> clients;
  for (int i = 0; i < 2; ++i) {
    clients.push_back(dial());
    ASSERT_TRUE(clients.back().send(get()));
    ASSERT_TRUE(eventually([&] { return server.asked() == i + 1; }));
  }
  EXPECT_GE(totals().retries, 1u) << "at the latest the second request met the one that refuses";
  EXPECT_EQ(totals().retries_active, totals().retries);
  server.open();
  for (auto& client : clients) EXPECT_EQ(client.read_message()->status, 200);
  EXPECT_TRUE(eventually([&] { return totals().retries_active == 0; }));
}

TEST_F(LimitsTest, AConnectThatFailsGivesItsPlaceBack) {
  set({refusing_address()}, [](auto& s) { s.max_connections = 1; });
  for (int i = 0; i < 5; ++i) EXPECT_EQ(ask()->status, 503) << i;
  EXPECT_EQ(totals().upstream_connections, 0u);
  EXPECT_EQ(totals().pending, 0u);
}

}  // namespace
}  // namespace causeway::proxy::test
