// Bodies in both directions: streamed, bounded, never passed off as whole when cut.

#include "fixture.h"

namespace causeway::proxy::test {
namespace {

using namespace std::chrono_literals;

std::string pattern(std::size_t bytes) {
  std::string out(bytes, '\0');
  for (std::size_t i = 0; i < bytes; ++i) out[i] = static_cast<char>('a' + (i * 7 + i / 1000) % 26);
  return out;
}

std::string chunked(std::string_view body, std::size_t chunk) {
  std::string out;
  char size[32];
  while (!body.empty()) {
    const auto part = body.substr(0, chunk);
    std::snprintf(size, sizeof size, "%zx\r\n", part.size());
    out.append(size).append(part).append("\r\n");
    body.remove_prefix(part.size());
  }
  return out + "0\r\n\r\n";
}

/// Answers with the request's body, framed in the same way.
void mirror(Peer& peer) {
  while (const auto request = peer.read_message()) {
    if (request->field("transfer-encoding") == "chunked") {
      peer.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + chunked(request->body, 777));
    } else {
      peer.send(response(request->body));
    }
  }
}

TEST_F(ProxyTest, CarriesBodiesOfEverySizeBothWays) {
  Server server(mirror);
  publish({server.address()});
  auto client = dial();
  for (const std::size_t bytes : {0u, 1u, 100u, 32'700u, 33'000u, 65'536u, 200'000u, 3'000'000u}) {
    const auto body = pattern(bytes);
    ASSERT_TRUE(
        client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: " + std::to_string(bytes) + "\r\n\r\n" + body));
    auto reply = client.read_message();
    ASSERT_TRUE(reply) << bytes;
    EXPECT_TRUE(reply->body == body) << bytes;
    ASSERT_TRUE(client.send("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n" + chunked(body, 5000)));
    reply = client.read_message();
    ASSERT_TRUE(reply) << bytes;
    EXPECT_TRUE(reply->body == body) << bytes;
  }
  EXPECT_EQ(server.connections(), 1);
}

TEST_F(ProxyTest, KeepsWhatFollowsABodyForTheNextRequest) {
  Server server(mirror);
  publish({server.address()});
  auto client = dial();
  const auto body = pattern(100'000);
  std::string all;
  for (int i = 0; i < 5; ++i) {
    all += "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n" + body;
    all += "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n" + chunked(body, 9999);
  }
  std::thread sender([&] { EXPECT_TRUE(client.send(all)); });
  for (int i = 0; i < 10; ++i) {
    const auto reply = client.read_message();
    EXPECT_TRUE(reply && reply->body == body) << i;
  }
  sender.join();
}

TEST_F(ProxyTest, HoldsAResponseBackThatIsNotRead) {
  std::promise<std::size_t> sent;
  constexpr std::size_t kBody = 400u << 20;
  Server server([&](Peer& peer) {
    peer.read_message();
    peer.send("HTTP/1.1 200 OK\r\ncontent-length: " + std::to_string(kBody) + "\r\n\r\n");
    sent.set_value(peer.send_until_stuck(kBody));
  });
  publish({server.address()});
  auto client = dial(65536);
  ASSERT_TRUE(client.send(get()));
  ASSERT_FALSE(client.read_until("\r\n\r\n").empty());
  // What the sockets' buffers hold (tcp_wmem's and tcp_rmem's maximum on both legs), not what was to come.
  EXPECT_LT(sent.get_future().get(), 64u << 20);
}

TEST_F(ProxyTest, HoldsARequestBackThatIsNotRead) {
  std::promise<void> done;
  auto finished = done.get_future().share();
  Server server([&](Peer& peer) {
    peer.read_until("\r\n\r\n");
    finished.wait();
  });
  publish({server.address()});
  auto client = dial();
  ASSERT_TRUE(client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000000\r\n\r\n"));
  EXPECT_LT(client.send_until_stuck(500u << 20), 64u << 20);
  done.set_value();
}

TEST_F(ProxyTest, StreamsBothWaysAtOnce) {
  Server server([](Peer& peer) {
    peer.read_until("\r\n\r\n");
    peer.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
    for (int i = 0; i < 5; ++i) {
      EXPECT_EQ(peer.read_exactly(6), "1\r\n" + std::to_string(i) + "\r\n");
      peer.send("2\r\na" + std::to_string(i) + "\r\n");
    }
    EXPECT_EQ(peer.read_exactly(5), "0\r\n\r\n");
    peer.send("0\r\n\r\n");
    peer.read_all();
  });
  publish({server.address()});
  auto client = dial();
  ASSERT_TRUE(client.send("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"));
  ASSERT_FALSE(client.read_until("\r\n\r\n").empty());
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(client.send("1\r\n" + std::to_string(i) + "\r\n"));
    EXPECT_EQ(client.read_exactly(7), "2\r\na" + std::to_string(i) + "\r\n");
  }
  ASSERT_TRUE(client.send("0\r\n\r\n"));
  EXPECT_EQ(client.read_exactly(5), "0\r\n\r\n");
}

TEST_F(ProxyTest, PassesAnAnswerThatComesBeforeTheBodysEnd) {
  Server server([](Peer& peer) {
    peer.read_until("\r\n\r\n");
    peer.send("HTTP/1.1 413 Payload Too Large\r\ncontent-length: 3\r\n\r\nbig");
    peer.read_all();
  });
  publish({server.address()});
  auto client = dial();
  ASSERT_TRUE(
      client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10000000\r\n\r\n" + std::string(100'000, 'x')));
  const auto reply = client.read_message();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 413);
  EXPECT_EQ(reply->body, "big");
  EXPECT_EQ(client.read_all(), "");
}

TEST_F(ProxyTest, RefusesAMalformedChunk) {
  Server server(mirror);
  publish({server.address()});
  for (const auto* rest : {"zz\r\n", "3\r\nabcdef\r\n0\r\n\r\n"}) {
    auto client = dial();
    ASSERT_TRUE(client.send("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"));
    ASSERT_TRUE(eventually([&] { return server.connections() > 0; }));
    ASSERT_TRUE(client.send(rest));
    const auto reply = client.read_message();
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->status, 400);
  }
}

TEST_F(ProxyTest, ResetsTheClientWhenAResponseIsCut) {
  std::atomic<int> round{0};
  const std::vector<std::string> cut = {
      "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this",
      "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
  };
  Server server([&](Peer& peer) {
    peer.read_message();
    peer.send(cut[static_cast<std::size_t>(round)]);
  });
  publish({server.address()});
  for (; round < 2; ++round) {
    auto client = dial();
    ASSERT_TRUE(client.send(get()));
    client.read_all();
    EXPECT_EQ(client.at_end(), Peer::End::reset) << cut[static_cast<std::size_t>(round)];
  }
  EXPECT_EQ(totals().retries, 0u);
}

TEST_F(ProxyTest, ResetsTheClientWhenAResponseBreaksLater) {
  std::atomic<bool> malformed{false};
  Server server([&](Peer& peer) {
    peer.read_until("\r\n\r\n");
    peer.send(malformed ? "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\npart\r\n"
                        : "HTTP/1.1 200 OK\r\n\r\npart");
    peer.read_exactly(1);  // its cue: the part has arrived
    if (malformed) {
      peer.send("zz\r\n");
      peer.read_all();
    } else {
      peer.reset();
    }
  });
  publish({server.address()});
  for (const bool m : {false, true}) {
    malformed = m;
    auto client = dial();
    ASSERT_TRUE(client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n\r\n"));
    ASSERT_FALSE(client.read_until("part").empty());
    ASSERT_TRUE(client.send("x"));
    client.read_all();
    EXPECT_EQ(client.at_end(), Peer::End::reset) << m;
  }
}

TEST_F(ProxyTest, TellsTheServerWhenTheClientCutsItsBody) {
  std::promise<bool> ended;
  Server server([&](Peer& peer) {
    peer.read_until("\r\n\r\n");
    peer.read_all();
    ended.set_value(peer.at_end() != Peer::End::timed_out);
  });
  publish({server.address()});
  auto client = dial();
  ASSERT_TRUE(client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\npart"));
  ASSERT_TRUE(eventually([&] { return server.connections() == 1; }));
  client.reset();
  EXPECT_TRUE(ended.get_future().get());
  EXPECT_TRUE(eventually([&] { return totals().active == 0; }));
  EXPECT_EQ(totals().requests[0], 1u);
}

TEST_F(ProxyTest, ForgetsARequestWhoseClientVanished) {
  std::promise<bool> ended;
  Server server([&](Peer& peer) {
    peer.read_message();
    ended.set_value(peer.read_all().empty() && peer.at_end() != Peer::End::timed_out);
  });
  publish({server.address()});
  auto client = dial();
  ASSERT_TRUE(client.send(get()));
  ASSERT_TRUE(eventually([&] { return server.connections() == 1; }));
  client.reset();
  EXPECT_TRUE(ended.get_future().get()) << "the upstream's connection must end with the client";
  EXPECT_TRUE(eventually([&] { return totals().active == 0; }));
}

}  // namespace
}  // namespace causeway::proxy::test
