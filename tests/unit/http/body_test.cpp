#include "http/body.h"

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/random.h"

namespace causeway::http {
namespace {

using namespace std::string_literals;

// What is accepted and what is refused stands in tests/http_cases/.
constexpr Framing kChunked{BodyKind::chunked, 0};

struct Fed {
  BodyStep last;
  std::size_t consumed = 0;
};

/// Feeds `pieces` until the body ends or is refused.
Fed feed(BodyReader& reader, const std::vector<std::string_view>& pieces) {
  Fed fed;
  for (const std::string_view piece : pieces) {
    fed.last = reader.read(piece);
    fed.consumed += fed.last.consumed;
    if (fed.last.outcome != Outcome::need_more) break;
    EXPECT_EQ(fed.last.consumed, piece.size());
  }
  return fed;
}

TEST(Chunked, StopsBeforeTheByteThatIsRefused) {
  const std::vector<std::pair<std::string, std::size_t>> table{
      {"-5\r\n", 0},
      {"5 \r\n", 1},
      {"5;a\0\r\n"s, 3},
      {"5\r\nhello!\r\n", 8},
      {"5\r\nhello\rx", 9},
      {"1000000000000000\r\n", 15},
      {"0\r\nHost: a\r\n\r\n", 7},
  };
  for (const auto& [text, valid] : table) {
    for (const std::size_t at : {std::size_t{0}, valid, text.size()}) {
      BodyReader reader(kChunked);
      const std::string_view all = text;
      const Fed fed = feed(reader, {all.substr(0, at), all.substr(at)});
      EXPECT_EQ(fed.last.outcome, Outcome::bad) << text;
      EXPECT_FALSE(fed.last.reason.empty()) << text;
      EXPECT_EQ(fed.consumed, valid) << text;
    }
  }
}

TEST(Chunked, LargestSize) {
  BodyReader reader(kChunked);
  const BodyStep step = reader.read("fffffffffffffff\r\nx");
  EXPECT_EQ(step.outcome, Outcome::need_more) << step.reason;
  EXPECT_EQ(reader.remaining(), 0xffffffffffffffeu);
}

TEST(Chunked, ExtensionLimitHoldsForEachChunk) {
  const BodyLimits limits{8, 100};
  BodyReader fits(kChunked, limits);
  EXPECT_EQ(fits.read("1;1234567\r\nx\r\n0;1234567\r\n\r\n").outcome, Outcome::complete);
  BodyReader fits_exactly(kChunked, limits);
  EXPECT_EQ(fits_exactly.read("0;12345678\r\n\r\n").outcome, Outcome::complete);
  BodyReader too_long(kChunked, limits);
  EXPECT_EQ(too_long.read("0;123456789\r\n\r\n").outcome, Outcome::bad);
}

TEST(Chunked, TrailerLimitHoldsForAll) {
  const BodyLimits limits{8, 20};
  BodyReader fits(kChunked, limits);
  EXPECT_EQ(fits.read("0\r\nA: 12345\r\nB: 1\r\n\r\n").outcome, Outcome::complete);  // 10 + 6 + 1 counted
  BodyReader too_long(kChunked, limits);
  EXPECT_EQ(too_long.read("0\r\nA: 12345\r\nB: 12345\r\n\r\n").outcome, Outcome::bad);
}

TEST(Chunked, StaysBad) {
  BodyReader reader(kChunked);
  EXPECT_EQ(reader.read("zz").outcome, Outcome::bad);
  const BodyStep again = reader.read("0\r\n\r\n");
  EXPECT_EQ(again.outcome, Outcome::bad);
  EXPECT_EQ(again.consumed, 0u);
  EXPECT_FALSE(again.reason.empty());
}

/// Takes the framing off by next(), given `pieces`.
std::string dechunk(const std::vector<std::string_view>& pieces, Outcome& outcome) {
  BodyReader reader(kChunked);
  std::string payload;
  outcome = Outcome::need_more;
  for (std::string_view piece : pieces) {
    while (!piece.empty() && outcome == Outcome::need_more) {
      const BodyStep step = reader.next(piece);
      EXPECT_TRUE(step.consumed > 0 || step.outcome != Outcome::need_more);
      payload += step.data;
      piece.remove_prefix(step.consumed);
      outcome = step.outcome;
    }
  }
  return payload;
}

TEST(Chunked, RandomBodiesOverRandomSplits) {
  FastRandom random(7);
  for (int round = 0; round < 500; ++round) {
    std::string payload;
    std::string text;
    for (std::uint64_t chunks = random.below(6); chunks > 0; --chunks) {
      std::string chunk;
      for (std::uint64_t n = 1 + random.below(40); n > 0; --n) chunk += static_cast<char>(random.below(256));
      char size[32];
      std::snprintf(size, sizeof size, random.below(2) == 0 ? "%zx" : "%04zX", chunk.size());
      text += size + (random.below(3) == 0 ? ";ext=\"v\""s : ""s) + "\r\n" + chunk + "\r\n";
      payload += chunk;
    }
    text += "0\r\n" + (random.below(3) == 0 ? "X-T: 1\r\n"s : ""s) + "\r\n";
    const std::string stream = text + "NEXT";

    std::vector<std::string_view> pieces;
    for (std::string_view rest = stream; !rest.empty();) {
      const std::size_t n = std::min<std::size_t>(rest.size(), 1 + random.below(12));
      pieces.push_back(rest.substr(0, n));
      rest.remove_prefix(n);
    }
    BodyReader reader(kChunked);
    const Fed fed = feed(reader, pieces);
    ASSERT_EQ(fed.last.outcome, Outcome::complete) << fed.last.reason;
    ASSERT_EQ(fed.consumed, text.size());
    Outcome outcome{};
    ASSERT_EQ(dechunk(pieces, outcome), payload);
    ASSERT_EQ(outcome, Outcome::complete);
  }
}

TEST(Body, LengthEndsExactly) {
  BodyReader reader(Framing{BodyKind::length, 5});
  EXPECT_FALSE(reader.may_end_by_close());
  BodyStep step = reader.read("hel");
  EXPECT_EQ(step.outcome, Outcome::need_more);
  EXPECT_EQ(step.consumed, 3u);
  EXPECT_EQ(reader.remaining(), 2u);
  step = reader.read("loGET");
  EXPECT_EQ(step.outcome, Outcome::complete);
  EXPECT_EQ(step.consumed, 2u);
  EXPECT_TRUE(reader.complete());
  EXPECT_TRUE(reader.may_end_by_close());
}

TEST(Body, NoneIsCompleteAtOnce) {
  for (const Framing framing : {Framing{}, Framing{BodyKind::length, 0}}) {
    BodyReader reader(framing);
    EXPECT_TRUE(reader.complete());
    const BodyStep step = reader.read("GET");
    EXPECT_EQ(step.outcome, Outcome::complete);
    EXPECT_EQ(step.consumed, 0u);
  }
}

TEST(Body, UntilCloseAndTunnelTakeAll) {
  for (const BodyKind kind : {BodyKind::until_close, BodyKind::tunnel}) {
    BodyReader reader(Framing{kind, 0});
    const BodyStep step = reader.next("anything");
    EXPECT_EQ(step.outcome, Outcome::need_more);
    EXPECT_EQ(step.consumed, 8u);
    EXPECT_EQ(step.data, "anything");
    EXPECT_TRUE(reader.may_end_by_close());
    EXPECT_FALSE(reader.complete());
  }
}

TEST(Body, CutOffChunkedIsNoEnd) {
  BodyReader reader(kChunked);
  reader.read("5\r\nhello\r\n");
  EXPECT_FALSE(reader.may_end_by_close());
  reader.read("0\r\n");
  EXPECT_FALSE(reader.may_end_by_close());
  reader.read("\r\n");
  EXPECT_TRUE(reader.may_end_by_close());
}

}  // namespace
}  // namespace causeway::http
