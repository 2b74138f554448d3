// Answers that another endpoint may better: 503, and 408 on a pooled connection. What is told of endpoints by their
// answers.
#include "fixture.h"

namespace causeway::proxy::test {
namespace {

using namespace std::chrono_literals;
using observe::Overflow;

std::string answer(const std::string& status, const std::string& body, const std::string& fields = "") {
  return "HTTP/1.1 " + status + "\r\ncontent-length: " + std::to_string(body.size()) + "\r\n" + fields + "\r\n" + body;
}

/// Answers every request with these bytes.
Server::Handler always(std::string bytes) {
  return [bytes = std::move(bytes)](Peer& peer) {
    while (peer.read_message()) {
      if (!peer.send(bytes)) return;
    }
  };
}

const std::string kUnavailable = answer("503 Service Unavailable", "busy", "x-who: it\r\n");
const std::string kPost = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi";

class RetryAnswersTest : public ProxyTest {
 protected:
  void TearDown() override {
    EXPECT_TRUE(eventually([&] { return totals().retries_active == 0 && totals().pending == 0; }));
  }
  /// So many requests over one connection, each of which must be answered so.
  void ask_each(int times, int status, const std::string& body, const std::string& request = get()) {
    auto client = dial();
    for (int i = 0; i < times; ++i) {
      ASSERT_TRUE(client.send(request)) << i;
      const auto reply = client.read_message();
      ASSERT_TRUE(reply) << i;
      EXPECT_EQ(reply->status, status) << i << reply->body;
      EXPECT_EQ(reply->body, body) << i;
    }
  }
};

TEST_F(RetryAnswersTest, A503IsTriedOnAnotherEndpoint) {
  Server bad(always(kUnavailable));
  Server good(Server::echo_name("good"));
  publish({bad.address(), good.address()});
  ask_each(4, 200, "good");
  EXPECT_GT(totals().retries, 0u);
  EXPECT_EQ(bad.connections(), 1) << "an answer that came whole leaves its connection in the pool";
}

TEST_F(RetryAnswersTest, TheLastAnswerIsPassedOnIfAllSayIt) {
  Server one(always(kUnavailable)), two(always(kUnavailable)), three(always(kUnavailable)), four(always(kUnavailable));
  publish({one.address(), two.address(), three.address(), four.address()});
  auto client = dial();
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(client.send(get()));
    const auto reply = client.read_message();
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->status, 503);
    EXPECT_EQ(reply->body, "busy");
    EXPECT_EQ(reply->field("x-who"), "it") << "the endpoint's, not the proxy's";
  }
  EXPECT_EQ(totals().retries, 6u);
}

TEST_F(RetryAnswersTest, WithoutAnotherEndpointItIsPassedOnAtOnce) {
  Server one(always(kUnavailable));
  publish({one.address()});
  ask_each(3, 503, "busy");
  EXPECT_EQ(totals().retries, 0u);
  EXPECT_EQ(one.connections(), 1);
}

TEST_F(RetryAnswersTest, A503WithABrokenBodyIsNotKept) {
  Server bad(always("HTTP/1.1 503 Service Unavailable\r\ntransfer-encoding: chunked\r\n\r\nbusy\r\n"));
  publish({bad.address(), refusing_address()});
  for (int i = 0; i < 2; ++i) {
    const auto reply = ask();
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->status, 502);
  }
}

TEST_F(RetryAnswersTest, WhatMayHaveBeenDoneIsNotRepeated) {
  Server one(always(kUnavailable)), two(always(kUnavailable));
  publish({one.address(), two.address()});
  ask_each(2, 503, "busy", kPost);
  EXPECT_EQ(totals().retries, 0u);
}

TEST_F(RetryAnswersTest, WithoutABudgetItIsPassedOn) {
  Server one(always(kUnavailable)), two(always(kUnavailable));
  publish({one.address(), two.address()}, {.settings = with([](auto& s) { s.retry_budget = 0; })});
  ask_each(3, 503, "busy");
  EXPECT_EQ(totals().retries, 0u);
  EXPECT_EQ(totals().overflow(Overflow::retry_budget), 3u);
}

TEST_F(RetryAnswersTest, TheAnswerAtHandIsBetterThanAFailure) {
  Server bad(always(kUnavailable));
  publish({bad.address(), refusing_address()});
  ask_each(4, 503, "busy");
  EXPECT_GT(totals().retries, 0u);
}

TEST_F(RetryAnswersTest, TheAnswerAtHandIsBetterThanOneThatDoesNotCome) {
  Server bad(always(kUnavailable));
  Server hanging([](Peer& peer) { peer.read_all(); });
  publish({bad.address()}, {.settings = with([](auto& s) { s.per_request_timeout = 1s; })});
  ask_each(1, 503, "busy");
  publish({bad.address(), hanging.address()}, setup_);
  // One of two begins at the endpoint that answers.
  auto client = dial();
  bool kept = false;
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(client.send(get()));
    const auto reply = client.read_message();
    ASSERT_TRUE(reply);
    kept = kept || (reply->status == 503 && reply->body == "busy");
  }
  EXPECT_TRUE(kept);
}

TEST_F(RetryAnswersTest, AnAnswerThatDidNotComeWholeYetIsPassedOnWhole) {
  const std::string body(300'000, 'b');
  Server bad([&](Peer& peer) {
    while (peer.read_message()) peer.send(answer("503 Service Unavailable", body));
  });
  publish({bad.address(), refusing_address()});
  ask_each(4, 503, body);
  EXPECT_GT(totals().retries, 0u);
}

TEST_F(RetryAnswersTest, AnAnswerThatEndsWithItsConnectionIsPassedOnWhole) {
  Server bad([](Peer& peer) {
    if (!peer.read_message()) return;
    peer.send("HTTP/1.1 503 Service Unavailable\r\n\r\nbu");
    peer.send("sy");
  });
  publish({bad.address(), refusing_address()});
  for (int i = 0; i < 2; ++i) {
    auto client = dial();
    ASSERT_TRUE(client.send("GET / HTTP/1.0\r\n\r\n"));
    const auto reply = client.read_all();
    EXPECT_TRUE(reply.starts_with("HTTP/1.1 503 ")) << reply;
    EXPECT_TRUE(reply.ends_with("\r\n\r\nbusy")) << reply;
  }
}

TEST_F(RetryAnswersTest, AChunkedAnswerIsPassedOn) {
  Server bad(always("HTTP/1.1 503 Service Unavailable\r\ntransfer-encoding: chunked\r\n\r\n4\r\nbusy\r\n0\r\n\r\n"));
  publish({bad.address(), refusing_address()});
  ask_each(4, 503, "busy");
  EXPECT_EQ(bad.connections(), 1);
}

TEST_F(RetryAnswersTest, AHeadRequestIsTriedOnAnotherEndpoint) {
  Server bad([](Peer& peer) {
    while (!peer.read_until("\r\n\r\n").empty()) {
      peer.send("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\n\r\n");
    }
  });
  Server good([](Peer& peer) {
    while (!peer.read_until("\r\n\r\n").empty()) peer.send("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n");
  });
  publish({bad.address(), good.address()});
  auto client = dial();
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(client.send("HEAD / HTTP/1.1\r\nhost: a\r\n\r\n"));
    const auto reply = client.read_message(true);
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->status, 200);
  }
  EXPECT_EQ(bad.connections(), 1);
}

TEST_F(RetryAnswersTest, ABodyThatCameInPiecesIsSentAgain) {
  Server bad(always(kUnavailable));
  std::atomic<int> whole{0};
  const std::string body(20'000, 'b');
  Server good([&](Peer& peer) {
    while (const auto request = peer.read_message()) {
      whole += request->body == body ? 1 : 0;
      peer.send(response("good"));
    }
  });
  publish({bad.address(), good.address()});
  for (int i = 0; i < 4; ++i) {
    auto client = dial();
    ASSERT_TRUE(client.send("PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 20000\r\n\r\n" + body.substr(0, 7'000)));
    ASSERT_TRUE(client.send(body.substr(7'000)));
    const auto reply = client.read_message();
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->body, "good");
  }
  EXPECT_EQ(whole, 4);
  EXPECT_GT(totals().retries, 0u);
}

TEST_F(RetryAnswersTest, AtTheLimitTheAnswerAtHandIsPassedOnInsteadOfWaiting) {
  const std::string body(300'000, 'b');  // not whole: it holds its connection
  const auto busy = always(answer("503 Service Unavailable", body));
  Server one(busy), two(busy);
  publish({one.address(), two.address()}, {.settings = with([](auto& s) { s.max_connections = 1; })});
  ask_each(3, 503, body);
}

TEST_F(RetryAnswersTest, AClientThatLeavesMeanwhileIsForgotten) {
  Server bad(always(kUnavailable));
  Server hanging([](Peer& peer) { peer.read_all(); });
  publish({bad.address(), hanging.address()});
  for (int i = 0; i < 2; ++i) {
    auto client = dial();
    ASSERT_TRUE(client.send(get()));
    ASSERT_TRUE(eventually([&] { return hanging.connections() == i + 1; }));
    client.reset();
  }
  EXPECT_TRUE(eventually([&] { return totals().active == 0 && totals().retries_active == 0; }));
}

TEST_F(RetryAnswersTest, A408OnAPooledConnectionIsItsIdleTimeout) {
  // Each connection answers one request; then it says that it waited for too long, just as the next one comes.
  Server server([](Peer& peer) {
    if (!peer.read_message()) return;
    peer.send(response("one"));
    if (peer.read_message()) peer.send(answer("408 Request Timeout", "", "connection: close\r\n"));
  });
  publish({server.address()});
  ask_each(10, 200, "one");
  EXPECT_EQ(server.connections(), 10);
  EXPECT_EQ(totals().ejections, 0u);
  EXPECT_EQ(totals().retries, 0u) << "no other endpoint was tried";
}

TEST_F(RetryAnswersTest, A408ToThisVeryRequestIsPassedOn) {
  Server server(always(answer("408 Request Timeout", "slow", "connection: close\r\n")));
  publish({server.address()});
  EXPECT_EQ(ask()->status, 408);
  Server keeps(always(answer("408 Request Timeout", "slow")));
  publish({keeps.address()});
  ask_each(2, 408, "slow");
}

TEST_F(RetryAnswersTest, AnEndpointThatBreaksItsAnswersOffIsEjected) {
  Server bad([](Peer& peer) {
    if (peer.read_message()) peer.send("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\npart");
    peer.reset();
  });
  Server good(Server::echo_name("good"));
  publish({bad.address(), good.address()});
  for (int i = 0; i < 10; ++i) {
    auto client = dial();
    ASSERT_TRUE(client.send(get()));
    client.read_message();
  }
  EXPECT_TRUE(eventually([&] { return totals().ejections == 1; }));
  EXPECT_EQ(totals().ejected, 1u);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(ask()->body, "good");
  publish({good.address()});
  EXPECT_EQ(totals().ejected, 0u) << "with the endpoint";
}

TEST_F(RetryAnswersTest, AnEjectedEndpointComesBackByATrial) {
  std::atomic<bool> healed{false};
  Server bad([&](Peer& peer) {
    while (peer.read_message()) {
      if (!peer.send(healed ? response("healed") : answer("502 Bad Gateway", ""))) return;
    }
  });
  Server good(Server::echo_name("good"));
  publish({bad.address(), good.address()}, {.settings = with([](auto& s) {
                                              s.ejection_failures = 2;
                                              s.ejection_time = 100ms;
                                            })});
  for (int i = 0; i < 4; ++i) ask();
  EXPECT_TRUE(eventually([&] { return totals().ejected == 1; }));
  healed = true;
  EXPECT_TRUE(eventually([&] { return ask()->body == "healed"; }));
  EXPECT_TRUE(eventually([&] { return totals().ejection_returns == 1 && totals().ejected == 0; }));
}

}  // namespace
}  // namespace causeway::proxy::test
