#include "http/rewrite.h"

#include <cstdlib>
#include <string>
#include <vector>

#include <gtest/gtest.h>

// What goes on of a head stands in tests/http_cases/; here is what depends on the caller.
namespace causeway::http {
namespace {

std::string forward(const std::string& text, const RequestRewrite& rewrite = {}) {
  RequestParser parser;
  const Verdict verdict = parser.parse(text);
  EXPECT_EQ(verdict.outcome, Outcome::complete) << verdict.reason;
  std::string out;
  append_request_head(parser.head(), rewrite, out);
  return out;
}

std::string answer(const std::string& text, const ResponseRewrite& rewrite = {}) {
  ResponseParser parser;
  const Verdict verdict = parser.parse(text);
  EXPECT_EQ(verdict.outcome, Outcome::complete) << verdict.reason;
  std::string out;
  append_response_head(parser.head(), rewrite, out);
  return out;
}

/// Numbers of the test's choice.
class Scripted final : public Random {
 public:
  std::uint64_t next() override { return next_++ == 0 ? 0x0123456789abcdefu : 0xfedcba9876543210u; }

 private:
  int next_ = 0;
};

const std::string kMadeId = "x-request-id: 01234567-89ab-4def-bedc-ba9876543210\r\n";

std::string with_id(const std::string& fields) {
  Scripted random;
  return forward("GET / HTTP/1.1\r\n" + fields + "\r\n", {&random, "", ""});
}

TEST(RequestId, IsAVersion4UuidOfTheGivenRandomNumbers) {
  EXPECT_EQ(with_id("Host: a\r\n"), "GET / HTTP/1.1\r\nHost: a\r\n" + kMadeId + "\r\n");
  for (const std::uint64_t all : {std::uint64_t{0}, ~std::uint64_t{0}}) {
    class : public Random {
     public:
      std::uint64_t next() override { return number; }
      std::uint64_t number = 0;
    } random;
    random.number = all;
    const std::string out = forward("GET / HTTP/1.0\r\n\r\n", {&random, "", "a"});
    EXPECT_NE(out.find(all == 0 ? "x-request-id: 00000000-0000-4000-8000-000000000000\r\n"
                                : "x-request-id: ffffffff-ffff-4fff-bfff-ffffffffffff\r\n"),
              std::string::npos)
        << out;
  }
}

TEST(RequestId, TheClientsOwnIsKeptWhereItIsFit) {
  for (const std::string& id : {std::string("7"), std::string(kMaxRequestId, 'x'), std::string("!~a/b+c=:")}) {
    EXPECT_EQ(with_id("Host: a\r\nX-Request-Id: " + id + "\r\n"),
              "GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: " + id + "\r\n\r\n");
  }
}

TEST(RequestId, TheClientsOwnIsReplacedWhereItIsNot) {
  const std::vector<std::string> unfit{
      "X-Request-Id:\r\n",
      "X-Request-Id: " + std::string(kMaxRequestId + 1, 'x') + "\r\n",
      "X-Request-Id: a b\r\n",
      "X-Request-Id: a\tb\r\n",
      "X-Request-Id: \xc3\xbc\r\n",
      "X-Request-Id: a\r\nx-request-ID: a\r\n",
      "X-Request-Id: a\r\nConnection: x-request-id\r\n",
  };
  for (const std::string& fields : unfit) {
    EXPECT_EQ(with_id(fields + "Host: a\r\n"), "GET / HTTP/1.1\r\nHost: a\r\n" + kMadeId + "\r\n");
  }
}

TEST(RequestId, OfTheParsedRequest) {
  RequestParser parser;
  const std::string text = "GET / HTTP/1.1\r\nHost: a\r\nX-Request-ID: id-7\r\n\r\n";
  ASSERT_EQ(parser.parse(text).outcome, Outcome::complete);
  EXPECT_EQ(own_request_id(parser.head()), "id-7");
}

TEST(ForwardedProto, ReplacesWhatTheClientSays) {
  const RequestRewrite rewrite{nullptr, "http", "alias"};
  const std::string out = "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\nx-forwarded-proto: http\r\n\r\n";
  EXPECT_EQ(forward("GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n", rewrite), out);
  EXPECT_EQ(
      forward("GET / HTTP/1.1\r\nX-Forwarded-Proto: https\r\nHost: a\r\nX-FORWARDED-PROTO: x\r\nX: y\r\n\r\n", rewrite),
      out);
  EXPECT_EQ(forward("GET / HTTP/1.1\r\nHost: a\r\nX_Forwarded_Proto: https\r\nX: y\r\n\r\n", rewrite), out);
  EXPECT_EQ(forward("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: https\r\n\r\n"),
            "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: https\r\n\r\n");
}

TEST(RequestRewrite, AppendsBehindWhatIsThere) {
  RequestParser parser;
  const std::string text = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  ASSERT_EQ(parser.parse(text).outcome, Outcome::complete);
  std::string out = "before ";
  append_request_head(parser.head(), {}, out);
  EXPECT_EQ(out, "before " + text);
}

// What goes out is accepted by the same strict parser, and a second hop changes nothing more.
TEST(RequestRewrite, IsStableOverTwoHops) {
  FastRandom random(7);
  const RequestRewrite rewrite{&random, "http", "alias"};
  for (const std::string in :
       {"GET http://b?y HTTP/1.1\r\nHost: a\r\nConnection: close, x\r\nX: 1\r\n\r\n", "GET / HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"}) {
    const std::string once = forward(in, rewrite);
    const std::string twice = forward(once, rewrite);
    RequestParser a;
    RequestParser b;
    ASSERT_EQ(a.parse(once).outcome, Outcome::complete);
    ASSERT_EQ(b.parse(twice).outcome, Outcome::complete);
    EXPECT_EQ(a.head().path, b.head().path);
    EXPECT_EQ(a.head().fields.size(), b.head().fields.size());
    EXPECT_EQ(a.head().wants_upgrade, b.head().wants_upgrade);
  }
}

TEST(ResponseRewrite, TellsOfTheEnd) {
  const ResponseRewrite close{1, false, false};
  struct {
    ResponseRewrite rewrite;
    std::string in;
    std::string out;
  } const table[]{
      {close, "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"},
      {close, "HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n",
       "HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nContent-Length: 0\r\nconnection: upgrade, "
       "close\r\n\r\n"},
  };
  for (const auto& c : table) EXPECT_EQ(answer(c.in, c.rewrite), c.out);
}

TEST(ResponseRewrite, DechunkingIsForOldClients) {
  RequestHead old;
  old.minor = 0;
  EXPECT_TRUE(needs_dechunking(old, {BodyKind::chunked, 0}));
  EXPECT_FALSE(needs_dechunking(old, {BodyKind::length, 5}));
  EXPECT_FALSE(needs_dechunking(RequestHead{}, {BodyKind::chunked, 0}));
}

}  // namespace
}  // namespace causeway::http
