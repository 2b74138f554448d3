#include "web/server.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <functional>
#include <future>
#include <optional>
#include <thread>

#include <arpa/inet.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace causeway::web {
namespace {

using namespace std::chrono_literals;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

/// A blocking client that sends bytes as they are.
class Client {
 public:
  explicit Client(const SocketAddress& address) {
    sockaddr_storage storage;
    const auto length = address.to(storage);
    fd_ = Fd(::socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    connected_ = ::connect(fd_.get(), reinterpret_cast<sockaddr*>(&storage), length) == 0;
  }
  explicit Client(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    fd_ = Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    connected_ = ::connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  bool connected() const { return connected_; }
  void send(std::string_view bytes) { ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL); }
  /// Reads until `end` was seen, the peer closed, or ten seconds.
  std::string read_until(std::string_view end) {
    std::string out;
    char part[4096];
    while (out.find(end) == std::string::npos || end.empty()) {
      pollfd wait{fd_.get(), POLLIN, 0};
      if (::poll(&wait, 1, 10000) != 1) return out + "<timeout>";
      const auto n = ::recv(fd_.get(), part, sizeof part, 0);
      if (n <= 0) return out + (n == 0 ? "<closed>" : "<reset>");
      out.append(part, static_cast<std::size_t>(n));
    }
    return out;
  }
  std::string read_all() { return read_until({}); }

 private:
  Fd fd_;
  bool connected_ = false;
};

/// A server on a thread of its own; the handler echoes unless a test sets another.
class ServerTest : public testing::Test {
 protected:
  void start(Limits limits = {}) {
    server_.emplace(
        io_.get_executor(), [this](const Request& request, Reply reply) { handler_(request, reply); }, limits);
    const auto bound = server_->listen_tcp({*IpAddress::parse("127.0.0.1"), 0});
    ASSERT_TRUE(bound) << bound.error().message();
    address_ = *bound;
    thread_ = std::thread([this] { io_.run(); });
  }
  void TearDown() override {
    if (!thread_.joinable()) return;
    boost::asio::post(io_, [this] { server_->stop(); });
    thread_.join();  // run() returns only when no session is left
  }
  /// Runs `body` on the server's thread and waits for it.
  void on_server(const std::function<void()>& body) {
    std::promise<void> done;
    boost::asio::post(io_, [&] {
      body();
      done.set_value();
    });
    done.get_future().wait();
  }
  std::string exchange(std::string_view bytes) {
    Client client(address_);
    client.send(bytes);
    return client.read_all();
  }

  boost::asio::io_context io_;
  Handler handler_ = [](const Request& request, const Reply& reply) {
    Response response;
    response.body = request.method + " " + request.target + " " + request.body;
    reply(std::move(response));
  };
  std::optional<Server> server_;
  SocketAddress address_;
  std::thread thread_;
};

TEST_F(ServerTest, KeepsConnectionsAndAnswersPipelinedRequestsInOrder) {
  start();
  Client client(address_);
  client.send("GET /one HTTP/1.1\r\nHost: a\r\n\r\nPOST /two HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
  auto both = client.read_until("POST /two abc");
  EXPECT_LT(both.find("GET /one "), both.find("POST /two abc"));
  client.send("GET /three HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  const auto last = client.read_all();
  EXPECT_THAT(last, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(last, HasSubstr("Connection: close"));
  EXPECT_THAT(last, EndsWith("GET /three <closed>"));
}

TEST_F(ServerTest, TakesChunkedBodies) {
  start();
  EXPECT_THAT(exchange("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
                       "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"),
              EndsWith("POST / abcde<closed>"));
}

TEST_F(ServerTest, AnswersHeadWithoutABody) {
  start();
  const auto answer = exchange("HEAD /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(answer, HasSubstr("Content-Length: 8\r\n"));
  EXPECT_THAT(answer, EndsWith("\r\n\r\n<closed>"));
}

TEST_F(ServerTest, SaysContinueBeforeTheBodyIsSent) {
  start();
  Client client(address_);
  client.send("POST /e HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(client.read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client.send("ok");
  EXPECT_THAT(client.read_all(), EndsWith("POST /e ok<closed>"));
}

TEST_F(ServerTest, RefusesTooLargeABodyBeforeItIsSent) {
  start({.body_bytes = 100});
  Client client(address_);
  client.send("POST /e HTTP/1.1\r\nHost: a\r\nContent-Length: 101\r\nExpect: 100-continue\r\n\r\n");
  const auto answer = client.read_all();
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 413 "));
  EXPECT_THAT(answer, HasSubstr("larger than 100 bytes"));
}

TEST_F(ServerTest, RefusesMalformedRequests) {
  start({.header_bytes = 1000, .body_bytes = 100});
  const std::pair<std::string, const char*> cases[] = {
      {"nonsense\r\n\r\n", "400 "},
      {"GET / HTTP/1.1\r\n\r\n", "400 "},
      {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400 "},
      {"GET / HTTP/2.0\r\nHost: a\r\n\r\n", "400 "},
      {"GET / HTTP/1.1\r\nHost: a\r\nBad Header: x\r\n\r\n", "400 "},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", "400 "},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", "400 "},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400 "},
      {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", "400 "},
      {"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400 "},
      {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "400 "},
      {"POST / HTTP/1.1\r\nHost: a\r\nExpect: magic\r\nContent-Length: 1\r\n\r\n", "417 "},
      {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n" + std::string(255, 'x') + "\r\n",
       "413 "},
      {"GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(2000, 'x') + "\r\n\r\n", "431 "},
  };
  for (const auto& [bytes, status] : cases) {
    const auto answer = exchange(bytes);
    EXPECT_THAT(answer, StartsWith(std::string("HTTP/1.1 ") + status)) << bytes.substr(0, 100);
    EXPECT_THAT(answer, HasSubstr("Connection: close")) << bytes.substr(0, 100);
    EXPECT_THAT(answer, EndsWith("<closed>")) << bytes.substr(0, 100);
  }
}

TEST_F(ServerTest, EndsWhoSendsTooSlowly) {
  start({.read_timeout = 1s, .idle_timeout = 1s});
  Client slow(address_);
  slow.send("GET / HT");
  Client idle(address_);
  EXPECT_EQ(slow.read_all(), "<closed>");
  EXPECT_EQ(idle.read_all(), "<closed>");
  EXPECT_THAT(exchange("GET / HTTP/1.0\r\n\r\n"), StartsWith("HTTP/1.0 200"));
}

TEST_F(ServerTest, BoundsItsConnections) {
  start({.connections = 2});
  Client one(address_);
  Client two(address_);
  one.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n");
  two.send("GET /2 HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_THAT(one.read_until("GET /1 "), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(two.read_until("GET /2 "), StartsWith("HTTP/1.1 200"));
  Client three(address_);
  EXPECT_THAT(three.read_until("\r\n\r\n"), StartsWith("HTTP/1.1 503"));
  one.send("GET /3 HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_THAT(one.read_until("GET /3 "), StartsWith("HTTP/1.1 200"));
}

TEST_F(ServerTest, AHandlerMayAnswerLaterOrNever) {
  std::vector<Reply> kept;
  handler_ = [&](const Request& request, Reply reply) {
    if (request.path() == "/drop") return;
    if (request.path() == "/keep") return kept.push_back(std::move(reply));
    Response response;
    response.body = "kept " + std::to_string(kept.size());
    for (auto& waiting : kept) waiting(response);
    kept.clear();
    reply(response);
  };
  start();
  EXPECT_THAT(exchange("GET /drop HTTP/1.0\r\n\r\n"), StartsWith("HTTP/1.0 500"));
  Client later(address_);
  later.send("GET /keep HTTP/1.0\r\n\r\n");
  // The second connection is accepted after the first: its request is handled when that one already waits, or it asks
  // again.
  std::string answer;
  while (answer.find("kept 1") == std::string::npos) answer = exchange("GET /release HTTP/1.0\r\n\r\n");
  EXPECT_THAT(later.read_all(), EndsWith("kept 1<closed>"));
}

TEST_F(ServerTest, StopsWithConnectionsOpen) {
  start();
  Client client(address_);
  client.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n");
  client.read_until("GET /1 ");
  on_server([this] { server_->stop(); });
  EXPECT_EQ(client.read_all(), "<closed>");
  thread_.join();
  EXPECT_FALSE(Client(address_).connected());
}

TEST_F(ServerTest, TellsWhoCallsOverAUnixSocket) {
  std::string directory = "/tmp/causeway-web-XXXXXX";
  ASSERT_NE(::mkdtemp(directory.data()), nullptr);
  const auto path = directory + "/agent.sock";
  handler_ = [](const Request& request, const Reply& reply) {
    Response response;
    response.body = std::to_string(request.peer_uid) + " " + std::to_string(request.peer_pid);
    reply(response);
  };
  start();
  on_server([&] {
    Server stopped(io_.get_executor(), handler_);
    EXPECT_TRUE(stopped.listen_unix(path, 0600));
  });
  struct stat info {};
  EXPECT_NE(::stat(path.c_str(), &info), 0) << "a stopped server removes its socket file";

  on_server([&] { EXPECT_TRUE(server_->listen_unix(path, 0640)); });
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0640u);
  Client client(path);
  client.send("GET / HTTP/1.0\r\n\r\n");
  EXPECT_THAT(client.read_all(), EndsWith(std::to_string(::getuid()) + " " + std::to_string(::getpid()) + "<closed>"));
  Client tcp(address_);
  tcp.send("GET / HTTP/1.0\r\n\r\n");
  EXPECT_THAT(tcp.read_all(), EndsWith(std::to_string(~0u) + " -1<closed>"));

  on_server([&] {
    Server second(io_.get_executor(), handler_);
    const auto refused = second.listen_unix(path, 0600);
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message(), HasSubstr("another agent listens on it"));
    server_->stop();
  });
  ::rmdir(directory.c_str());
}

TEST_F(ServerTest, ReplacesAStaleSocketAndNothingElse) {
  std::string directory = "/tmp/causeway-web-XXXXXX";
  ASSERT_NE(::mkdtemp(directory.data()), nullptr);
  const auto path = directory + "/agent.sock";
  std::ofstream(path) << "not a socket";
  Server server(io_.get_executor(), handler_);
  const auto refused = server.listen_unix(path, 0600);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message(), HasSubstr("no socket stands there"));
  ::unlink(path.c_str());
  {
    const Fd dead(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    ASSERT_EQ(::bind(dead.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }
  EXPECT_TRUE(server.listen_unix(path, 0600));
  EXPECT_FALSE(server.listen_unix(std::string(200, 'x'), 0600));
  server.stop();
  ::rmdir(directory.c_str());
}

TEST_F(ServerTest, NamesTheAddressThatIsTaken) {
  start();
  on_server([this] {
    Server second(io_.get_executor(), handler_);
    const auto refused = second.listen_tcp(address_);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, EADDRINUSE);
    EXPECT_THAT(refused.error().message(), HasSubstr("listen on " + address_.to_string() + ": Address already in use"));
    EXPECT_THAT(refused.error().message(), HasSubstr("[listen] in causeway.toml"));
  });
}

TEST_F(ServerTest, TakesOverAListener) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in any{};
  any.sin_family = AF_INET;
  any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof any;
  ASSERT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&any), length), 0);
  ASSERT_EQ(::listen(fd, 4), 0);
  ASSERT_EQ(::getsockname(fd, reinterpret_cast<sockaddr*>(&any), &length), 0);
  start();
  on_server([this, fd] { EXPECT_TRUE(server_->adopt(Fd(fd))); });
  Client client(SocketAddress{*IpAddress::parse("127.0.0.1"), ntohs(any.sin_port)});
  client.send("GET /adopted HTTP/1.0\r\n\r\n");
  EXPECT_THAT(client.read_all(), EndsWith("GET /adopted <closed>"));
}

TEST(Request, ReadsHeadersAndQueries) {
  Request request;
  request.target = "/path?a=1&b=two%20words+more&empty&c=%zz&a=2";
  request.headers = {{"Content-Type", "x"}, {"content-type", "y"}};
  EXPECT_EQ(request.path(), "/path");
  EXPECT_EQ(request.header("CONTENT-TYPE"), "x");
  EXPECT_EQ(request.header("absent"), "");
  EXPECT_EQ(request.query("a"), "1");
  EXPECT_EQ(request.query("b"), "two words more");
  EXPECT_EQ(request.query("empty"), "");
  EXPECT_EQ(request.query("c"), "%zz");
  EXPECT_EQ(request.query("d"), "");
}

}  // namespace
}  // namespace causeway::web
