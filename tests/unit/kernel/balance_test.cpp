// The choice of an endpoint: the lines that the BPF programs compile, held against plain ones.
#include "../../../bpf/lib/balance.h"

#include <algorithm>
#include <vector>

#include <gtest/gtest.h>

#include "base/random.h"

namespace causeway::kernel {
namespace {

constexpr int kSets = 20'000;

/// Sizes of sets: small ones, where every slot matters, and any.
__u32 set_size(Random& random) {
  const std::uint64_t most = random.below(4) == 0 ? 0xffffffffu : 64;
  return static_cast<__u32>(1 + random.below(most));
}

TEST(BalanceRandom, StaysInRangeAtItsEnds) {
  for (const __u32 count : {1u, 2u, 3u, 7u, 1000u, 65536u, 0xffffffffu}) {
    EXPECT_EQ(cw_balance_random(0, count), 0u);
    EXPECT_EQ(cw_balance_random(0xffffffffu, count), count - 1);
  }
}

TEST(BalanceRandom, GivesEachSlotItsShare) {
  constexpr __u32 kSlots = 7;
  constexpr int kDraws = 70'000;
  FastRandom random(1);
  std::vector<int> drawn(kSlots);
  for (int i = 0; i < kDraws; ++i) ++drawn[cw_balance_random(static_cast<__u32>(random.next()), kSlots)];
  for (const int count : drawn) EXPECT_NEAR(count, kDraws / kSlots, 500);  // 5 standard deviations of about 93
}

/// The slot whose part of [0, 1) the number lies in, by division.
TEST(BalanceRandom, IsThePartOfTheRangeThatTheNumberLiesIn) {
  FastRandom random(2);
  for (int i = 0; i < kSets; ++i) {
    const __u32 count = set_size(random);
    const auto drawn = static_cast<__u32>(random.next());
    const auto slot = cw_balance_random(drawn, count);
    // slot / count <= drawn / 2^32 < (slot + 1) / count
    const unsigned __int128 scaled = static_cast<unsigned __int128>(drawn) * count;
    ASSERT_LE(static_cast<unsigned __int128>(slot) << 32, scaled) << drawn << " of " << count;
    ASSERT_GT(static_cast<unsigned __int128>(slot + std::uint64_t{1}) << 32, scaled) << drawn << " of " << count;
  }
}

/// A counter that begins anew at the set's end.
TEST(BalanceRoundRobin, IsAWalkThroughTheSlots) {
  FastRandom random(3);
  for (int set = 0; set < kSets; ++set) {
    const auto count = static_cast<__u32>(1 + random.below(64));
    const std::uint64_t begin = random.next() >> 1;
    __u32 expected = cw_balance_round_robin(begin, count);
    ASSERT_LT(expected, count);
    for (std::uint64_t turn = begin; turn < begin + std::min(2 * count, 100u); ++turn) {
      ASSERT_EQ(cw_balance_round_robin(turn, count), expected) << turn << " of " << count;
      if (++expected == count) expected = 0;
    }
  }
}

TEST(BalanceRoundRobin, EachSlotOnceInARound) {
  FastRandom random(4);
  for (int set = 0; set < kSets / 10; ++set) {
    const auto count = static_cast<__u32>(1 + random.below(200));
    const std::uint64_t begin = random.next() >> 1;
    std::vector<int> taken(count);
    for (std::uint64_t turn = begin; turn < begin + count; ++turn) ++taken[cw_balance_round_robin(turn, count)];
    ASSERT_EQ(taken, std::vector<int>(count, 1)) << count;
  }
}

TEST(BalanceTwo, DrawsTwoDifferentSlots) {
  FastRandom random(5);
  for (int i = 0; i < kSets; ++i) {
    const __u32 count = set_size(random);
    const auto one = static_cast<__u32>(random.next()), other = static_cast<__u32>(random.next());
    const cw_pair pair = cw_balance_two(one, other, count);
    ASSERT_EQ(pair.first, cw_balance_random(one, count));
    ASSERT_LT(pair.second, count);
    if (count > 1) {
      ASSERT_NE(pair.first, pair.second) << count;
    }
  }
}

/// As a list of the others would give it.
TEST(BalanceTwo, TheSecondIsOneOfTheOthers) {
  FastRandom random(6);
  for (int i = 0; i < kSets; ++i) {
    const auto count = static_cast<__u32>(2 + random.below(40));
    const auto one = static_cast<__u32>(random.next()), other = static_cast<__u32>(random.next());
    const cw_pair pair = cw_balance_two(one, other, count);
    std::vector<__u32> others;
    for (__u32 slot = 0; slot < count; ++slot) {
      if (slot != pair.first) others.push_back(slot);
    }
    ASSERT_EQ(pair.second, others[cw_balance_random(other, count - 1)]) << count;
  }
}

TEST(BalanceTwo, EachPairIsAsLikely) {
  constexpr __u32 kSlots = 4;
  constexpr int kDraws = 120'000;
  FastRandom random(7);
  std::vector<int> drawn(kSlots * kSlots);
  for (int i = 0; i < kDraws; ++i) {
    const auto one = static_cast<__u32>(random.next()), other = static_cast<__u32>(random.next());
    const cw_pair pair = cw_balance_two(one, other, kSlots);
    ++drawn[pair.first * kSlots + pair.second];
  }
  for (__u32 i = 0; i < drawn.size(); ++i) {
    const int expected = i / kSlots == i % kSlots ? 0 : kDraws / 12;
    EXPECT_NEAR(drawn[i], expected, expected / 20) << i;  // 5 standard deviations of about 96
  }
}

TEST(BalanceLeastActive, TakesTheOneWithLess) {
  EXPECT_TRUE(cw_balance_takes_first(0, 1, 1, 1));
  EXPECT_FALSE(cw_balance_takes_first(1, 1, 0, 1));
  EXPECT_TRUE(cw_balance_takes_first(3, 1, 3, 1)) << "the first of a random order";
}

TEST(BalanceLeastActive, HeedsWeights) {
  EXPECT_TRUE(cw_balance_takes_first(5, 3, 1, 1)) << "6 for 3 and 2 for 1 are the same";
  EXPECT_FALSE(cw_balance_takes_first(6, 3, 1, 1));
  EXPECT_TRUE(cw_balance_takes_first(0xffffffff, 255, 0xffffffff, 1));
}

/// Connections that come and go at random: no endpoint of n gets further ahead than chance alone would let it.
TEST(BalanceLeastActive, SpreadsBetterThanChance) {
  FastRandom random(8);
  for (int set = 0; set < 50; ++set) {
    const auto count = static_cast<__u32>(2 + random.below(30));
    std::vector<__s64> least(count), chance(count);
    for (int i = 0; i < 2'000; ++i) {
      const auto one = static_cast<__u32>(random.next()), other = static_cast<__u32>(random.next());
      const cw_pair pair = cw_balance_two(one, other, count);
      ++least[cw_balance_takes_first(least[pair.first], 1, least[pair.second], 1) ? pair.first : pair.second];
      ++chance[cw_balance_random(one, count)];
    }
    const auto spread = [](const std::vector<__s64>& of) {
      const auto [lowest, highest] = std::minmax_element(of.begin(), of.end());
      return *highest - *lowest;
    };
    EXPECT_LE(spread(least), 8) << count;
    EXPECT_LE(spread(least), std::max<__s64>(spread(chance), 2)) << count;
  }
}

}  // namespace
}  // namespace causeway::kernel
