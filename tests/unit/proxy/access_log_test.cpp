// The access log's lines of requests as sessions with real sockets write them: one for each way to end.
#include <sys/resource.h>
#include <sys/socket.h>

#include "access_log_fixture.h"

namespace causeway::proxy::test {
namespace {

using namespace std::chrono_literals;

TEST_F(AccessLogTest, TellsAllOfARequest) {
  Server server(Server::echo_name("one"));
  publish({server.address()}, {.access_log = kJson});
  origins_.client = 7;
  auto client = dial();
  const std::string request =
      "POST /users/1?token=x HTTP/1.1\r\nhost: user-svc\r\nx-request-id: abc-1\r\ncontent-length: 5\r\n\r\nhello";
  ASSERT_TRUE(client.send(request));
  const auto reply = client.read_message();
  ASSERT_TRUE(reply);
  const auto before = std::chrono::system_clock::now();
  const auto line = only_line();
  EXPECT_EQ(line.at("method"), is("POST"));
  EXPECT_EQ(line.at("path"), is("/users/1")) << "without its query";
  EXPECT_EQ(line.at("protocol"), is("HTTP/1.1"));
  EXPECT_EQ(line.at("status"), is(200));
  EXPECT_EQ(line.at("flags"), is(json::array()));
  EXPECT_EQ(line.at("reason"), is(nullptr));
  EXPECT_EQ(line.at("bytes_received"), is(request.size()));
  EXPECT_EQ(line.at("bytes_sent"), is(reply->head.size() + reply->body.size()));
  EXPECT_EQ(line.at("retries"), is(0));
  EXPECT_EQ(line.at("client"), is("web"));
  EXPECT_EQ(line.at("namespace"), is("myapp.local"));
  EXPECT_EQ(line.at("discovery_name"), is("user-service"));
  EXPECT_EQ(line.at("authority"), is("user-svc"));
  EXPECT_EQ(line.at("request_id"), is("abc-1"));
  EXPECT_EQ(line.at("upstream"), is(server.address().to_string()));
  sockaddr_storage storage;
  socklen_t length = sizeof storage;
  ASSERT_EQ(::getsockname(client.fd(), reinterpret_cast<sockaddr*>(&storage), &length), 0);
  EXPECT_EQ(line.at("peer"), is(SocketAddress::from(storage)->to_string()));
  EXPECT_LE(line.at("first_byte_ms").to_number<double>(), line.at("duration_ms").to_number<double>());
  EXPECT_GT(line.at("first_byte_ms").to_number<double>(), 0);
  observe::TimeText time;
  EXPECT_LE(line.at("start_time").as_string(), json::string_view(time.of(before)));
}

TEST_F(AccessLogTest, TellsTheRequestIdThatTheEndpointGot) {
  std::promise<std::string> got;
  Server server([&](Peer& peer) {
    got.set_value(peer.read_message()->field("x-request-id"));
    peer.send(response("one"));
  });
  publish({server.address()}, {.access_log = kJson});
  ASSERT_TRUE(ask());
  const auto id = got.get_future().get();
  EXPECT_FALSE(id.empty());
  EXPECT_EQ(only_line().at("request_id"), json::string_view(id));
}

TEST_F(AccessLogTest, WritesText) {
  Server server(Server::echo_name("one"));
  publish({server.address()}, {.access_log = {AccessLogFormat::text, true}});
  ASSERT_TRUE(ask(get("/a?b=\"c")));
  const auto line = text();
  EXPECT_NE(line.find("] \"GET /a?b=\\x22c HTTP/1.1\" 200 - \"-\" "), std::string::npos) << line;
  EXPECT_TRUE(line.ends_with(server.address().to_string() + "\n")) << line;
}

TEST_F(AccessLogTest, FollowsTheServicesSetting) {
  Server server(Server::echo_name("one"));
  publish({server.address()});
  auto client = dial();
  const auto asked = [&](std::string_view path) {
    client.send(get(path));
    return client.read_message().has_value();
  };
  ASSERT_TRUE(asked("/off"));
  publish({server.address()}, {.access_log = kJson});
  ASSERT_TRUE(asked("/on?q"));
  publish({server.address()}, {.access_log = {AccessLogFormat::json, true}});
  ASSERT_TRUE(asked("/query?q"));
  publish({server.address()}, {});
  ASSERT_TRUE(asked("/off-again"));
  const auto all = lines();
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].at("path"), is("/on"));
  EXPECT_EQ(all[1].at("path"), is("/query?q"));
}

TEST_F(AccessLogTest, NothingOfOneRequestIsToldOfTheNext) {
  Server server(Server::echo_name("one"));
  publish({server.address()}, {.access_log = kJson});
  auto client = dial();
  ASSERT_TRUE(client.send(get("/a", "x-request-id: first\r\n") + "GET / HTTP/9.9\r\n\r\n"));
  ASSERT_TRUE(client.read_message());
  ASSERT_TRUE(client.read_message());
  const auto all = lines();
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].at("request_id"), is("first"));
  EXPECT_EQ(all[1].at("status"), is(505));
  EXPECT_EQ(all[1].at("flags"), is(json::array{"DPE"}));
  EXPECT_NE(all[1].at("reason"), is(nullptr));
  EXPECT_EQ(all[1].at("bytes_received"), is(18));
  for (const char* name : {"method", "path", "request_id", "upstream", "first_byte_ms"})
    EXPECT_EQ(all[1].at(name), is(nullptr)) << name;
}

TEST_F(AccessLogTest, UhWithoutEndpoints) {
  publish(std::vector<SocketAddress>{}, {.access_log = kJson});
  ASSERT_TRUE(ask());
  expect_line(503, {"UH"}, "no endpoint that could be asked");
}

TEST_F(AccessLogTest, UfWhereTheOnlyEndpointRefuses) {
  const auto address = refusing_address();
  publish({address}, {.access_log = kJson});
  ASSERT_TRUE(ask());
  expect_line(503, {"UF"}, "connection refused");
}

TEST_F(AccessLogTest, UrxWhereAllTriesFail) {
  publish({refusing_address(), refusing_address()}, {.access_log = kJson});
  ASSERT_TRUE(ask());
  const auto line = only_line();
  EXPECT_EQ(line.at("flags"), is((json::array{"UF", "URX"})));
  EXPECT_EQ(line.at("retries"), is(1));
  EXPECT_NE(line.at("upstream"), is(nullptr));
}

TEST_F(AccessLogTest, NoFlagWhereARetryHelps) {
  Server server(Server::echo_name("good"));
  publish({refusing_address(), server.address()}, {.access_log = kJson});
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(ask());
  const auto counted = totals().retries;
  EXPECT_GT(counted, 0u);
  std::uint64_t retries = 0;
  for (const auto& line : lines()) {
    EXPECT_EQ(line.at("flags"), is(json::array())) << line;
    EXPECT_EQ(line.at("upstream"), is(server.address().to_string()));
    retries += line.at("retries").to_number<std::uint64_t>();
  }
  EXPECT_EQ(retries, counted);
}

TEST_F(AccessLogTest, UoWhereNoDescriptorIsLeft) {
  publish({refusing_address()}, {.access_log = kJson});
  auto client = dial();
  ASSERT_TRUE(client.send(get()));
  ASSERT_TRUE(client.read_message());
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit none = before;
  none.rlim_cur = 3;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  ASSERT_TRUE(client.send(get()));
  const auto reply = client.read_message();
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  ASSERT_TRUE(reply);
  EXPECT_EQ(lines().back().at("flags"), is(json::array{"UO"}));
}

TEST_F(AccessLogTest, UoWhereALimitOfTheServiceIsReached) {
  Server server(hang);
  const auto settings = with([](auto& s) {
    s.max_connections = 1;
    s.max_pending_requests = 1;
  });
  publish({server.address()}, {.settings = settings, .access_log = kJson});
  std::vector<Peer> clients;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(dial());
    ASSERT_TRUE(clients.back().send(get()));
    ASSERT_TRUE(eventually([&] { return server.connections() == 1; }));
  }
  ASSERT_TRUE(eventually([&] { return answered() == 1; })) << "one is asked, one waits, one is refused";
  const auto line = lines().front();
  EXPECT_EQ(line.at("status"), is(503));
  EXPECT_EQ(line.at("flags"), is(json::array{"UO"}));
  EXPECT_NE(line.at("reason").as_string().find("max_pending_requests"), json::string::npos) << line;
}

TEST_F(AccessLogTest, UoBesideTheFailureWhereALimitAllowsNoRetry) {
  Server bad([](Peer& peer) { peer.read_message(); });
  publish({bad.address(), refusing_address()},
          {.settings = with([](auto& s) { s.max_retries = 0; }), .access_log = kJson});
  ASSERT_TRUE(ask());
  const auto flags = only_line().at("flags").as_array();
  EXPECT_EQ(flags.size(), 2u) << flags;
  EXPECT_NE(std::find(flags.begin(), flags.end(), is("UO")), flags.end()) << flags;
}

TEST_F(AccessLogTest, UtWhereNoAnswerComesInTime) {
  Server server(hang);
  publish({server.address()}, {.settings = with([](auto& s) { s.per_request_timeout = 100ms; }), .access_log = kJson});
  ASSERT_TRUE(ask());
  expect_line(504, {"UT"}, "no whole response in time");
}

TEST_F(AccessLogTest, UtWhereTheAnswerStops) {
  Server server([](Peer& peer) {
    peer.read_message();
    peer.send("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\npart");
    peer.read_all();
  });
  publish({server.address()}, {.settings = with([](auto& s) { s.per_request_timeout = 1s; }), .access_log = kJson});
  EXPECT_FALSE(ask());
  ASSERT_TRUE(eventually([&] { return answered() == 1; }));
  expect_line(200, {"UT"}, "no whole response in time");
}

TEST_F(AccessLogTest, UcWhereTheEndpointEndsBeforeItsAnswer) {
  Server server([](Peer& peer) { peer.read_message(); });
  publish({server.address()}, {.access_log = kJson});
  ASSERT_TRUE(ask("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi"));
  expect_line(502, {"UC"}, "the connection ended before the response");
}

TEST_F(AccessLogTest, UcWhereTheEndpointEndsInsideItsAnswer) {
  Server server([](Peer& peer) {
    peer.read_message();
    peer.send("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\npart");
  });
  publish({server.address()}, {.access_log = kJson});
  EXPECT_FALSE(ask());
  ASSERT_TRUE(eventually([&] { return answered() == 1; }));
  expect_line(200, {"UC"}, "the connection ended inside the response");
}

TEST_F(AccessLogTest, UpeWhereTheAnswerIsGarbage) {
  Server server([](Peer& peer) {
    peer.read_message();
    peer.send("this is not HTTP\r\n\r\n");
    peer.read_all();
  });
  publish({server.address()}, {.access_log = kJson});
  const auto reply = ask();
  ASSERT_TRUE(reply);
  const auto line = only_line();
  EXPECT_EQ(line.at("status"), is(502));
  EXPECT_EQ(line.at("flags"), is(json::array{"UPE"}));
  EXPECT_NE(reply->body.find(line.at("reason").as_string()), std::string::npos) << "the client is told the same";
}

TEST_F(AccessLogTest, UpeWhereTheBodyIsGarbage) {
  std::promise<void> begun;
  auto go_on = begun.get_future().share();
  Server server([&](Peer& peer) {
    peer.read_message();
    peer.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n");
    go_on.wait();
    peer.send("zz\r\n");
    peer.read_all();
  });
  publish({server.address()}, {.access_log = kJson});
  auto client = dial();
  ASSERT_TRUE(client.send(get()));
  EXPECT_NE(client.read_until("abc\r\n"), "");
  begun.set_value();
  EXPECT_EQ(client.read_all(), "");
  ASSERT_TRUE(eventually([&] { return answered() == 1; }));
  EXPECT_EQ(only_line().at("flags"), json::array{"UPE"});
}

TEST_F(AccessLogTest, DpeWhereTheBodyIsMalformed) {
  Server server(hang);
  publish({server.address()}, {.access_log = kJson});
  auto client = dial();
  ASSERT_TRUE(client.send("POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"));
  ASSERT_TRUE(eventually([&] { return server.connections() == 1; }));
  ASSERT_TRUE(client.send("zz\r\n"));
  ASSERT_TRUE(client.read_message());
  const auto line = only_line();
  EXPECT_EQ(line.at("status"), is(400));
  EXPECT_EQ(line.at("flags"), is(json::array{"DPE"}));
  EXPECT_EQ(line.at("path"), is("/x"));
}

TEST_F(AccessLogTest, SiWhereTheBodyStops) {
  Server server(hang);
  publish({server.address()}, {.settings = with([](auto& s) { s.http_idle_timeout = 1s; }), .access_log = kJson});
  ASSERT_TRUE(ask("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\npart"));
  expect_line(408, {"SI"}, "the request's body did not come in time");
}

TEST_F(AccessLogTest, SiWhereTheHeadStops) {
  settings_.limits.header_time = 100ms;
  publish(std::vector<SocketAddress>{}, {.access_log = kJson});
  ASSERT_TRUE(ask("GET / HTTP/1.1\r\nhost: a\r\n"));
  expect_line(408, {"SI"}, "the request's head did not come in time");
}

TEST_F(AccessLogTest, DpeWhereTheHeadIsTooLarge) {
  settings_.limits.header_bytes = 8192;
  publish(std::vector<SocketAddress>{}, {.access_log = kJson});
  ASSERT_TRUE(ask(get("/", "x: " + std::string(10'000, 'x') + "\r\n")));
  const auto line = only_line();
  EXPECT_EQ(line.at("status"), is(431));
  EXPECT_EQ(line.at("flags"), is(json::array{"DPE"}));
}

TEST_F(AccessLogTest, OmWhereAClientIsRefused) {
  settings_.limits.connections = 1;
  Server server(Server::echo_name("one"));
  publish({server.address()}, {.access_log = kJson});
  origins_.client = 7;
  auto first = dial();
  ASSERT_TRUE(first.send(get()));
  ASSERT_TRUE(first.read_message());
  const auto reply = ask();
  ASSERT_TRUE(reply);
  ASSERT_EQ(reply->status, 503);
  const auto all = lines();
  ASSERT_EQ(all.size(), 2u);
  const auto& line = all[1];
  EXPECT_EQ(line.at("flags"), is(json::array{"OM"}));
  EXPECT_EQ(line.at("status"), is(503));
  EXPECT_EQ(line.at("client"), is("web"));
  EXPECT_EQ(line.at("bytes_sent"), is(reply->head.size() + reply->body.size()));
  EXPECT_NE(line.at("peer"), is(nullptr));
  EXPECT_NE(reply->body.find(line.at("reason").as_string()), std::string::npos);
}

TEST_F(AccessLogTest, SiWhereNothingComesOfTheAnswer) {
  Server server(hang);
  publish({server.address()}, {.settings = with([](auto& s) { s.http_idle_timeout = 1s; }), .access_log = kJson});
  ASSERT_TRUE(ask());
  expect_line(504, {"SI"}, "nothing came from the endpoint for too long");
}

TEST_F(AccessLogTest, DcWhereTheClientLeavesBeforeTheAnswer) {
  Server server(hang);
  publish({server.address()}, {.access_log = kJson});
  auto client = dial();
  ASSERT_TRUE(client.send(get()));
  ASSERT_TRUE(eventually([&] { return totals().sent >= get().size(); }));
  client.reset();
  ASSERT_TRUE(eventually([&] { return answered() == 1; }));
  expect_line(0, {"DC"}, "the client ended the connection");
}

TEST_F(AccessLogTest, DcWhereTheClientLeavesInsideItsRequest) {
  Server server(hang);
  publish({server.address()}, {.access_log = kJson});
  auto client = dial();
  ASSERT_TRUE(client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\npart"));
  ASSERT_TRUE(eventually([&] { return server.connections() == 1; }));
  client.reset();
  ASSERT_TRUE(eventually([&] { return answered() == 1; }));
  const auto line = only_line();
  EXPECT_EQ(line.at("flags"), is(json::array{"DC"})) << line;
  EXPECT_EQ(line.at("reason"), is("the client ended the connection inside its request"));
}

TEST_F(AccessLogTest, DcWhereTheClientLeavesInsideTheAnswer) {
  Server server([](Peer& peer) {
    peer.read_message();
    peer.send("HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n");
    while (peer.send(std::string(100'000, 'x'))) {
    }
  });
  publish({server.address()}, {.access_log = kJson});
  auto client = dial();
  ASSERT_TRUE(client.send(get()));
  ASSERT_FALSE(client.read_exactly(500'000).empty());
  client.reset();
  ASSERT_TRUE(eventually([&] { return answered() == 1; }));
  const auto line = only_line();
  EXPECT_EQ(line.at("status"), is(200));
  EXPECT_EQ(line.at("flags"), is(json::array{"DC"})) << line;
  EXPECT_GT(line.at("bytes_sent").as_int64(), 500'000) << "what was spliced counts, too";
}

TEST_F(AccessLogTest, LrWhereTheDrainTimeEnds) {
  settings_.drain = 50ms;
  Server server(hang);
  publish({server.address()}, {.access_log = kJson});
  auto client = dial();
  ASSERT_TRUE(client.send(get()));
  ASSERT_TRUE(eventually([&] { return totals().sent >= get().size(); }));
  std::atomic<bool> drained{false};
  on_main([&] { proxy_->drain([&] { drained = true; }); });
  ASSERT_TRUE(eventually([&] { return drained.load(); }));
  expect_line(0, {"LR"}, "the proxy's drain time was over");
}

TEST_F(AccessLogTest, ATunnelIsOneLineAtItsEnd) {
  Server server([](Peer& peer) {
    if (!peer.read_until("\r\n\r\n").starts_with("GET /ws ")) return hang(peer);
    peer.send("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n");
    while (!peer.read_exactly(1000).empty()) peer.send(std::string(2000, 'y'));
  });
  publish({server.address()}, {.access_log = kJson});
  const std::string request = "GET /ws HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n";
  auto client = dial();
  ASSERT_TRUE(client.send(request));
  const auto reply = client.read_message(true);
  ASSERT_TRUE(reply);
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(client.send(std::string(1000, 'x')));
    ASSERT_EQ(client.read_exactly(2000).size(), 2000u);
  }
  // Other requests now lie where that of the tunnel lay.
  std::vector<Peer> others;
  for (int i = 0; i < 8; ++i) {
    others.push_back(dial());
    ASSERT_TRUE(others.back().send(get("/other/request")));
  }
  ASSERT_TRUE(eventually([&] { return server.connections() == 9; }));
  client.shutdown_send();
  EXPECT_EQ(client.read_all(), "");
  ASSERT_TRUE(eventually([&] { return totals().active == others.size(); }));
  const auto all = lines();
  ASSERT_EQ(all.size(), 1 + others.size());
  const auto& line = all.front();
  EXPECT_EQ(line.at("status"), is(101));
  EXPECT_EQ(line.at("path"), is("/ws"));
  EXPECT_EQ(line.at("authority"), is("a"));
  EXPECT_EQ(line.at("bytes_received"), is(request.size() + 3000));
  EXPECT_EQ(line.at("bytes_sent"), is(reply->head.size() + 6000));
}

}  // namespace
}  // namespace causeway::proxy::test
