#include "upstream/usage.h"

#include <thread>

#include <gtest/gtest.h>

namespace causeway::upstream {
namespace {

Snapshot snapshot_with(std::vector<std::pair<std::uint32_t, std::vector<std::uint32_t>>> services) {
  Snapshot out;
  for (const auto& [id, endpoints] : services) {
    auto service = std::make_shared<Service>();
    service->id = ServiceId(id);
    for (const auto endpoint : endpoints) {
      service->endpoints.emplace_back();
      service->endpoints.back().id = EndpointId(endpoint);
    }
    out.services[service->id] = service;
  }
  return out;
}

TEST(UseCount, TakesUpToTheLimit) {
  UseCount count;
  EXPECT_TRUE(count.take(2));
  EXPECT_TRUE(count.take(2));
  EXPECT_FALSE(count.take(2));
  EXPECT_FALSE(count.take(1)) << "a limit that was lowered";
  EXPECT_FALSE(count.take(0));
  count.give_back();
  EXPECT_TRUE(count.take(2));
  EXPECT_EQ(count.value(), 2u);
}

TEST(UseCount, NeverGoesBeyondTheLimitFromManyThreads) {
  constexpr std::uint32_t kLimit = 3;
  UseCount count;
  std::atomic<std::uint32_t> held{0}, most{0}, taken{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 20'000; ++i) {
        if (!count.take(kLimit)) continue;
        const std::uint32_t now = ++held;
        for (std::uint32_t before = most; now > before && !most.compare_exchange_weak(before, now);) {
        }
        ++taken;
        --held;
        count.give_back();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_LE(most, kLimit);
  EXPECT_GT(taken, 0u);
  EXPECT_EQ(count.value(), 0u);
}

TEST(UsageRegistry, CountsStayWithTheirServiceAndEndpoint) {
  UsageRegistry registry;
  const auto before = registry.follow(snapshot_with({{1, {10, 20, 30}}, {2, {40}}}));
  const auto first = before.at(ServiceId(1));
  ASSERT_TRUE(first->service->connections.take(9));
  ASSERT_EQ(first->endpoints.size(), 3u);

  const auto after = registry.follow(snapshot_with({{1, {5, 20, 25, 30, 35}}, {3, {}}}));
  const auto second = after.at(ServiceId(1));
  EXPECT_EQ(second->service, first->service);
  ASSERT_EQ(second->endpoints.size(), 5u);
  EXPECT_EQ(second->endpoints[1], first->endpoints[1]);
  EXPECT_EQ(second->endpoints[3], first->endpoints[2]);
  for (const std::size_t fresh : {0, 2, 4}) {
    for (const auto& old : first->endpoints) EXPECT_NE(second->endpoints[fresh], old);
  }
  EXPECT_FALSE(after.contains(ServiceId(2)));
  EXPECT_TRUE(after.at(ServiceId(3))->endpoints.empty());
}

TEST(UsageRegistry, AnUnchangedServiceKeepsItsView) {
  UsageRegistry registry;
  auto snapshot = snapshot_with({{1, {10}}});
  const auto before = registry.follow(snapshot);
  EXPECT_EQ(registry.follow(snapshot).at(ServiceId(1)), before.at(ServiceId(1)));
}

}  // namespace
}  // namespace causeway::upstream
