// The choice of an endpoint: the lines that the BPF programs compile.
#include "../../../bpf/lib/balance.h"

#include <vector>

#include <gtest/gtest.h>

#include "base/random.h"

namespace causeway::kernel {
namespace {

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

}  // namespace
}  // namespace causeway::kernel
