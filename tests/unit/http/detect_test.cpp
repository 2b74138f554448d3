#include "http/detect.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace causeway::http {
namespace {

using namespace std::string_literals;

struct DetectCase {
  std::string bytes;
  Detection expected;
};

const std::vector<DetectCase>& detect_cases() {
  constexpr Detection http1 = Detection::http1;
  constexpr Detection other = Detection::other;
  constexpr Detection need_more = Detection::need_more;
  static const std::vector<DetectCase> all{
      {"", need_more},
      {"G", need_more},
      {"GET", need_more},
      {"GET ", need_more},
      {"GET /", http1},
      {"POST /x HTTP/1.1\r\n", http1},
      {"GET h", need_more},
      {"GET http://", http1},
      {"GET HTTPS://x", http1},
      {"GET hello", other},
      {"OPTIONS *", need_more},
      {"OPTIONS * ", http1},
      {"GET * ", other},
      {"OPTIONS *x", other},
      {"PROPFIND /", http1},
      {"M-SEARCH /x HTTP/1.1\r\n", http1},
      {"FETCH /x", need_more},
      {"FETCH /x HTTP/1.0\r\n", http1},
      {"FETCH /x FETCHED\r\n", other},
      {"SET /key 1\r\n", other},
      {"FETCH /x HTTP/1.1\n", other},
      {"GET  /", other},
      {"get /", other},
      {" GET /", other},
      {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", other},
      {"CONNECT a:1 HTTP/1.1\r\n", other},
      {"CONNECT /", other},
      {"\x16\x03\x01\x02", other},
      {"\0"s, other},
      {"*1\r\n$4\r\nPING\r\n", other},
      {"PING\r\n", other},
      {"NICK bob\r\n", other},
      {"SSH-2.0-OpenSSH_9\r\n", other},
      {"EHLO mail\r\n", other},
      {std::string(24, 'A'), need_more},
      {std::string(25, 'A'), other},
  };
  return all;
}

TEST(Detect, Table) {
  for (const DetectCase& c : detect_cases()) EXPECT_EQ(detect(c.bytes), c.expected) << testing::PrintToString(c.bytes);
}

// A verdict is not taken back by the bytes that follow, and a prefix of what is HTTP is not called anything else.
TEST(Detect, EveryPrefixAgreesOrWaits) {
  for (const DetectCase& c : detect_cases()) {
    for (std::size_t i = 0; i < c.bytes.size(); ++i) {
      const Detection early = detect(std::string_view(c.bytes).substr(0, i));
      EXPECT_TRUE(early == Detection::need_more || early == c.expected) << testing::PrintToString(c.bytes) << i;
    }
  }
}

TEST(Detect, DecidesWithinItsBound) {
  const std::string endless = "FETCH /" + std::string(kDetectBytes, 'x');
  EXPECT_EQ(detect(std::string_view(endless).substr(0, kDetectBytes - 1)), Detection::need_more);
  EXPECT_EQ(detect(std::string_view(endless).substr(0, kDetectBytes)), Detection::other);
  EXPECT_EQ(detect(endless), Detection::other);
}

}  // namespace
}  // namespace causeway::http
