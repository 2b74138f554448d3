#include <string>

#include <gtest/gtest.h>

#include "http/head.h"

// What is accepted and what is refused stands in tests/http_cases/responses.txt.

namespace causeway::http {
namespace {

TEST(ResponseHead, TellsWhatWasSent) {
  ResponseParser parser;
  const std::string text =
      "HTTP/1.1 503 Not today\r\nConnection: close\r\nContent-Length: 7\r\nRetry-After: 1\r\n\r\nrest";
  ASSERT_EQ(parser.parse(text).outcome, Outcome::complete);
  EXPECT_EQ(parser.head().reason, "Not today");
  EXPECT_TRUE(parser.head().connection_close);
  EXPECT_EQ(parser.head().content_length, 7u);
  EXPECT_EQ(parser.head().find("retry-after")->value, "1");
  EXPECT_EQ(text.substr(parser.head().length), "rest");
}

TEST(ResponseParser, InterimThenFinal) {
  ResponseParser parser;
  const std::string text = "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n";
  ASSERT_EQ(parser.parse(text).outcome, Outcome::complete);
  EXPECT_EQ(parser.head().status, 103);
  const std::size_t first = parser.head().length;
  parser.reset();
  ASSERT_EQ(parser.parse(std::string_view(text).substr(first)).outcome, Outcome::complete);
  EXPECT_EQ(parser.head().status, 200);
  EXPECT_TRUE(parser.head().fields.empty());
}

TEST(ResponseParser, LimitsHold) {
  ResponseParser parser({100, 2});
  EXPECT_EQ(parser.parse("HTTP/1.1 200 " + std::string(100, 'x')).outcome, Outcome::bad);
  parser.reset();
  EXPECT_EQ(parser.parse("HTTP/1.1 200 OK\r\na: b\r\na: b\r\na: b\r\n\r\n").outcome, Outcome::bad);
}

TEST(Method, Idempotent) {
  EXPECT_TRUE(is_idempotent(Method::get));
  EXPECT_TRUE(is_idempotent(Method::put));
  EXPECT_TRUE(is_idempotent(Method::del));
  EXPECT_FALSE(is_idempotent(Method::post));
  EXPECT_FALSE(is_idempotent(Method::patch));
  EXPECT_FALSE(is_idempotent(Method::connect));
  EXPECT_FALSE(is_idempotent(Method::other));
}

}  // namespace
}  // namespace causeway::http
