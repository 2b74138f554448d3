#include <ostream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "http/head.h"

namespace causeway::http {
namespace {

using namespace std::string_literals;

struct ResponseHeadCase {
  std::string name;
  std::string text;
  std::uint16_t status;  ///< 0: bad
};

void PrintTo(const ResponseHeadCase& c, std::ostream* out) {
  *out << testing::PrintToString(c.text);
}

const std::vector<ResponseHeadCase>& response_head_cases() {
  static const std::vector<ResponseHeadCase> all{
      {"Simple", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200},
      {"NoFields", "HTTP/1.1 204 No Content\r\n\r\n", 204},
      {"Version10", "HTTP/1.0 404 Not Found\r\n\r\n", 404},
      {"EmptyPhrase", "HTTP/1.1 200 \r\n\r\n", 200},
      {"NoPhraseNoSpace", "HTTP/1.1 200\r\n\r\n", 200},
      {"PhraseWithSpaces", "HTTP/1.1 502 a  b\tc\r\n\r\n", 502},
      {"PhraseObsText", "HTTP/1.1 500 Fehler \xfc\r\n\r\n", 500},
      {"Interim", "HTTP/1.1 100 Continue\r\n\r\n", 100},
      {"Unregistered", "HTTP/1.1 999 x\r\n\r\n", 999},
      {"Chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 200},
      {"HostDoesNotMatter", "HTTP/1.1 200 OK\r\nHost: a\r\nHost: /\r\n\r\n", 200},
      {"ConnectionTransferEncoding",
       "HTTP/1.1 200 OK\r\nConnection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n", 200},

      {"EmptyLineBefore", "\r\nHTTP/1.1 200 OK\r\n\r\n", 0},
      {"LowerCase", "http/1.1 200 OK\r\n\r\n", 0},
      {"Version12", "HTTP/1.2 200 OK\r\n\r\n", 0},
      {"Version2", "HTTP/2 200\r\n\r\n", 0},
      {"Icy", "ICY 200 OK\r\n\r\n", 0},
      {"TwoDigits", "HTTP/1.1 20 OK\r\n\r\n", 0},
      {"FourDigits", "HTTP/1.1 2000 OK\r\n\r\n", 0},
      {"LeadingZero", "HTTP/1.1 099 OK\r\n\r\n", 0},
      {"Letters", "HTTP/1.1 2xx OK\r\n\r\n", 0},
      {"TwoSpaces", "HTTP/1.1  200 OK\r\n\r\n", 0},
      {"TabAfterStatus", "HTTP/1.1 200\tOK\r\n\r\n", 0},
      {"CrInPhrase", "HTTP/1.1 200 O\rK\r\n\r\n", 0},
      {"NulInPhrase", "HTTP/1.1 200 O\0K\r\n\r\n"s, 0},
      {"BareLf", "HTTP/1.1 200 OK\n\n", 0},
      {"Folded", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", 0},
      {"SpaceBeforeColon", "HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\n", 0},
      {"LengthTwice", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", 0},
      {"LengthAndChunked", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 0},
      {"GzipChunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 0},
      {"Chunked10", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 0},
  };
  return all;
}

class ResponseHeadTest : public testing::TestWithParam<ResponseHeadCase> {};

TEST_P(ResponseHeadTest, AtOnce) {
  ResponseParser parser;
  const Verdict verdict = parser.parse(GetParam().text);
  if (GetParam().status == 0) {
    EXPECT_EQ(verdict.outcome, Outcome::bad);
    EXPECT_FALSE(verdict.reason.empty());
  } else {
    ASSERT_EQ(verdict.outcome, Outcome::complete) << verdict.reason;
    EXPECT_EQ(parser.head().status, GetParam().status);
    EXPECT_EQ(parser.head().length, GetParam().text.size());
  }
}

TEST_P(ResponseHeadTest, SplitAnywhere) {
  for (std::size_t i = 1; i < GetParam().text.size(); ++i) {
    ResponseParser parser;
    const Verdict first = parser.parse(std::string_view(GetParam().text).substr(0, i));
    if (GetParam().status == 0) {
      if (first.outcome == Outcome::bad) continue;
      EXPECT_EQ(first.outcome, Outcome::need_more);
      EXPECT_EQ(parser.parse(GetParam().text).outcome, Outcome::bad);
    } else {
      ASSERT_EQ(first.outcome, Outcome::need_more) << i << first.reason;
      ASSERT_EQ(parser.parse(GetParam().text).outcome, Outcome::complete) << i;
      EXPECT_EQ(parser.head().status, GetParam().status);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Http, ResponseHeadTest, testing::ValuesIn(response_head_cases()),
                         [](const auto& param_info) { return param_info.param.name; });

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
