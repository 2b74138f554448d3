#include "proxy/admission.h"

#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "proxy/memory_trim.h"

namespace causeway::proxy {
namespace {

using observe::Bound;
using namespace std::chrono_literals;

constexpr ClientId kHost{0};
constexpr ClientId kShop{7};

feed::ProxyLimits bounds(std::uint32_t connections, std::uint32_t per_workload) {
  feed::ProxyLimits limits;
  limits.connections = connections;
  limits.connections_per_workload = per_workload;
  return limits;
}

TEST(AdmissionTest, AWorkloadBeyondItsShareIsRefusedWhileOthersAreNot) {
  Admission admission(bounds(10, 2), 1000, 1);
  std::vector<Admission::Place> places;
  for (int i = 0; i < 2; ++i) {
    auto verdict = admission.enter(kShop);
    ASSERT_TRUE(verdict.place);
    places.push_back(std::move(*verdict.place));
  }
  const auto refused = admission.enter(kShop);
  EXPECT_FALSE(refused.place);
  EXPECT_EQ(refused.bound, Bound::workload);
  EXPECT_TRUE(admission.enter(kHost).place);
  places.pop_back();
  EXPECT_TRUE(admission.enter(kShop).place);
  EXPECT_EQ(admission.connections(), 1u);
}

TEST(AdmissionTest, AllTogetherAreBounded) {
  Admission admission(bounds(3, 100), 1000, 1);
  std::vector<Admission::Place> places;
  for (std::uint32_t client = 0; client < 3; ++client) {
    auto verdict = admission.enter(ClientId(client));
    ASSERT_TRUE(verdict.place);
    places.push_back(std::move(*verdict.place));
  }
  const auto refused = admission.enter(kShop);
  EXPECT_FALSE(refused.place);
  EXPECT_EQ(refused.bound, Bound::connections);
  places.clear();
  EXPECT_EQ(admission.connections(), 0u);
  EXPECT_TRUE(admission.enter(kShop).place);
}

TEST(AdmissionTest, CountsAreExactWithManyWorkers) {
  Admission admission(bounds(1'000'000, 50), 100'000, 4);
  std::atomic<int> admitted{0};
  std::vector<std::vector<Admission::Place>> held(4);
  std::vector<std::thread> workers;
  for (auto& places : held) {
    workers.emplace_back([&admission, &admitted, &places] {
      for (std::uint32_t i = 0; i < 2000; ++i) {
        auto verdict = admission.enter(ClientId(i % 10));
        if (!verdict.place) continue;
        ++admitted;
        places.push_back(std::move(*verdict.place));
      }
    });
  }
  for (auto& worker : workers) worker.join();
  EXPECT_EQ(admitted, 500);  // 50 for each of ten
  EXPECT_EQ(admission.connections(), 500u);
  held.clear();
  EXPECT_EQ(admission.connections(), 0u);
}

TEST(AdmissionTest, MoreWorkloadsThanTheTableHolds) {
  Admission admission(bounds(1'000'000, 1'000'000), 1'000'000, 1);
  std::vector<Admission::Place> places;
  for (std::uint32_t client = 0; client < 10'000; ++client) {
    auto verdict = admission.enter(ClientId(client));
    ASSERT_TRUE(verdict.place);
    places.push_back(std::move(*verdict.place));
  }
  places.clear();
  EXPECT_EQ(admission.connections(), 0u);
}

TEST(AdmissionTest, DescriptorsAreKeptForEndpoints) {
  struct Case {
    std::size_t limit;
    int mark;
  };
  for (const auto& [limit, mark] :
       {Case{20'000, 17'500}, Case{1024, 896}, Case{100, 68}, Case{40, 20}, Case{1'000'000, 991'808}}) {
    const Admission admission(bounds(1'000'000, 0), limit, 2);
    EXPECT_EQ(admission.mark(), mark);
    EXPECT_FALSE(admission.is_scarce(mark - 1));
    EXPECT_TRUE(admission.is_scarce(mark));
    EXPECT_GE(admission.max_refusals(), 1u);
    // Refusals leave most of what is kept to endpoints.
    EXPECT_LE(admission.max_refusals() * 2, std::max<std::size_t>((limit - static_cast<std::size_t>(mark)) / 4, 2));
  }
}

TEST(AdmissionTest, TheShareFollowsTheDescriptors) {
  Admission admission(bounds(50'000, 0), 20'000, 2);
  EXPECT_EQ(admission.max_connections(), 17'500u);
  EXPECT_EQ(admission.max_per_workload(), 6'562u);
  admission.set_descriptors(1'000'000);
  EXPECT_EQ(admission.max_per_workload(), 37'500u);
  admission.set_descriptors(64);
  EXPECT_EQ(admission.max_per_workload(), 12u);
}

TEST(MemoryTrimTest, OnceAfterAPeak) {
  MemoryTrim trim;
  const SteadyTime start{};
  EXPECT_FALSE(trim.due(0, 0, start));
  EXPECT_FALSE(trim.due(1000, 1000, start));
  EXPECT_FALSE(trim.due(250, 250, start + 1s));
  EXPECT_TRUE(trim.due(249, 249, start + 2s));
  EXPECT_FALSE(trim.due(0, 0, start + 3s));  // what is left is small
  EXPECT_FALSE(trim.due(0, 0, start + 60s));
}

TEST(MemoryTrimTest, AShortPeakBetweenTwoLooksCounts) {
  MemoryTrim trim;
  const SteadyTime start{1h};
  EXPECT_FALSE(trim.due(0, 0, start));
  EXPECT_TRUE(trim.due(1, 1000, start + 1s));
}

TEST(MemoryTrimTest, NotMoreOftenThanTheInterval) {
  MemoryTrim trim;
  const SteadyTime start{};
  EXPECT_FALSE(trim.due(1000, 1000, start));
  EXPECT_TRUE(trim.due(0, 0, start + 1s));
  EXPECT_FALSE(trim.due(1000, 1000, start + 2s));
  EXPECT_FALSE(trim.due(0, 0, start + 3s));
  EXPECT_FALSE(trim.due(0, 0, start + 10s));
  EXPECT_TRUE(trim.due(0, 0, start + 11s));
}

TEST(MemoryTrimTest, SmallPeaksAreNotWorthIt) {
  MemoryTrim trim;
  EXPECT_FALSE(trim.due(MemoryTrim::kMinPeak - 1, MemoryTrim::kMinPeak - 1, SteadyTime{}));
  EXPECT_FALSE(trim.due(0, 0, SteadyTime{} + 60s));
}

}  // namespace
}  // namespace causeway::proxy
