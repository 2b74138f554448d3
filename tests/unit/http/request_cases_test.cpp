// tests/http_cases/requests.txt through the codec, as the session uses it.
#include <algorithm>

#include <gtest/gtest.h>

#include "http/body.h"
#include "http/rewrite.h"
#include "http_cases.h"

namespace causeway::http {
namespace {

class CaseRandom final : public Random {
 public:
  std::uint64_t next() override { return kCaseRandom; }
};

/// What became of one request.
struct RequestFate {
  std::string word;
  std::string reason = {};
  std::size_t head_bytes = 0;
  BodyKind body = BodyKind::none;
  std::size_t body_bytes = 0;
  std::string out = {};

  std::size_t size() const { return head_bytes + body_bytes; }
};

/// How a stream arrives: so many bytes, and then so many at a time.
struct RequestPieces {
  std::size_t first;
  std::size_t then;

  std::size_t end_after(std::size_t seen, std::size_t size) const {
    return std::min(size, seen == 0 ? first : seen + then);
  }
};

RequestFate take_request(std::string_view stream, RequestPieces pieces) {
  RequestParser parser;
  Verdict verdict;
  std::string seen;  // at another address after each read
  while (verdict.outcome == Outcome::need_more && seen.size() < stream.size()) {
    seen = std::string(stream.substr(0, pieces.end_after(seen.size(), stream.size())));
    verdict = parser.parse(seen);
  }
  if (verdict.outcome == Outcome::need_more) return {.word = "cut"};
  if (verdict.outcome == Outcome::bad) {
    return {.word = std::to_string(verdict.status), .reason = std::string(verdict.reason)};
  }
  const RequestHead& head = parser.head();
  if (head.method == Method::connect) return {.word = "501", .reason = "CONNECT is not for a service"};

  const Framing framing = request_framing(head);
  RequestFate fate{.word = "pass", .head_bytes = head.length, .body = framing.kind};
  CaseRandom random;
  append_request_head(head, {.random = &random, .forwarded_proto = "http", .default_host = "cases"}, fate.out);
  BodyReader body(framing);
  for (std::size_t end = seen.size(); !body.complete(); end = pieces.end_after(end, stream.size())) {
    const BodyStep step = body.read(stream.substr(fate.size(), end - fate.size()));
    fate.body_bytes += step.consumed;
    if (step.outcome == Outcome::bad) return {.word = "400", .reason = std::string(step.reason)};
    if (!body.complete() && end == stream.size()) return {.word = "cut"};
  }
  fate.out += stream.substr(fate.head_bytes, fate.body_bytes);
  return fate;
}

std::vector<RequestFate> take_requests(std::string_view stream, RequestPieces pieces) {
  std::vector<RequestFate> fates;
  while (!stream.empty()) {
    fates.push_back(take_request(stream, pieces));
    if (fates.back().word != "pass") break;
    stream.remove_prefix(fates.back().size());
  }
  return fates;
}

class RequestCases : public testing::TestWithParam<HttpCase> {
 protected:
  void expect(const std::vector<RequestFate>& fates) const {
    ASSERT_EQ(fates.size(), GetParam().verdicts.size()) << fates.back().word << ' ' << fates.back().reason;
    std::string_view rest = GetParam().in;
    for (std::size_t i = 0; i < fates.size(); ++i) {
      const RequestFate& fate = fates[i];
      const CaseVerdict& verdict = GetParam().verdicts[i];
      ASSERT_EQ(fate.word, verdict.word) << fate.reason;
      if (fate.word != "pass") continue;
      EXPECT_EQ(fate.body, verdict.body);
      EXPECT_EQ(fate.body_bytes, verdict.body_bytes);
      EXPECT_EQ(fate.out, verdict.out.value_or(as_it_came(rest.substr(0, fate.size()), fate.head_bytes)));
      rest.remove_prefix(fate.size());
    }
  }
  static std::string as_it_came(std::string_view request, std::size_t head_bytes) {
    return std::string(request).insert(
        head_bytes - 2, "x-request-id: " + std::string(kCaseRequestId) + "\r\nx-forwarded-proto: http\r\n");
  }
  std::size_t size() const { return GetParam().in.size(); }
};

TEST_P(RequestCases, Whole) {
  const auto fates = take_requests(GetParam().in, {size(), size()});
  expect(fates);
  EXPECT_NE(fates.back().reason.find(GetParam().verdicts.back().reason), std::string::npos) << fates.back().reason;
}

TEST_P(RequestCases, ByteByByte) {
  expect(take_requests(GetParam().in, {1, size() < 20'000 ? 1u : 997u}));
}

TEST_P(RequestCases, SplitAnywhere) {
  for (std::size_t at = 1; at < std::min<std::size_t>(size(), 1000); ++at) {
    expect(take_requests(GetParam().in, {at, size()}));
    if (HasFatalFailure()) FAIL() << "split at " << at;
  }
}

// What follows an accepted request is the next one's.
TEST_P(RequestCases, WithBytesBehind) {
  auto fates = take_requests(GetParam().in + "G", {size() + 1, size() + 1});
  if (fates.back().word == "cut" && GetParam().verdicts.back().word == "pass") fates.pop_back();
  if (GetParam().verdicts.back().word != "cut") expect(fates);
}

INSTANTIATE_TEST_SUITE_P(Http, RequestCases, testing::ValuesIn(load_http_cases("requests.txt")),
                         [](const auto& param_info) { return param_info.param.name; });

TEST(HttpCases, AreThere) {
  EXPECT_GE(load_http_cases("requests.txt").size(), 300u);
  EXPECT_GE(load_http_cases("responses.txt").size(), 150u);
}

}  // namespace
}  // namespace causeway::http
