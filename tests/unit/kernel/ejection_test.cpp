// When an endpoint is left out: the lines that the BPF programs compile, held against plain ones.
#include "../../../bpf/lib/ejection.h"

#include <algorithm>
#include <vector>

#include <gtest/gtest.h>

#include "base/random.h"

namespace causeway::kernel {
namespace {

constexpr std::uint64_t kMs = CW_NS_PER_MS;

cw_service by_default() {
  cw_service service{};
  service.ejection_failures = 5;
  service.ejection_percent = 50;
  service.ejection_window_ms = 30'000;
  service.ejection_time_ms = 30'000;
  service.ejection_max_time_ms = 300'000;
  return service;
}

TEST(FailureRun, TheFifthWithinTheWindow) {
  const cw_service service = by_default();
  cw_failure_run run{};
  for (std::uint64_t i = 0; i < 4; ++i) EXPECT_FALSE(cw_run_failed(&run, &service, 1 + i * 7'000 * kMs)) << i;
  EXPECT_TRUE(cw_run_failed(&run, &service, 1 + 30'000 * kMs)) << "the window's end belongs to it";
}

TEST(FailureRun, OneBehindTheWindowBeginsAnew) {
  const cw_service service = by_default();
  cw_failure_run run{};
  for (std::uint64_t i = 0; i < 4; ++i) cw_run_failed(&run, &service, 1 + i);
  EXPECT_FALSE(cw_run_failed(&run, &service, 2 + 30'000 * kMs));
  EXPECT_EQ(run.count, 1u);
}

/// A list of the run's times.
TEST(FailureRun, IsAListSinceItsFirst) {
  FastRandom random(1);
  for (int set = 0; set < 2'000; ++set) {
    cw_service service = by_default();
    service.ejection_failures = static_cast<__u8>(1 + random.below(100));
    service.ejection_window_ms = static_cast<__u32>(1'000 + random.below(3'600'000));
    cw_failure_run run{};
    std::vector<std::uint64_t> list;
    std::uint64_t now = random.next() >> 8;
    for (int i = 0; i < 200; ++i) {
      now += random.below(service.ejection_window_ms * kMs / (1 + random.below(100)));
      if (random.below(20) == 0) {  // one that succeeded
        run.count = 0;
        list.clear();
      }
      if (!list.empty() && now - list.front() > service.ejection_window_ms * kMs) list.clear();
      list.push_back(now);
      ASSERT_EQ(cw_run_failed(&run, &service, now) != 0, list.size() >= service.ejection_failures) << set << " " << i;
    }
  }
}

TEST(TimeOut, DoublesUpToTheLongest) {
  const cw_service service = by_default();
  const std::uint64_t seconds[] = {30, 60, 120, 240, 300, 300};
  for (__u32 i = 0; i < 6; ++i) EXPECT_EQ(cw_time_out(&service, i), seconds[i] * 1'000 * kMs) << i;
  EXPECT_EQ(cw_time_out(&service, 0xffffffffu), 300'000 * kMs);
}

TEST(TimeOut, IsTheSlowDoubling) {
  FastRandom random(2);
  for (int set = 0; set < 20'000; ++set) {
    cw_service service = by_default();
    service.ejection_time_ms = static_cast<__u32>(100 + random.below(random.below(2) == 0 ? 1'000 : 86'400'000));
    service.ejection_max_time_ms = static_cast<__u32>(100 + random.below(86'400'000));
    const auto ejections = static_cast<__u32>(random.below(40));
    const std::uint64_t longest = std::max(service.ejection_time_ms, service.ejection_max_time_ms);
    std::uint64_t time = service.ejection_time_ms;
    for (__u32 i = 0; i < ejections && time < longest; ++i) time *= 2;
    ASSERT_EQ(cw_time_out(&service, ejections), std::min(time, longest) * kMs);
    ASSERT_EQ(cw_remembered(&service), longest * kMs);
  }
}

TEST(Room, IsRoundedDown) {
  cw_service service = by_default();
  struct Share {
    __u32 all, most;
  };
  for (const Share& c : {Share{0, 0}, Share{1, 0}, Share{2, 1}, Share{3, 1}, Share{4, 2}, Share{5, 2}, Share{64, 32}}) {
    for (__u32 out = 0; out <= c.all; ++out) EXPECT_EQ(cw_has_room(&service, out, c.all), out < c.most) << c.all;
  }
  service.ejection_percent = 0;
  EXPECT_FALSE(cw_has_room(&service, 0, 64));
  service.ejection_percent = 100;
  EXPECT_TRUE(cw_has_room(&service, 63, 64));
}

}  // namespace
}  // namespace causeway::kernel
