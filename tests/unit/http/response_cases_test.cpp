// tests/http_cases/responses.txt through the codec, as the session uses it.
#include <algorithm>

#include <gtest/gtest.h>

#include "http/body.h"
#include "http/rewrite.h"
#include "http_cases.h"

namespace causeway::http {
namespace {

/// As the session has it.
constexpr unsigned kMaxInterim = 64;

/// What became of a response.
struct ResponseFate {
  std::string word;
  std::string reason = {};
  BodyKind body = BodyKind::none;
  std::size_t body_bytes = 0;
  std::string out = {};
};

/// A stream that arrives as so many bytes, and then so many at a time.
class ResponseStream {
 public:
  ResponseStream(std::string_view all, std::size_t first, std::size_t then) : all_(all), first_(first), then_(then) {}

  /// False: the endpoint closed.
  bool read() {
    if (end_ == all_.size()) return false;
    end_ = std::min(all_.size(), end_ == 0 ? first_ : end_ + then_);
    seen_ = std::string(all_.substr(begin_, end_ - begin_));  // at another address each time
    return true;
  }
  std::string_view view() const { return seen_; }
  void consume(std::size_t bytes) {
    begin_ += bytes;
    seen_.erase(0, bytes);
  }

 private:
  std::string_view all_;
  std::size_t first_;
  std::size_t then_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::string seen_;
};

/// Until `parser` has a head. False: `fate` says why not.
bool take_head(ResponseStream& stream, ResponseParser& parser, ResponseFate& fate) {
  parser.reset();
  for (;;) {
    const Verdict verdict = parser.parse(stream.view());
    if (verdict.outcome == Outcome::complete) return true;
    if (verdict.outcome == Outcome::bad) {
      fate = {.word = "bad", .reason = std::string(verdict.reason)};
      return false;
    }
    if (!stream.read()) {
      fate = {.word = "cut"};
      return false;
    }
  }
}

void take_body(ResponseStream& stream, const Framing& framing, bool dechunk, ResponseFate& fate) {
  BodyReader body(framing);
  fate.body = framing.kind;
  while (!body.complete()) {
    if (stream.view().empty() && !stream.read()) {
      if (!body.may_end_by_close()) fate = {.word = "cut"};
      return;
    }
    const auto bytes = stream.view();
    const BodyStep step = dechunk ? body.next(bytes) : body.read(bytes);
    if (step.outcome == Outcome::bad) {
      fate = {.word = "broken", .reason = std::string(step.reason)};
      return;
    }
    fate.out += dechunk ? step.data : bytes.substr(0, step.consumed);
    fate.body_bytes += step.consumed;
    stream.consume(step.consumed);
  }
}

ResponseFate take_response(const HttpCase& c, ResponseStream stream) {
  const std::string asked = c.to.empty() ? "GET / HTTP/1.1\r\nHost: a\r\n\r\n" : c.to;
  RequestParser asking;
  EXPECT_EQ(asking.parse(asked).outcome, Outcome::complete);
  const RequestHead& request = asking.head();
  ResponseParser parser;
  ResponseFate fate{.word = "pass"};
  for (unsigned interim = 0;; ++interim) {
    if (interim > kMaxInterim) return {.word = "bad", .reason = "too many interim (1xx) responses"};
    if (!take_head(stream, parser, fate)) return fate;
    if (is_unexpected_upgrade(request, parser.head())) {
      return {.word = "bad", .reason = "101 Switching Protocols that was not asked for"};
    }
    if (!is_interim(parser.head())) break;
    if (request.minor > 0) append_response_head(parser.head(), {.client_minor = request.minor}, fate.out);
    stream.consume(parser.head().length);
  }
  const Framing framing = response_framing(request, parser.head());
  const bool dechunk = needs_dechunking(request, framing);
  const bool keep = client_persists(request) && framing.kind != BodyKind::until_close && !dechunk;
  const ResponseRewrite rewrite{.client_minor = request.minor, .keep_alive = keep, .dechunk = dechunk};
  append_response_head(parser.head(), rewrite, fate.out);
  stream.consume(parser.head().length);
  take_body(stream, framing, dechunk, fate);
  return fate;
}

class ResponseCases : public testing::TestWithParam<HttpCase> {
 protected:
  ResponseFate take(std::size_t first, std::size_t then) const {
    return take_response(GetParam(), ResponseStream(GetParam().in, first, then));
  }
  void expect(const ResponseFate& fate) const {
    ASSERT_EQ(GetParam().verdicts.size(), 1u);
    const CaseVerdict& verdict = GetParam().verdicts[0];
    ASSERT_EQ(fate.word, verdict.word) << fate.reason;
    if (fate.word != "pass") return;
    EXPECT_EQ(fate.body, verdict.body);
    EXPECT_EQ(fate.body_bytes, verdict.body_bytes);
    EXPECT_EQ(fate.out, verdict.out.value_or(GetParam().in));
  }
  std::size_t size() const { return GetParam().in.size(); }
};

TEST_P(ResponseCases, Whole) {
  const ResponseFate fate = take(size(), size());
  expect(fate);
  EXPECT_NE(fate.reason.find(GetParam().verdicts[0].reason), std::string::npos) << fate.reason;
}

TEST_P(ResponseCases, ByteByByte) {
  expect(take(1, size() < 20'000 ? 1u : 997u));
}

TEST_P(ResponseCases, SplitAnywhere) {
  for (std::size_t at = 1; at < std::min<std::size_t>(size(), 1000); ++at) {
    expect(take(at, size()));
    if (HasFatalFailure()) FAIL() << "split at " << at;
  }
}

INSTANTIATE_TEST_SUITE_P(Http, ResponseCases, testing::ValuesIn(load_http_cases("responses.txt")),
                         [](const auto& param_info) { return param_info.param.name; });

}  // namespace
}  // namespace causeway::http
