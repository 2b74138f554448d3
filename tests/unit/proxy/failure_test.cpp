// Endpoints that refuse, break, hang, answer nonsense, come and go.

#include "fixture.h"

namespace causeway::proxy::test {
namespace {

using namespace std::chrono_literals;
using observe::FailureReason;

const std::string kPost = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi";

/// Takes a request and resets the connection.
void reset_after_request(Peer& peer) {
  peer.read_message();
  peer.reset();
}

TEST_F(ProxyTest, TriesAnotherEndpointWhenOneRefuses) {
  Server server(Server::echo_name("good"));
  publish({refusing_address(), server.address(), refusing_address()});
  for (int i = 0; i < 6; ++i) {
    for (const auto& request : {get(), kPost}) {
      const auto reply = ask(request);
      ASSERT_TRUE(reply);
      EXPECT_EQ(reply->body, "good");
    }
  }
  EXPECT_GT(totals().retries, 0u);
  EXPECT_GT(totals().failures(FailureReason::refused), 0u);
}

TEST_F(ProxyTest, Answers503WhenAllRefuse) {
  publish({refusing_address(), refusing_address()});
  auto client = dial();
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(client.send(get())) << "the client's connection stays open";
    const auto reply = client.read_message();
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->status, 503);
    EXPECT_NE(reply->body.find("refused"), std::string::npos) << reply->body;
    EXPECT_NE(reply->body.find("user-service"), std::string::npos) << reply->body;
  }
}

TEST_F(ProxyTest, Answers503WithoutEndpoints) {
  publish(std::vector<SocketAddress>{});
  const auto reply = ask();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 503);
  EXPECT_EQ(totals().failures(FailureReason::no_endpoint), 1u);
  Server server(Server::echo_name("late"));
  publish({server.address()});
  EXPECT_EQ(ask()->body, "late");
}

TEST_F(ProxyTest, RetriesAGetThatWasResetBeforeItsAnswer) {
  Server bad(reset_after_request);
  Server good(Server::echo_name("good"));
  publish({bad.address(), good.address()});
  for (int i = 0; i < 4; ++i) {
    const auto reply = ask();
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->body, "good");
  }
  EXPECT_GT(bad.connections(), 0);
  EXPECT_EQ(totals().retries, static_cast<std::uint64_t>(bad.connections()));
  EXPECT_EQ(totals().failures(FailureReason::reset), static_cast<std::uint64_t>(bad.connections()));
}

TEST_F(ProxyTest, RetriesAPutWithItsBodyOnceMore) {
  const std::string body(50'000, 'b');
  Server bad([](Peer& peer) {
    peer.read_until("\r\n\r\n");
    peer.read_exactly(20'000);
    peer.reset();
  });
  std::atomic<int> whole{0};
  Server good([&](Peer& peer) {
    while (const auto request = peer.read_message()) {
      whole += request->body == body ? 1 : 0;
      peer.send(response("good"));
    }
  });
  publish({bad.address(), good.address()});
  for (int i = 0; i < 4; ++i) {
    auto client = dial();
    ASSERT_TRUE(client.send("PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 50000\r\n\r\n" + body.substr(0, 30'000)));
    ASSERT_TRUE(client.send(body.substr(30'000)));
    const auto reply = client.read_message();
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->body, "good") << reply->head << reply->body;
  }
  EXPECT_GT(bad.connections(), 0);
  EXPECT_EQ(whole, 4);
}

TEST_F(ProxyTest, DoesNotRetryAPostThatWasSent) {
  Server bad(reset_after_request);
  publish({bad.address(), bad.address()});
  const auto reply = ask(kPost);
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 502);
  EXPECT_EQ(bad.connections(), 1);
  EXPECT_EQ(totals().retries, 0u);
}

TEST_F(ProxyTest, DoesNotRetryABodyThatIsTooLargeToKeep) {
  Server bad([](Peer& peer) {
    peer.read_until("\r\n\r\n");
    peer.read_exactly(200'000);
    peer.reset();
  });
  publish({bad.address(), bad.address()});
  const auto reply = ask("PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 200000\r\n\r\n" + std::string(200'000, 'b'));
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 502);
  EXPECT_EQ(bad.connections(), 1);
}

TEST_F(ProxyTest, AStalePooledConnectionFailsNothing) {
  // Each connection serves one request, then is closed without a word, as by a server's idle timeout.
  Server server([](Peer& peer) {
    if (!peer.read_message()) return;
    peer.send(response("one"));
    peer.shutdown_send();
    EXPECT_TRUE(peer.all_acknowledged());
  });
  publish({server.address()});
  auto client = dial();
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(client.send(i % 2 == 0 ? get() : kPost));
    const auto reply = client.read_message();
    ASSERT_TRUE(reply) << i;
    EXPECT_EQ(reply->status, 200) << i << reply->body;
    // Only a GET may be sent again: before a POST the server's end must have come, for the proxy to see it.
    if (i % 2 == 0) {
      ASSERT_TRUE(eventually([&] { return server.ended() == i + 1; }));
    }
  }
  EXPECT_EQ(totals().ejections, 0u);
}

TEST_F(ProxyTest, APooledConnectionThatBreaksOnUseFailsNoGet) {
  // The connection is kept open until the second request comes, and is reset then.
  Server server([](Peer& peer) {
    if (!peer.read_message()) return;
    peer.send(response("one"));
    if (peer.read_message()) peer.reset();
  });
  publish({server.address()});
  auto client = dial();
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(client.send(get()));
    const auto reply = client.read_message();
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->status, 200) << i;
  }
  EXPECT_EQ(totals().ejections, 0u);
  EXPECT_EQ(totals().failures(FailureReason::reset), 0u);
}

TEST_F(ProxyTest, DropsAPooledConnectionOnWhichSomethingCameUnasked) {
  Server server([](Peer& peer) {
    if (!peer.read_message()) return;
    peer.send(response("one") + "HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n");
    peer.read_all();
  });
  publish({server.address()});
  auto client = dial();
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(client.send(get()));
    const auto reply = client.read_message();
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->status, 200) << i;
  }
  EXPECT_EQ(server.connections(), 10);
}

TEST_F(ProxyTest, Answers504WhenAnEndpointHangs) {
  Server server([](Peer& peer) { peer.read_all(); });
  publish({server.address()}, {.settings = with([](auto& s) { s.per_request_timeout = 100ms; })});
  auto client = dial();
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(client.send(get()));
    const auto reply = client.read_message();
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->status, 504);
  }
  EXPECT_TRUE(eventually([&] { return server.connections() == 2; }));
  EXPECT_EQ(totals().failures(FailureReason::timeout), 2u);
  EXPECT_TRUE(eventually([&] { return totals().requests[5] == 2; }));
}

TEST_F(ProxyTest, Answers408WhenTheClientStopsInItsBody) {
  Server server([](Peer& peer) { peer.read_all(); });
  publish({server.address()}, {.settings = with([](auto& s) { s.http_idle_timeout = 1s; })});
  auto client = dial();
  ASSERT_TRUE(client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\npart"));
  const auto reply = client.read_message();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 408);
  EXPECT_EQ(totals().failures(FailureReason::timeout), 0u) << "it is not the endpoint's failure";
}

TEST_F(ProxyTest, CutsAResponseThatTakesTooLong) {
  Server server([](Peer& peer) {
    peer.read_message();
    peer.send("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\npart");
    peer.read_all();
  });
  publish({server.address()}, {.settings = with([](auto& s) { s.per_request_timeout = 1s; })});
  auto client = dial();
  ASSERT_TRUE(client.send(get()));
  EXPECT_TRUE(client.read_all().ends_with("part"));
  EXPECT_EQ(client.at_end(), Peer::End::reset);
}

TEST_F(ProxyTest, ASlowUploadDoesNotUseTheRequestsTimeUp) {
  Server server(Server::echo_name("one"));
  publish({server.address()}, {.settings = with([](auto& s) { s.per_request_timeout = 1s; })});
  auto client = dial();
  ASSERT_TRUE(client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 12\r\n\r\n"));
  for (int i = 0; i < 12; ++i) {
    std::this_thread::sleep_for(100ms);  // what is tested is time itself
    ASSERT_TRUE(client.send("x"));
  }
  const auto reply = client.read_message();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 200);
}

TEST_F(ProxyTest, Answers502ToNonsense) {
  const std::vector<std::string> nonsense = {
      "SSH-2.0-OpenSSH_9.2\r\n\r\n",
      "HTTP/1.1 200\x01OK\r\n\r\n",
      "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
      "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
      "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
      "HTTP/1.1 200 OK\r\nx: " + std::string(100'000, 'a') + "\r\n\r\n"};
  std::atomic<std::size_t> round{0};
  Server server([&](Peer& peer) {
    peer.read_message();
    peer.send(nonsense[round]);
    peer.read_all();
  });
  publish({server.address()});
  for (; round < nonsense.size(); ++round) {
    const auto reply = ask();
    ASSERT_TRUE(reply) << nonsense[round].substr(0, 80);
    EXPECT_EQ(reply->status, 502) << nonsense[round].substr(0, 80);
  }
}

TEST_F(ProxyTest, Answers502WhenAConnectionEndsInsideAHead) {
  Server server([&](Peer& peer) {
    peer.read_message();
    peer.send("HTTP/1.1 200 OK\r\ncontent-le");
  });
  publish({server.address()});
  const auto reply = ask();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 502);
  EXPECT_EQ(server.connections(), 1) << "a byte of the response came: not sent again";
}

TEST_F(ProxyTest, LeavesAnEndpointOutThatKeepsFailing) {
  Server bad([](Peer& peer) {
    while (peer.read_message()) peer.send("HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n");
  });
  Server good(Server::echo_name("good"));
  publish({bad.address(), good.address()});
  auto client = dial();
  int failed = 0;
  for (int i = 0; i < 60; ++i) {
    ASSERT_TRUE(client.send(get()));
    const auto reply = client.read_message();
    ASSERT_TRUE(reply);
    failed += reply->status == 502 ? 1 : 0;
  }
  EXPECT_EQ(failed, 5);
  EXPECT_EQ(totals().ejections, 1u);
}

TEST_F(ProxyTest, TakesNoNewRequestToADrainingEndpoint) {
  Server a(Server::echo_name("a"));
  Server b(Server::echo_name("b"));
  publish({a.address(), b.address()});
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(ask());
  publish(
      std::vector<std::pair<SocketAddress, Health>>{{a.address(), Health::draining}, {b.address(), Health::healthy}},
      setup_);
  auto client = dial();
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(client.send(get()));
    EXPECT_EQ(client.read_message()->body, "b");
  }
}

TEST_F(ProxyTest, ClosesPooledConnectionsOfAnEndpointThatLeft) {
  std::promise<void> ended;
  Server server([&](Peer& peer) {
    peer.read_message();
    peer.send(response("one"));
    peer.read_all();
    ended.set_value();
  });
  publish({server.address()});
  ASSERT_TRUE(ask());
  publish(std::vector<SocketAddress>{});
  ended.get_future().wait();
  EXPECT_EQ(ask()->status, 503);
}

TEST_F(ProxyTest, FinishesARequestWhoseEndpointLeaves) {
  std::promise<void> leave;
  auto left = leave.get_future();
  Server server([&](Peer& peer) {
    peer.read_message();
    peer.send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nfirst");
    left.wait();
    peer.send("after");
    peer.read_all();
  });
  publish({server.address()});
  auto client = dial();
  ASSERT_TRUE(client.send(get()));
  ASSERT_FALSE(client.read_until("first").empty());
  publish(std::vector<SocketAddress>{});
  leave.set_value();
  EXPECT_EQ(client.read_exactly(5), "after");
  ASSERT_TRUE(client.send(get()));
  EXPECT_EQ(client.read_message()->status, 503);
}

TEST_F(ProxyTest, AClientOfAServiceThatLeftIsToldToConnectAnew) {
  Server server(Server::echo_name("a"));
  publish({server.address()});
  auto client = dial();
  ASSERT_TRUE(client.send(get()));
  ASSERT_EQ(client.read_message()->status, 200);
  withdraw();
  ASSERT_TRUE(client.send(get()));
  const auto refused = client.read_message();
  EXPECT_EQ(refused->status, 503);
  EXPECT_EQ(refused->field("connection"), "close");
}

TEST_F(ProxyTest, AClientOutlivesAServiceThatLeavesAndComesBack) {
  Server server(Server::echo_name("a"));
  publish({server.address()});
  auto client = dial();
  ASSERT_TRUE(client.send(get()));
  ASSERT_EQ(client.read_message()->status, 200);
  withdraw();
  publish({server.address()});
  ASSERT_TRUE(client.send(get()));
  EXPECT_EQ(client.read_message()->status, 200);
}

TEST_F(ProxyTest, GetsNeverFailWhileEndpointsComeAndGo) {
  std::vector<std::unique_ptr<Server>> servers;
  for (int i = 0; i < 4; ++i) servers.push_back(std::make_unique<Server>(Server::echo_name("x")));
  const auto addresses = [&] {
    std::vector<SocketAddress> out;
    for (const auto& server : servers) out.push_back(server->address());
    return out;
  };
  publish(addresses());
  std::atomic<int> asked{0};
  const std::jthread asking([&](const std::stop_token& stop) {
    auto client = dial();
    while (!stop.stop_requested()) {
      ASSERT_TRUE(client.send(get()));
      const auto reply = client.read_message();
      ASSERT_TRUE(reply);
      ASSERT_EQ(reply->status, 200) << reply->body;
      ++asked;
    }
  });
  for (int round = 0; round < 20; ++round) {
    const int before = asked;
    ASSERT_TRUE(eventually([&] { return asked > before + 20; }));
    // Killed without notice: the proxy learns of it only afterwards.
    const auto victim = static_cast<std::size_t>(round) % servers.size();
    servers[victim].reset();
    servers[victim] = std::make_unique<Server>(Server::echo_name("x"));
    publish(addresses());
  }
}

}  // namespace
}  // namespace causeway::proxy::test
