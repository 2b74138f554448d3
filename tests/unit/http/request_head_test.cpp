#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "http/head.h"

// What is accepted and what is refused stands in tests/http_cases/requests.txt.

namespace causeway::http {
namespace {

std::string with(const std::string& fields) {
  return "GET / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n";
}

struct TargetCase {
  std::string request_line;
  TargetForm form;
  std::string path;
  std::string authority;
};

TEST(RequestTarget, Forms) {
  const std::vector<TargetCase> table{
      {"GET /a?b HTTP/1.1", TargetForm::origin, "/a?b", "host:1"},
      {"GET http://x:2/a?b HTTP/1.1", TargetForm::absolute, "/a?b", "x:2"},
      {"GET http://x HTTP/1.1", TargetForm::absolute, "/", "x"},
      {"GET http://x?q=/ HTTP/1.1", TargetForm::absolute, "?q=/", "x"},
      {"OPTIONS http://x HTTP/1.1", TargetForm::absolute, "*", "x"},
      {"OPTIONS http://x/ HTTP/1.1", TargetForm::absolute, "/", "x"},
      {"OPTIONS * HTTP/1.1", TargetForm::asterisk, "*", "host:1"},
      {"CONNECT [::1]:3 HTTP/1.1", TargetForm::authority, "", "[::1]:3"},
  };
  for (const TargetCase& c : table) {
    RequestParser parser;
    const std::string text = c.request_line + "\r\nHost: host:1\r\n\r\n";
    ASSERT_EQ(parser.parse(text).outcome, Outcome::complete) << text;
    EXPECT_EQ(parser.head().form, c.form) << text;
    EXPECT_EQ(parser.head().path, c.path) << text;
    EXPECT_EQ(parser.head().authority, c.authority) << text;
  }
}

TEST(RequestHead, TellsWhatWasSent) {
  RequestParser parser;
  const std::string text =
      "POST /x HTTP/1.0\r\nhost: a\r\nContent-Length: 12\r\nConnection: Keep-Alive, x-secret\r\nX-Secret:  s s \r\n"
      "Traceparent: t\r\n\r\n";
  ASSERT_EQ(parser.parse(text).outcome, Outcome::complete);
  const RequestHead& head = parser.head();
  EXPECT_EQ(head.method, Method::post);
  EXPECT_EQ(head.method_text, "POST");
  EXPECT_EQ(head.minor, 0);
  EXPECT_EQ(head.content_length, 12u);
  EXPECT_TRUE(head.connection_keep_alive);
  EXPECT_FALSE(head.connection_close);
  EXPECT_TRUE(head.hop_by_hop);
  ASSERT_EQ(head.fields.size(), 5u);
  EXPECT_EQ(head.fields[3].name, "X-Secret");
  EXPECT_EQ(head.fields[3].value, "s s");
  EXPECT_TRUE(head.fields[3].named_by_connection);
  EXPECT_FALSE(head.fields[1].named_by_connection);
  EXPECT_EQ(head.find(FieldId::traceparent)->value, "t");
  EXPECT_EQ(head.find("CONTENT-LENGTH")->value, "12");
  EXPECT_EQ(head.find(FieldId::expect), nullptr);
}

TEST(RequestHead, KnowsFieldsByNameInAnyCase) {
  const std::vector<std::pair<std::string, FieldId>> names{
      {"Connection", FieldId::connection},
      {"EXPECT", FieldId::expect},
      {"keep-alive", FieldId::keep_alive},
      {"Proxy-Connection", FieldId::proxy_connection},
      {"TE", FieldId::te},
      {"Trailer", FieldId::trailer},
      {"TraceParent", FieldId::traceparent},
      {"Upgrade", FieldId::upgrade},
      {"X-Forwarded-Proto", FieldId::x_forwarded_proto},
      {"X-Request-ID", FieldId::x_request_id},
      {"Transfer-Encodin_", FieldId::other},
      {"Hos", FieldId::other},
      {"X-Request-IE", FieldId::other},
  };
  for (const auto& [name, id] : names) {
    RequestParser parser;
    const std::string text = with(name + ": x\r\n");
    ASSERT_EQ(parser.parse(text).outcome, Outcome::complete) << name;
    EXPECT_EQ(parser.head().fields[1].id, id) << name;
    EXPECT_EQ(parser.head().has(id), id != FieldId::other) << name;
  }
}

TEST(RequestHead, RealUpgradesOnly) {
  const std::vector<std::pair<std::string, bool>> table{
      {"Connection: Upgrade\r\nUpgrade: websocket\r\n", true},
      {"Connection: keep-alive, upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n", true},
      {"Upgrade: websocket\r\n", false},
      {"Connection: upgrade\r\n", false},
      {"Connection: upgrade\r\nUpgrade:\r\n", false},
      {"Connection: upgrade\r\nUpgrade: websocket\r\nUpgrade: x\r\n", false},
      {"Connection: upgrade, http2-settings\r\nUpgrade: h2c\r\n", false},
      {"Connection: upgrade\r\nUpgrade: websocket, H2C\r\n", false},
      {"Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 3\r\n", false},
      {"Connection: upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n", false},
  };
  for (const auto& [fields, expected] : table) {
    RequestParser parser;
    const std::string text = with(fields);
    ASSERT_EQ(parser.parse(text).outcome, Outcome::complete) << fields;
    EXPECT_EQ(parser.head().wants_upgrade, expected) << fields;
  }
  RequestParser parser;
  const std::string old = "GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
  ASSERT_EQ(parser.parse(old).outcome, Outcome::complete);
  EXPECT_FALSE(parser.head().wants_upgrade);
}

TEST(RequestHead, ExpectIsForHttp11) {
  RequestParser parser;
  const std::string now = with("Expect: 100-Continue\r\n");
  ASSERT_EQ(parser.parse(now).outcome, Outcome::complete);
  EXPECT_TRUE(parser.head().expects_continue);
  const std::string old = "POST / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n";
  parser.reset();
  ASSERT_EQ(parser.parse(old).outcome, Outcome::complete);
  EXPECT_FALSE(parser.head().expects_continue);
}

TEST(RequestLimits, HeadOfExactlyTheLimitPasses) {
  const std::string text = with("A: " + std::string(50, 'x') + "\r\n");
  RequestParser fits({text.size(), 10});
  EXPECT_EQ(fits.parse(text).outcome, Outcome::complete);
  RequestParser too_small({text.size() - 1, 10});
  const Verdict verdict = too_small.parse(text);
  EXPECT_EQ(verdict.outcome, Outcome::bad);
  EXPECT_EQ(verdict.status, 431);
}

TEST(RequestLimits, EndlessLineIsRefusedAtTheLimit) {
  RequestParser parser({1000, 10});
  std::string text = "GET /";
  while (text.size() < 999) text += 'x';
  EXPECT_EQ(parser.parse(text).outcome, Outcome::need_more);
  EXPECT_EQ(parser.parse(text + "x").status, 414);
  parser.reset();
  const std::string field = "GET / HTTP/1.1\r\nA: ";
  EXPECT_EQ(parser.parse(field + std::string(1000, 'x')).status, 431);
}

TEST(RequestLimits, FieldCount) {
  std::string fields;
  for (int i = 0; i < 9; ++i) fields += "A: b\r\n";
  RequestParser parser({10000, 10});
  EXPECT_EQ(parser.parse(with(fields)).outcome, Outcome::complete);
  parser.reset();
  EXPECT_EQ(parser.parse(with(fields + "A: b\r\n")).status, 431);
}

TEST(RequestParser, RefusesAnotherProtocolBeforeItsLineEnds) {
  RequestParser parser;
  EXPECT_EQ(parser.parse("\x16\x03\x01").outcome, Outcome::bad);
  parser.reset();
  EXPECT_EQ(parser.parse(std::string(33, 'A')).outcome, Outcome::bad);
  parser.reset();
  EXPECT_EQ(parser.parse("\r").outcome, Outcome::need_more);
  EXPECT_EQ(parser.parse("\r\n").outcome, Outcome::need_more);
  EXPECT_EQ(parser.parse("\r\nG").outcome, Outcome::need_more);
  EXPECT_EQ(parser.parse("\r\nG\x01").outcome, Outcome::bad);
}

TEST(RequestParser, PipelinedRequestsOneAfterAnother) {
  const std::string first = with("A: 1\r\n");
  const std::string second = "HEAD /2 HTTP/1.0\r\n\r\n";
  const std::string both = first + second;
  RequestParser parser;
  ASSERT_EQ(parser.parse(both).outcome, Outcome::complete);
  ASSERT_EQ(parser.head().length, first.size());
  parser.reset();
  ASSERT_EQ(parser.parse(std::string_view(both).substr(first.size())).outcome, Outcome::complete);
  EXPECT_EQ(parser.head().method, Method::head);
  EXPECT_EQ(parser.head().path, "/2");
  EXPECT_TRUE(parser.head().fields.empty());
  EXPECT_TRUE(parser.head().authority.empty());
}

}  // namespace
}  // namespace causeway::http
