#include "http/framing.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace causeway::http {
namespace {

RequestHead request(const std::string& text) {
  RequestParser parser;
  EXPECT_EQ(parser.parse(text).outcome, Outcome::complete) << text;
  RequestHead head = parser.head();
  // Views into `text` die with it; only what framing looks at is used.
  head.fields.clear();
  return head;
}

ResponseHead response(const std::string& text) {
  ResponseParser parser;
  EXPECT_EQ(parser.parse(text).outcome, Outcome::complete) << text;
  ResponseHead head = parser.head();
  head.fields.clear();
  return head;
}

const std::string kGet = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const std::string kGetWithBody = "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n";
const std::string kPost = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n";
const std::string kHead = "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n";
const std::string kUpgrade = "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";

TEST(RequestFraming, Table) {
  const std::vector<std::pair<std::string, Framing>> table{
      {"", {BodyKind::none, 0}},
      {"Content-Length: 0\r\n", {BodyKind::none, 0}},
      {"Content-Length: 7\r\n", {BodyKind::length, 7}},
      {"Transfer-Encoding: chunked\r\n", {BodyKind::chunked, 0}},
  };
  for (const auto& [fields, expected] : table) {
    for (const std::string method : {"GET", "POST", "OPTIONS", "X"}) {
      EXPECT_EQ(request_framing(request(method + " / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n")), expected) << fields;
    }
  }
}

struct ResponseCase {
  std::string request;
  std::string status_and_fields;
  Framing framing;
  bool persists;
};

TEST(ResponseFraming, Table) {
  const std::vector<ResponseCase> table{
      {kGet, "1.1 200 x\r\nContent-Length: 7\r\n", {BodyKind::length, 7}, true},
      {kGet, "1.1 200 x\r\nContent-Length: 0\r\n", {BodyKind::none, 0}, true},
      {kGet, "1.1 200 x\r\nTransfer-Encoding: chunked\r\n", {BodyKind::chunked, 0}, true},
      {kGet, "1.1 200 x\r\n", {BodyKind::until_close, 0}, false},
      {kGet, "1.1 500 x\r\nContent-Length: 7\r\nConnection: close\r\n", {BodyKind::length, 7}, false},
      {kGet, "1.0 200 x\r\nContent-Length: 7\r\n", {BodyKind::length, 7}, false},
      {kGet, "1.0 200 x\r\nContent-Length: 7\r\nConnection: keep-alive\r\n", {BodyKind::length, 7}, true},
      {kGet, "1.0 200 x\r\nConnection: keep-alive\r\n", {BodyKind::until_close, 0}, false},
      {kGet, "1.1 200 x\r\nContent-Length: 7\r\nConnection: keep-alive, close\r\n", {BodyKind::length, 7}, false},
      {kHead, "1.1 200 x\r\nContent-Length: 7\r\n", {BodyKind::none, 0}, true},
      {kHead, "1.1 200 x\r\nTransfer-Encoding: chunked\r\n", {BodyKind::none, 0}, true},
      {kHead, "1.1 200 x\r\n", {BodyKind::none, 0}, true},
      {kGet, "1.1 204 x\r\n", {BodyKind::none, 0}, true},
      {kGet, "1.1 204 x\r\nContent-Length: 0\r\n", {BodyKind::none, 0}, true},
      {kGet, "1.1 204 x\r\nContent-Length: 7\r\n", {BodyKind::none, 0}, false},
      {kGet, "1.1 204 x\r\nTransfer-Encoding: chunked\r\n", {BodyKind::none, 0}, false},
      {kGet, "1.1 304 x\r\nContent-Length: 7\r\n", {BodyKind::none, 0}, true},
      {kGet, "1.1 100 x\r\n", {BodyKind::none, 0}, true},
      {kGet, "1.1 103 x\r\nContent-Length: 7\r\n", {BodyKind::none, 0}, false},
      {kUpgrade, "1.1 101 x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n", {BodyKind::tunnel, 0}, false},
      {kUpgrade, "1.1 200 x\r\nContent-Length: 7\r\n", {BodyKind::length, 7}, true},
      {kGetWithBody, "1.1 200 x\r\nContent-Length: 7\r\n", {BodyKind::length, 7}, false},
      {kPost, "1.1 200 x\r\nContent-Length: 7\r\n", {BodyKind::length, 7}, true},
  };
  for (const ResponseCase& c : table) {
    const ResponseHead head = response("HTTP/" + c.status_and_fields + "\r\n");
    const Framing framing = response_framing(request(c.request), head);
    EXPECT_EQ(framing, c.framing) << c.status_and_fields;
    EXPECT_EQ(upstream_persists(request(c.request), head, framing), c.persists) << c.status_and_fields;
  }
}

struct UpgradeCase {
  std::string offer;   ///< fields of the request
  std::string answer;  ///< version, status and fields of the response
  bool unexpected;
};

TEST(ResponseFraming, UpgradeNobodyAskedFor) {
  const std::string websocket = "Connection: upgrade\r\nUpgrade: websocket\r\n";
  const std::vector<UpgradeCase> table{
      {websocket, "1.1 101 x\r\n" + websocket, false},
      {websocket, "1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n", false},
      {"Connection: upgrade\r\nUpgrade: a/1, b/2\r\n", "1.1 101 x\r\nConnection: upgrade\r\nUpgrade: b/2\r\n", false},
      {websocket, "1.1 200 x\r\n", false},
      {"", "1.1 200 x\r\n", false},
      {"", "1.1 101 x\r\n" + websocket, true},
      {websocket, "1.0 101 x\r\n" + websocket, true},
      {websocket, "1.1 101 x\r\n", true},
      {websocket, "1.1 101 x\r\nUpgrade: websocket\r\n", true},
      {websocket, "1.1 101 x\r\nConnection: upgrade\r\n", true},
      {websocket, "1.1 101 x\r\nConnection: upgrade\r\nUpgrade:\r\n", true},
      {websocket, "1.1 101 x\r\nConnection: upgrade\r\nUpgrade: h2c\r\n", true},
      {websocket, "1.1 101 x\r\nConnection: upgrade\r\nUpgrade: websocket, h2c\r\n", true},
      {websocket, "1.1 101 x\r\nConnection: upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n", true},
      {"Connection: upgrade\r\nUpgrade: a\r\n", "1.1 101 x\r\nConnection: upgrade\r\nUpgrade: a,a,a,a,a,a,a,a\r\n", false},
      {"Connection: upgrade\r\nUpgrade: a\r\n", "1.1 101 x\r\nConnection: upgrade\r\nUpgrade: a,a,a,a,a,a,a,a,a\r\n", true},
  };
  for (const UpgradeCase& c : table) {
    const std::string asked = "GET / HTTP/1.1\r\nHost: a\r\n" + c.offer + "\r\n";
    const std::string answered = "HTTP/" + c.answer + "\r\n";
    RequestParser asking;
    ResponseParser answering;
    ASSERT_EQ(asking.parse(asked).outcome, Outcome::complete);
    ASSERT_EQ(answering.parse(answered).outcome, Outcome::complete);
    EXPECT_EQ(is_unexpected_upgrade(asking.head(), answering.head()), c.unexpected) << c.offer << c.answer;
  }
}

TEST(ResponseFraming, Interim) {
  EXPECT_TRUE(is_interim(response("HTTP/1.1 100 x\r\n\r\n")));
  EXPECT_TRUE(is_interim(response("HTTP/1.1 103 x\r\n\r\n")));
  EXPECT_FALSE(is_interim(response("HTTP/1.1 101 x\r\n\r\n")));
  EXPECT_FALSE(is_interim(response("HTTP/1.1 200 x\r\n\r\n")));
}

TEST(ClientPersistence, Table) {
  const std::vector<std::pair<std::string, bool>> table{
      {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", true},
      {"GET / HTTP/1.1\r\nHost: a\r\nConnection: Close\r\n\r\n", false},
      {"GET / HTTP/1.1\r\nHost: a\r\nConnection: x, close\r\nConnection: keep-alive\r\n\r\n", false},
      {"GET / HTTP/1.1\r\nHost: a\r\nConnection: closed\r\n\r\n", true},
      {"GET / HTTP/1.0\r\n\r\n", false},
      {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true},
      {"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", false},
      {"GET / HTTP/1.0\r\nProxy-Connection: keep-alive\r\n\r\n", false},
  };
  for (const auto& [text, expected] : table) EXPECT_EQ(client_persists(request(text)), expected) << text;
}

}  // namespace
}  // namespace causeway::http
