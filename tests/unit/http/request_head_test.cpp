#include <ostream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "http/head.h"

namespace causeway::http {
namespace {

using namespace std::string_literals;

Verdict parse(std::string_view text, RequestParser& parser) {
  parser.reset();
  return parser.parse(text);
}

struct RequestHeadCase {
  std::string name;
  std::string text;
  int status;               ///< 0: complete
  std::string reason = {};  ///< a part of the reason
};

void PrintTo(const RequestHeadCase& c, std::ostream* out) {
  *out << testing::PrintToString(c.text);
}

std::string with(const std::string& fields) {
  return "GET / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n";
}
std::string line(const std::string& request_line) {
  return request_line + "\r\nHost: a\r\n\r\n";
}

const std::vector<RequestHeadCase>& request_head_cases() {
  static const std::vector<RequestHeadCase> all{
      {"Simple", with(""), 0},
      {"NoSpaceAfterColon", with("A:b\r\n"), 0},
      {"WhiteSpaceAroundValue", with("A: \t b \t\r\n"), 0},
      {"EmptyValue", with("A:\r\n"), 0},
      {"EveryTchar", with("!#$%&'*+-.^_`|~09azAZ: x\r\n"), 0},
      {"ObsTextInValue", with("A: \xc3\xbc\r\n"), 0},
      {"OneEmptyLineBefore", "\r\n" + with(""), 0},
      {"TwoEmptyLinesBefore", "\r\n\r\n" + with(""), 400, "empty lines"},

      {"BareLfAfterRequestLine", "GET / HTTP/1.1\nHost: a\r\n\r\n", 400, "LF without CR"},
      {"BareLfAfterField", "GET / HTTP/1.1\r\nHost: a\n\r\n", 400, "LF without CR"},
      {"BareLfAtEnd", "GET / HTTP/1.1\r\nHost: a\r\n\n", 400, "LF without CR"},
      {"BareLfFirst", "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"BareCrInValue", with("A: b\rc\r\n"), 400, "control character"},
      {"BareCrInName", with("A\rB: c\r\n"), 400, "forbidden character"},
      {"BareCrInRequestLine", line("GET /\r HTTP/1.1"), 400, "target has a forbidden"},
      {"DoubleCr", with("A: b\r\r\n"), 400, "control character"},
      {"NulInValue", with("A: b\0c\r\n"s), 400, "control character"},
      {"NulInName", with("A\0: c\r\n"s), 400, "forbidden character"},
      {"NulInTarget", line("GET /\0 HTTP/1.1"s), 400, "forbidden character"},
      {"BellInLongValue", with("A: 0123456789abcdef\a0123456789abcdef\r\n"), 400, "control character"},
      {"DelInLongValue",
       with("A: 0123456789abcdef\x7f"
            "0123456789\r\n"),
       400, "control character"},
      {"TabInLongValue", with("A: 0123456789abcdef\t0123456789abcdef\r\n"), 0},
      {"ObsFold", with("A: b\r\n c\r\n"), 400, "folded"},
      {"ObsFoldTab", with("A: b\r\n\tc: d\r\n"), 400, "folded"},
      {"FoldAfterRequestLine", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400, "folded"},
      {"SpaceBeforeColon", with("A : b\r\n"), 400, "before a field's colon"},
      {"TabBeforeColon", with("A\t: b\r\n"), 400, "before a field's colon"},
      {"SpaceInName", with("A b: c\r\n"), 400},
      {"NoColon", with("Abc\r\n"), 400, "no colon"},
      {"EmptyName", with(": b\r\n"), 400, "no name"},
      {"SlashInName", with("A/b: c\r\n"), 400, "forbidden character"},
      {"ParenthesesInName", with("A(b): c\r\n"), 400, "forbidden character"},
      {"NonAsciiName", with("\xc3\xbc: c\r\n"), 400, "forbidden character"},

      {"NoVersion", line("GET /"), 400, "no HTTP version"},
      {"NoTarget", line("GET"), 400, "no target"},
      {"OnlyMethodAndVersion", line("GET HTTP/1.1"), 400},
      {"TwoSpacesBeforeTarget", line("GET  / HTTP/1.1"), 400},
      {"TwoSpacesBeforeVersion", line("GET /  HTTP/1.1"), 400, "HTTP version"},
      {"SpaceInTarget", line("GET /a b HTTP/1.1"), 400, "HTTP version"},
      {"TrailingSpace", line("GET / HTTP/1.1 "), 400, "HTTP version"},
      {"TabAsSeparator", line("GET\t/\tHTTP/1.1"), 400},
      {"LeadingSpace", line(" GET / HTTP/1.1"), 400, "method"},
      {"BadMethod", line("G@T / HTTP/1.1"), 400, "method"},
      {"LongMethod", line(std::string(33, 'A') + " / HTTP/1.1"), 400, "method"},
      {"UnknownMethod", line("PROPFIND / HTTP/1.1"), 0},
      {"LowerCaseVersion", line("GET / http/1.1"), 400, "HTTP version"},
      {"BadVersion", line("GET / HTTP/1.x"), 400, "HTTP version"},
      {"LongVersion", line("GET / HTTP/1.10"), 400, "HTTP version"},
      {"NotHttp", line("GET / HTTQ/1.1"), 400, "HTTP version"},
      {"Version12", line("GET / HTTP/1.2"), 505, "neither"},
      {"Version20", line("GET / HTTP/2.0"), 505, "neither"},
      {"Version09", line("GET / HTTP/0.9"), 505, "neither"},
      {"Http2Preface", "PRI * HTTP/2.0\r\n\r\n", 505, "neither"},

      {"Fragment", line("GET /a#b HTTP/1.1"), 400, "forbidden character"},
      {"NoLeadingSlash", line("GET a HTTP/1.1"), 400, "no known form"},
      {"RawUtf8Path", line("GET /\xc3\xbc HTTP/1.1"), 0},
      {"Query", line("GET /a?b=c&d=%20 HTTP/1.1"), 0},
      {"AsteriskOptions", line("OPTIONS * HTTP/1.1"), 0},
      {"AsteriskGet", line("GET * HTTP/1.1"), 400, "OPTIONS alone"},
      {"Absolute", line("GET http://b.example:8080/x HTTP/1.1"), 0},
      {"AbsoluteHttps", line("GET HTTPS://b/x HTTP/1.1"), 0},
      {"AbsoluteOtherScheme", line("GET ftp://b/x HTTP/1.1"), 400, "scheme"},
      {"AbsoluteUserinfo", line("GET http://u@b/x HTTP/1.1"), 400, "host is not valid"},
      {"AbsoluteNoHost", line("GET http:///x HTTP/1.1"), 400, "host is not valid"},
      {"AbsoluteBadPort", line("GET http://b:99999/ HTTP/1.1"), 400, "host is not valid"},
      {"Connect", line("CONNECT b:443 HTTP/1.1"), 0},
      {"ConnectNoPort", line("CONNECT b HTTP/1.1"), 400, "host:port"},
      {"ConnectPath", line("CONNECT /x HTTP/1.1"), 400, "host:port"},

      {"HostMissing", "GET / HTTP/1.1\r\n\r\n", 400, "Host is missing"},
      {"HostMissing10", "GET / HTTP/1.0\r\n\r\n", 0},
      {"HostTwice", with("Host: a\r\n"), 400, "Host is given twice"},
      {"HostTwice10", "GET / HTTP/1.0\r\nhost: a\r\nhost: a\r\n\r\n", 400, "Host is given twice"},
      {"HostTwiceAbsolute", "GET http://a/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "Host is given twice"},
      {"HostMissingAbsolute", "GET http://a/ HTTP/1.1\r\n\r\n", 400, "Host is missing"},
      {"HostEmpty", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 0},
      {"HostPort", "GET / HTTP/1.1\r\nHost: user-svc:80\r\n\r\n", 0},
      {"HostUnderscore", "GET / HTTP/1.1\r\nHost: user_svc\r\n\r\n", 0},
      {"HostIpv6", "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", 0},
      {"HostIpv6NoBracket", "GET / HTTP/1.1\r\nHost: ::1\r\n\r\n", 400, "Host is not a valid"},
      {"HostIpv6Open", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400, "Host is not a valid"},
      {"HostIpv6Tail", "GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n", 400, "Host is not a valid"},
      {"HostList", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400, "Host is not a valid"},
      {"HostComma", "GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", 400, "Host is not a valid"},
      {"HostPath", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, "Host is not a valid"},
      {"HostUserinfo", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400, "Host is not a valid"},
      {"HostSpace", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400, "Host is not a valid"},
      {"HostBadPort", "GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", 400, "Host is not a valid"},
      {"HostEmptyPort", "GET / HTTP/1.1\r\nHost: a:\r\n\r\n", 400, "Host is not a valid"},
      {"HostPercent", "GET / HTTP/1.1\r\nHost: a%2fb\r\n\r\n", 0},
      {"HostBadPercent", "GET / HTTP/1.1\r\nHost: a%2\r\n\r\n", 400, "Host is not a valid"},

      {"Length", with("Content-Length: 5\r\n"), 0},
      {"LengthZero", with("Content-Length: 0\r\n"), 0},
      {"LengthLeadingZeros", with("Content-Length: 0005\r\n"), 0},
      {"LengthLargest", with("Content-Length: 9223372036854775807\r\n"), 0},
      {"LengthTooLarge", with("Content-Length: 9223372036854775808\r\n"), 400, "too large"},
      {"LengthWraps", with("Content-Length: 18446744073709551621\r\n"), 400, "too large"},
      {"LengthTwiceSame", with("Content-Length: 5\r\nContent-Length: 5\r\n"), 400, "twice"},
      {"LengthTwiceOther", with("Content-Length: 5\r\ncontent-length: 6\r\n"), 400, "twice"},
      {"LengthList", with("Content-Length: 5, 5\r\n"), 400, "not a decimal"},
      {"LengthPlus", with("Content-Length: +5\r\n"), 400, "not a decimal"},
      {"LengthMinus", with("Content-Length: -5\r\n"), 400, "not a decimal"},
      {"LengthHex", with("Content-Length: 0x5\r\n"), 400, "not a decimal"},
      {"LengthInnerSpace", with("Content-Length: 5 5\r\n"), 400, "not a decimal"},
      {"LengthFraction", with("Content-Length: 5.0\r\n"), 400, "not a decimal"},
      {"LengthEmpty", with("Content-Length:\r\n"), 400, "empty"},
      {"LengthVerticalTab", with("Content-Length: \v5\r\n"), 400, "control character"},

      {"Chunked", with("Transfer-Encoding: chunked\r\n"), 0},
      {"ChunkedAnyCase", with("transfer-ENCODING: ChunkeD\r\n"), 0},
      {"ChunkedTwice", with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), 400, "twice"},
      {"ChunkedThenIdentity", with("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n"), 400, "twice"},
      {"IdentityThenChunked", with("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n"), 400, "exactly"},
      {"ChunkedIdentity", with("Transfer-Encoding: chunked, identity\r\n"), 400, "not exactly chunked"},
      {"GzipChunked", with("Transfer-Encoding: gzip, chunked\r\n"), 501, "coding other than"},
      {"Identity", with("Transfer-Encoding: identity\r\n"), 400, "not exactly chunked"},
      {"ChunkedParameter", with("Transfer-Encoding: chunked;q=1\r\n"), 400, "not exactly chunked"},
      {"ChunkedQuoted", with("Transfer-Encoding: \"chunked\"\r\n"), 400, "not exactly chunked"},
      {"ChunkedComma", with("Transfer-Encoding: chunked,\r\n"), 400, "not exactly chunked"},
      {"XChunked", with("Transfer-Encoding: xchunked\r\n"), 400, "not exactly chunked"},
      {"TransferEncodingEmpty", with("Transfer-Encoding:\r\n"), 400, "not exactly chunked"},
      {"ChunkedVerticalTab", with("Transfer-Encoding: \vchunked\r\n"), 400, "control character"},
      {"ChunkedAndLength", with("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), 400, "both"},
      {"LengthAndChunked", with("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), 400, "both"},
      {"Chunked10", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "HTTP/1.0"},

      {"ConnectionOptions", with("Connection: keep-alive, X-A , ,close\r\n"), 0},
      {"ConnectionNoToken", with("Connection: a b\r\n"), 400, "not a token"},
      {"ConnectionHost", with("Connection: Host\r\n"), 400, "every recipient"},
      {"ConnectionContentLength", with("Connection: close, content-length\r\n"), 400, "every recipient"},
      {"ConnectionTransferEncoding", with("Connection: transfer-encoding\r\nTransfer-Encoding: chunked\r\n"), 0},
      {"ConnectionTooMany",
       with("Connection: a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a\r\n"
            "Connection: a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a\r\n"),
       400, "too many options"},
  };
  return all;
}

class RequestHeadTest : public testing::TestWithParam<RequestHeadCase> {};

void expect_verdict(const RequestHeadCase& c, const Verdict& verdict) {
  if (c.status == 0) {
    EXPECT_EQ(verdict.outcome, Outcome::complete) << verdict.reason;
  } else {
    EXPECT_EQ(verdict.outcome, Outcome::bad);
    EXPECT_EQ(verdict.status, c.status);
    EXPECT_NE(verdict.reason.find(c.reason), std::string_view::npos) << verdict.reason;
    EXPECT_FALSE(verdict.reason.empty());
  }
}

TEST_P(RequestHeadTest, AtOnce) {
  RequestParser parser;
  expect_verdict(GetParam(), parse(GetParam().text, parser));
  if (GetParam().status == 0) {
    EXPECT_EQ(parser.head().length, GetParam().text.size());
  }
}

TEST_P(RequestHeadTest, WithBytesBehind) {
  RequestParser parser;
  expect_verdict(GetParam(), parse(GetParam().text + "GET / HTTP/1.1\r\nbad\n", parser));
  if (GetParam().status == 0) {
    EXPECT_EQ(parser.head().length, GetParam().text.size());
  }
}

// Each parse sees the bytes at another address, as after a reallocation.
TEST_P(RequestHeadTest, ByteByByte) {
  RequestParser parser;
  Verdict verdict;
  std::string moved;
  for (std::size_t i = 1; i <= GetParam().text.size() && verdict.outcome == Outcome::need_more; ++i) {
    moved = std::string(GetParam().text.data(), i);
    verdict = parser.parse(moved);
    if (verdict.outcome == Outcome::complete) {
      EXPECT_EQ(i, GetParam().text.size());
    }
  }
  // What cannot become a request is refused earlier, with its own reason.
  expect_verdict(RequestHeadCase{GetParam().name, GetParam().text, GetParam().status, ""}, verdict);
}

TEST_P(RequestHeadTest, SplitAnywhere) {
  RequestParser parser;
  for (std::size_t i = 1; i < GetParam().text.size(); ++i) {
    parser.reset();
    const Verdict first = parser.parse(std::string_view(GetParam().text).substr(0, i));
    if (first.outcome == Outcome::bad && GetParam().status != 0) continue;
    ASSERT_EQ(first.outcome, Outcome::need_more) << i;
    expect_verdict(GetParam(), parser.parse(GetParam().text));
  }
}

INSTANTIATE_TEST_SUITE_P(Http, RequestHeadTest, testing::ValuesIn(request_head_cases()),
                         [](const auto& param_info) { return param_info.param.name; });

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
