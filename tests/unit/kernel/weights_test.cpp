#include "kernel/weights.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <gtest/gtest.h>

#include "../../../bpf/lib/balance.h"
#include "base/random.h"

namespace causeway::kernel {
namespace {

using Weights = std::vector<std::uint32_t>;

Weights random_weights(Random& random) {
  Weights weights(1 + random.below(60));
  for (auto& weight : weights) weight = static_cast<std::uint32_t>(random.below(256));
  weights[random.below(weights.size())] = 1 + static_cast<std::uint32_t>(random.below(255));
  return weights;
}

/// Each slot's part of the whole, from what the slots keep and give.
std::vector<double> parts(const std::vector<SlotShare>& shares) {
  std::vector<double> all(shares.size());
  const double width = 1.0 / static_cast<double>(shares.size());
  for (std::size_t slot = 0; slot < shares.size(); ++slot) {
    const double kept = shares[slot].other == slot ? 1.0 : std::ldexp(shares[slot].keep, -32);
    all[slot] += kept * width;
    all[shares[slot].other] += (1 - kept) * width;
  }
  return all;
}

TEST(SlotShares, AreTheWeights) {
  FastRandom random(11);
  for (int set = 0; set < 2'000; ++set) {
    const Weights weights = random_weights(random);
    const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
    const auto all = parts(slot_shares(weights));
    for (std::size_t slot = 0; slot < weights.size(); ++slot) ASSERT_NEAR(all[slot], weights[slot] / sum, 1e-7);
  }
}

TEST(SlotShares, WithoutWeightNothing) {
  for (const SlotShare& share : slot_shares(Weights{0, 5, 0, 0, 9})) EXPECT_TRUE(share.other == 1 || share.other == 4);
  EXPECT_EQ(slot_shares(Weights{4})[0], (SlotShare{0, 0}));
}

/// Connections of `turns` in a row that each slot gets.
std::vector<std::uint64_t> taken(const std::vector<SlotShare>& shares, std::uint64_t begin, std::uint64_t turns) {
  std::vector<std::uint64_t> counts(shares.size());
  for (std::uint64_t turn = begin; turn < begin + turns; ++turn) {
    const cw_place place = cw_balance_place(cw_balance_point(turn), static_cast<__u32>(shares.size()));
    ++counts[cw_balance_weighted(place, shares[place.slot].keep, shares[place.slot].other)];
  }
  return counts;
}

/// Over any 100 connections, not only in the long run: a slot is at most a few off.
TEST(WeightedTurns, FollowTheWeightsClosely) {
  FastRandom random(12);
  for (int set = 0; set < 300; ++set) {
    Weights weights(2 + random.below(8));
    for (auto& weight : weights) weight = 1 + static_cast<std::uint32_t>(random.below(20));
    const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
    const auto counts = taken(slot_shares(weights), random.next() >> 1, 100);
    for (std::size_t slot = 0; slot < weights.size(); ++slot) {
      ASSERT_NEAR(static_cast<double>(counts[slot]), 100 * weights[slot] / sum, 6) << "chance: 15 (3 deviations of 5)";
    }
  }
}

TEST(WeightedTurns, ATenthOfTheTraffic) {
  const auto counts = taken(slot_shares(Weights{9, 1}), 0, 1'000);
  EXPECT_NEAR(static_cast<double>(counts[0]), 900, 3);
}

}  // namespace
}  // namespace causeway::kernel
