#include "kernel/maglev.h"

#include <algorithm>
#include <set>

#include <gtest/gtest.h>

#include "../../../bpf/lib/balance.h"

namespace causeway::kernel {
namespace {

std::vector<MaglevMember> members(std::size_t count) {
  std::vector<MaglevMember> all;
  for (std::size_t i = 0; i < count; ++i) all.push_back({cw_mix(i), 1});
  return all;
}

std::vector<double> entries_of(const std::vector<std::uint32_t>& table, std::size_t count) {
  std::vector<double> entries(count);
  for (const std::uint32_t member : table) ++entries.at(member);
  return entries;
}

bool is_prime(std::uint32_t number) {
  for (std::uint32_t divisor = 2; divisor * divisor <= number; ++divisor) {
    if (number % divisor == 0) return false;
  }
  return number > 1;
}

TEST(MaglevSize, IsAPrimeWithAHundredEntriesAMember) {
  std::set<std::uint32_t> sizes;
  for (std::size_t count = 1; count <= 10'000; ++count) {
    const std::uint32_t size = maglev_size(count);
    ASSERT_GE(size, count * 100) << count;
    ASSERT_TRUE(count < 4 || size < count * 500) << "sized to the endpoints: " << count;
    sizes.insert(size);
  }
  sizes.insert(maglev_size(100'000));
  for (const std::uint32_t size : sizes) EXPECT_TRUE(is_prime(size)) << size;
  EXPECT_GT(maglev_size(100'000), 1'000'000u);
}

TEST(MaglevTable, SharesDifferLittle) {
  for (const std::size_t count : {1u, 2u, 3u, 10u, 97u, 1'000u}) {
    const std::uint32_t size = maglev_size(count);
    const auto entries = entries_of(maglev_table(members(count), size), count);
    const auto [least, most] = std::minmax_element(entries.begin(), entries.end());
    EXPECT_LE(*most - *least, 1) << count;
  }
}

TEST(MaglevTable, SharesFollowWeights) {
  auto weighted = members(3);
  weighted[0].weight = 6;
  weighted[1].weight = 3;
  const auto entries = entries_of(maglev_table(weighted, 16381), 3);
  EXPECT_NEAR(entries[0] / 16381, 0.6, 0.001);
  EXPECT_NEAR(entries[1] / 16381, 0.3, 0.001);
}

TEST(MaglevTable, DoesNotGoByTheOrderOfItsMembers) {
  auto all = members(20);
  const auto table = maglev_table(all, 4093);
  auto reversed = all;
  std::reverse(reversed.begin(), reversed.end());
  const auto other = maglev_table(reversed, 4093);
  for (std::size_t i = 0; i < table.size(); ++i) ASSERT_EQ(all[table[i]].hash, reversed[other[i]].hash);
}

/// Who had one of the others keeps it, but for a few.
TEST(MaglevTable, OneThatGoesMovesFewOthers) {
  for (const std::size_t count : {5u, 40u}) {
    auto all = members(count);
    const std::uint32_t size = maglev_size(count);
    const auto before = maglev_table(all, size);
    const std::uint64_t gone = all[count / 2].hash;
    auto rest = all;
    rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(count / 2));
    const auto after = maglev_table(rest, size);
    std::uint32_t moved = 0;
    for (std::uint32_t i = 0; i < size; ++i) {
      const std::uint64_t had = all[before[i]].hash;
      moved += had != gone && had != rest[after[i]].hash;
    }
    EXPECT_LT(moved, size / 5) << "modulo would move nearly all of them: " << count;
  }
}

}  // namespace
}  // namespace causeway::kernel
