// Plain requests and responses over HTTP/1.1.
#include <gmock/gmock.h>

#include "fixture.h"

namespace causeway::proxy::test {
namespace {

using namespace std::chrono_literals;

TEST_F(ProxyTest, AnswersARequestByName) {
  Server server([](Peer& peer) {
    const auto request = peer.read_message();
    ASSERT_TRUE(request);
    EXPECT_THAT(request->head,
                testing::MatchesRegex("GET /api/users/123\\?q=1 HTTP/1.1\r\nhost: user-svc\r\nx-one: 1\r\n"
                                      "x-request-id: [0-9a-f-]{36}\r\nx-forwarded-proto: http\r\n\r\n"));
    peer.send(response("hello", "x-two: 2\r\n"));
    peer.read_all();
  });
  publish({server.address()});
  const auto reply = ask(get("/api/users/123?q=1", "x-one: 1\r\n"));
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 200);
  EXPECT_EQ(reply->body, "hello");
  EXPECT_EQ(reply->field("x-two"), "2");
  EXPECT_TRUE(eventually([&] { return totals().active == 0; }));
  const auto counted = totals();
  EXPECT_EQ(counted.requests[2], 1u);
  EXPECT_EQ(counted.durations, 1u);
  EXPECT_EQ(counted.opened, 1u);
  EXPECT_EQ(counted.connects, 1u);
  EXPECT_GT(counted.sent, 20u);
  EXPECT_GT(counted.received, 20u);
}

TEST_F(ProxyTest, KeepsConnectionsOnBothSides) {
  Server server(Server::echo_name("one"));
  publish({server.address()});
  auto client = dial();
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(client.send(get()));
    const auto reply = client.read_message();
    ASSERT_TRUE(reply) << i;
    EXPECT_EQ(reply->body, "one");
  }
  auto other = dial();
  ASSERT_TRUE(other.send(get()));
  ASSERT_TRUE(other.read_message());
  EXPECT_EQ(server.connections(), 1) << "the second client's request must take the pooled connection";
  EXPECT_EQ(totals().opened, 2u);
}

TEST_F(ProxyTest, TakesTurnsPerRequest) {
  Server a(Server::echo_name("a"));
  Server b(Server::echo_name("b"));
  Server c(Server::echo_name("c"));
  publish({a.address(), b.address(), c.address()});
  auto client = dial();
  std::map<std::string, int> answered;
  for (int i = 0; i < 30; ++i) {
    ASSERT_TRUE(client.send(get()));
    const auto reply = client.read_message();
    ASSERT_TRUE(reply);
    ++answered[reply->body];
  }
  EXPECT_EQ(answered["a"], 10);
  EXPECT_EQ(answered["b"], 10);
  EXPECT_EQ(answered["c"], 10);
}

TEST_F(ProxyTest, AnswersPipelinedRequestsInOrder) {
  Server server([](Peer& peer) {
    while (const auto request = peer.read_message()) {
      const auto path = request->head.substr(request->head.find(' ') + 1, 2);
      peer.send(response(path + request->body));
    }
  });
  publish({server.address()});
  auto client = dial();
  const std::string post = "POST /4 HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
  ASSERT_TRUE(client.send(get("/1") + get("/2") + "POST /3 HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi" + post +
                          get("/5")));
  for (const auto* expected : {"/1", "/2", "/3hi", "/4abc", "/5"}) {
    const auto reply = client.read_message();
    ASSERT_TRUE(reply) << expected;
    EXPECT_EQ(reply->body, expected);
  }
}

TEST_F(ProxyTest, AcceptsAHeadInPieces) {
  Server server(Server::echo_name("one"));
  publish({server.address()});
  auto client = dial();
  for (const char c : get("/slow")) ASSERT_TRUE(client.send(std::string_view(&c, 1)));
  const auto reply = client.read_message();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 200);
}

TEST_F(ProxyTest, AcceptsALargeHeadAndRefusesATooLargeOne) {
  Server server(Server::echo_name("one"));
  publish({server.address()});
  const auto large = ask(get("/", "x-large: " + std::string(50'000, 'a') + "\r\n"));
  ASSERT_TRUE(large);
  EXPECT_EQ(large->status, 200);
  const auto too_large = ask(get("/", "x-large: " + std::string(70'000, 'a') + "\r\n"));
  ASSERT_TRUE(too_large);
  EXPECT_EQ(too_large->status, 431);
}

TEST_F(ProxyTest, RefusesWhatIsNotHttp) {
  Server server(Server::echo_name("one"));
  publish({server.address()});
  for (const std::string garbage :
       {"\x16\x03\x01\x02\x00\x01\r\n\r\n", "hello world\r\n\r\n", "GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n"}) {
    auto client = dial();
    ASSERT_TRUE(client.send(garbage));
    const auto reply = client.read_message();
    ASSERT_TRUE(reply) << garbage;
    EXPECT_EQ(reply->status, 400) << garbage;
    EXPECT_EQ(reply->field("connection"), "close");
    client.read_all();
    EXPECT_EQ(client.at_end(), Peer::End::closed);
  }
  EXPECT_EQ(server.connections(), 0);
  EXPECT_TRUE(eventually([&] { return totals().requests[4] == 4; }));
}

TEST_F(ProxyTest, AnswersHeadWithoutABody) {
  Server server([](Peer& peer) {
    while (const auto request = peer.read_message()) peer.send("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n");
  });
  publish({server.address()});
  auto client = dial();
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(client.send("HEAD / HTTP/1.1\r\nhost: a\r\n\r\n"));
    const auto reply = client.read_message(true);
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->field("content-length"), "1000");
  }
  EXPECT_EQ(server.connections(), 1);
}

TEST_F(ProxyTest, ClosesWhenTheClientAsksForIt) {
  Server server(Server::echo_name("one"));
  publish({server.address()});
  auto client = dial();
  ASSERT_TRUE(client.send(get("/", "connection: close\r\n")));
  const auto reply = client.read_message();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->field("connection"), "close");
  EXPECT_EQ(client.read_all(), "");
  EXPECT_EQ(client.at_end(), Peer::End::closed);
  ASSERT_TRUE(ask());
  EXPECT_EQ(server.connections(), 1) << "the upstream connection is kept all the same";
}

TEST_F(ProxyTest, AnswersAClientThatShutItsSendingHalfDown) {
  Server server(Server::echo_name("one"));
  publish({server.address()});
  auto client = dial();
  ASSERT_TRUE(client.send(get()));
  client.shutdown_send();
  const auto reply = client.read_message();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->body, "one");
}

TEST_F(ProxyTest, SpeaksHttp10WithOldClients) {
  Server server([](Peer& peer) {
    while (peer.read_message())
      peer.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n");
  });
  publish({server.address()});
  auto client = dial();
  ASSERT_TRUE(client.send("GET / HTTP/1.0\r\n\r\n"));
  const auto all = client.read_all();
  EXPECT_EQ(all.substr(all.find("\r\n\r\n") + 4), "hello world");
  EXPECT_EQ(client.at_end(), Peer::End::closed);
}

TEST_F(ProxyTest, PassesAResponseThatEndsWithItsConnection) {
  Server server([](Peer& peer) {
    peer.read_message();
    peer.send("HTTP/1.1 200 OK\r\n\r\nuntil the end");
  });
  publish({server.address()});
  auto client = dial();
  ASSERT_TRUE(client.send(get()));
  const auto all = client.read_all();
  EXPECT_TRUE(all.ends_with("\r\n\r\nuntil the end")) << all;
  EXPECT_EQ(client.at_end(), Peer::End::closed);
}

TEST_F(ProxyTest, PassesInterimResponsesAndExpectContinue) {
  Server server([](Peer& peer) {
    const auto head = peer.read_until("\r\n\r\n");
    EXPECT_NE(head.find("100-continue"), std::string::npos);
    peer.send("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n");
    EXPECT_EQ(peer.read_exactly(5), "hello");
    peer.send(response("done"));
    peer.read_all();
  });
  publish({server.address()});
  auto client = dial();
  ASSERT_TRUE(client.send("PUT / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n"));
  EXPECT_EQ(client.read_message(true)->status, 103);
  EXPECT_EQ(client.read_message(true)->status, 100);
  ASSERT_TRUE(client.send("hello"));
  EXPECT_EQ(client.read_message()->body, "done");
  ASSERT_TRUE(client.send(get())) << "the connection goes on";
}

TEST_F(ProxyTest, TunnelsAfterAnUpgrade) {
  Server server([](Peer& peer) {
    const auto head = peer.read_until("\r\n\r\n");
    EXPECT_NE(head.find("upgrade: websocket"), std::string::npos);
    peer.send("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nfirst");
    EXPECT_EQ(peer.read_exactly(4), "ping");
    peer.send("pong");
    EXPECT_EQ(peer.read_all(), "rest");
    peer.send("bye");
  });
  publish({server.address()});
  auto client = dial();
  // The first bytes of the new protocol may come with the request.
  ASSERT_TRUE(client.send("GET /ws HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\nping"));
  const auto reply = client.read_message(true);
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 101);
  EXPECT_EQ(client.read_exactly(9), "firstpong");
  ASSERT_TRUE(client.send("rest"));
  client.shutdown_send();
  EXPECT_EQ(client.read_all(), "bye");
  EXPECT_EQ(client.at_end(), Peer::End::closed);
  EXPECT_EQ(totals().requests[1], 1u);
}

TEST_F(ProxyTest, RefusesConnect) {
  Server server(Server::echo_name("one"));
  publish({server.address()});
  const auto reply = ask("CONNECT other:443 HTTP/1.1\r\nhost: other:443\r\n\r\n");
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 501);
  EXPECT_EQ(server.connections(), 0);
}

TEST_F(ProxyTest, RefusesWhatWasNotDialledToAnAlias) {
  Server server(Server::echo_name("one"));
  publish({server.address()});
  origins_.vip = 0x7fff0002;
  EXPECT_FALSE(ask());
  origins_.vip = 0x7fff0001;
  origins_.unknown = true;
  EXPECT_FALSE(ask());
  origins_.unknown = false;
  EXPECT_TRUE(ask());
  EXPECT_EQ(server.connections(), 1);
}

TEST_F(ProxyTest, EndsAnIdleConnection) {
  Server server(Server::echo_name("one"));
  publish({server.address()}, {.settings = with([](auto& s) { s.http_idle_timeout = 1s; })});
  auto client = dial();
  ASSERT_TRUE(client.send(get()));
  ASSERT_TRUE(client.read_message());
  EXPECT_EQ(client.read_all(), "");
  EXPECT_EQ(client.at_end(), Peer::End::closed);
}

TEST_F(ProxyTest, SpreadsOverSeveralWorkers) {
  start(2);
  Server server(Server::echo_name("one"));
  publish({server.address()});
  for (int i = 0; i < 40; ++i) ASSERT_TRUE(ask());
  EXPECT_TRUE(eventually([&] { return totals().requests[2] == 40 && totals().active == 0; }));
}

TEST_F(ProxyTest, AConnectionThatCarriedAGetWithABodyIsNotUsedAgain) {
  Server server([](Peer& peer) {
    while (peer.read_message()) peer.send(response("ok"));
  });
  publish({server.address()});
  auto client = dial();
  const std::string with_body = "GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi";
  for (const std::string& request : {with_body, with_body, get(), get()}) {
    ASSERT_TRUE(client.send(request));
    ASSERT_EQ(client.read_message()->status, 200);
  }
  EXPECT_EQ(server.connections(), 3);
}

TEST_F(ProxyTest, AConnectionThatCarriedAnInterimResponseWithALengthIsNotUsedAgain) {
  Server server([](Peer& peer) {
    while (peer.read_message()) peer.send("HTTP/1.1 103 Hints\r\ncontent-length: 2\r\n\r\n" + response("ok"));
  });
  publish({server.address()});
  auto client = dial();
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(client.send(get()));
    ASSERT_EQ(client.read_message(true)->status, 103);
    ASSERT_EQ(client.read_message()->status, 200);
  }
  EXPECT_EQ(server.connections(), 2);
}

TEST_F(ProxyTest, AnOldClientIsNotToldOfChunksThatItsHeadRequestWouldNotGet) {
  Server server([](Peer& peer) {
    while (peer.read_message(true)) peer.send("HTTP/1.1 200 OK\r\nx: y\r\ntransfer-encoding: chunked\r\n\r\n");
  });
  publish({server.address()});
  auto client = dial();
  ASSERT_TRUE(client.send("HEAD / HTTP/1.0\r\nhost: a\r\n\r\n"));
  const auto reply = client.read_message(true);
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 200);
  EXPECT_EQ(reply->field("x"), "y");
  EXPECT_EQ(reply->field("transfer-encoding"), "");
}

}  // namespace
}  // namespace causeway::proxy::test
