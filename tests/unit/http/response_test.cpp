#include "http/response.h"

#include <initializer_list>
#include <string>

#include <gtest/gtest.h>

#include "http/head.h"

namespace causeway::http {
namespace {

struct Parsed {
  std::string text;
  ResponseParser parser;
  std::string body;
};

void parse(const Answer& answer, Parsed& parsed) {
  append_answer(answer, parsed.text);
  const Verdict verdict = parsed.parser.parse(parsed.text);
  ASSERT_EQ(verdict.outcome, Outcome::complete) << verdict.reason;
  parsed.body = parsed.text.substr(parsed.parser.head().length);
}

TEST(Answer, IsAWholeResponse) {
  Parsed parsed;
  parse({502, "user-svc:80: connection refused", false, false, 1}, parsed);
  const ResponseHead& head = parsed.parser.head();
  EXPECT_EQ(head.status, 502);
  EXPECT_EQ(head.reason, "Bad Gateway");
  EXPECT_EQ(parsed.body, "user-svc:80: connection refused\n");
  EXPECT_EQ(head.content_length, parsed.body.size());
  EXPECT_FALSE(head.has(FieldId::connection));
}

TEST(Answer, ClosesWhereTheStreamIsLost) {
  for (const std::uint16_t status : std::initializer_list<std::uint16_t>{400, 408, 414, 431, 501, 505}) {
    Parsed parsed;
    parse({status, "x", false, false, 1}, parsed);
    EXPECT_TRUE(parsed.parser.head().connection_close) << status;
  }
  Parsed parsed;
  parse({503, "x", true, false, 1}, parsed);
  EXPECT_TRUE(parsed.parser.head().connection_close);
}

TEST(Answer, ToHeadHasNoBodyButItsLength) {
  Parsed parsed;
  parse({503, "four", false, true, 1}, parsed);
  EXPECT_EQ(parsed.body, "");
  EXPECT_EQ(parsed.parser.head().content_length, 5u);
}

TEST(Answer, OldClientIsToldThatItMayGoOn) {
  Parsed parsed;
  parse({503, "x", false, false, 0}, parsed);
  EXPECT_TRUE(parsed.parser.head().connection_keep_alive);
}

TEST(Answer, DetailWithoutControls) {
  Parsed parsed;
  parse({400, "a\r\nb\x1b", true, false, 1}, parsed);
  EXPECT_EQ(parsed.body, "a??b?\n");
}

TEST(Answer, WithoutDetailSaysThePhrase) {
  Parsed parsed;
  parse({504}, parsed);
  EXPECT_EQ(parsed.body, "Gateway Timeout\n");
}

TEST(Answer, MethodNotAllowedNamesTheAllowed) {
  Parsed parsed;
  parse({405, "CONNECT"}, parsed);
  ASSERT_NE(parsed.parser.head().find("allow"), nullptr);
}

TEST(StatusClass, IsBounded) {
  EXPECT_EQ(status_class(0), 0u);
  EXPECT_EQ(status_class(99), 0u);
  EXPECT_EQ(status_class(101), 1u);
  EXPECT_EQ(status_class(204), 2u);
  EXPECT_EQ(status_class(599), 5u);
  EXPECT_EQ(status_class(999), 5u);
}

}  // namespace
}  // namespace causeway::http
