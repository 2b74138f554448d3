#include "net/deadline.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "net/event_loop.h"

namespace causeway::net {
namespace {

using namespace std::chrono_literals;

struct Probe {
  explicit Probe(DeadlineWheel& wheel)
      : deadline(
            wheel, [](void* self) { static_cast<Probe*>(self)->fire(); }, this) {}
  void fire() {
    ++fired;
    at = std::chrono::steady_clock::now();
    if (then) then();
  }
  Deadline deadline;
  int fired = 0;
  SteadyTime at{};
  std::function<void()> then;
};

class DeadlineTest : public ::testing::Test {
 protected:
  bool run_until(const std::function<bool()>& holds) {
    const auto end = std::chrono::steady_clock::now() + 10s;
    while (!holds()) {
      if (std::chrono::steady_clock::now() > end) return false;
      loop_.run_once(50);
    }
    return true;
  }
  EventLoop loop_;
  DeadlineWheel& wheel_ = loop_.wheel;
};

TEST_F(DeadlineTest, FiresOnceAndNeverEarly) {
  std::vector<std::unique_ptr<Probe>> probes;
  std::vector<SteadyTime> due;
  for (int i = 0; i < 50; ++i) {
    probes.push_back(std::make_unique<Probe>(wheel_));
    due.push_back(std::chrono::steady_clock::now() + std::chrono::milliseconds(i * 7 % 200));
    probes.back()->deadline.expires_at(due.back());
  }
  ASSERT_TRUE(
      run_until([&] { return std::all_of(probes.begin(), probes.end(), [](auto& p) { return p->fired > 0; }); }));
  for (std::size_t i = 0; i < probes.size(); ++i) {
    EXPECT_EQ(probes[i]->fired, 1);
    EXPECT_GE(probes[i]->at, due[i]);
  }
}

TEST_F(DeadlineTest, MovesLaterAndEarlier) {
  Probe later(wheel_);
  Probe earlier(wheel_);
  const auto start = std::chrono::steady_clock::now();
  later.deadline.expires_after(20ms);
  later.deadline.expires_after(150ms);
  earlier.deadline.expires_after(1h);
  earlier.deadline.expires_after(30ms);
  ASSERT_TRUE(run_until([&] { return earlier.fired == 1; }));
  ASSERT_TRUE(run_until([&] { return later.fired == 1; }));
  EXPECT_GE(later.at - start, 150ms);
}

TEST_F(DeadlineTest, FiresNoMoreWhenClearedOrDestroyed) {
  Probe cleared(wheel_);
  auto destroyed = std::make_unique<Probe>(wheel_);
  Probe last(wheel_);
  cleared.deadline.expires_after(10ms);
  destroyed->deadline.expires_after(10ms);
  last.deadline.expires_after(60ms);
  cleared.deadline.clear();
  destroyed.reset();
  ASSERT_TRUE(run_until([&] { return last.fired == 1; }));
  EXPECT_EQ(cleared.fired, 0);
}

TEST_F(DeadlineTest, MayBeSetAgainOrDestroyOthersInItsHandler) {
  Probe again(wheel_);
  auto victim = std::make_unique<Probe>(wheel_);
  again.then = [&] {
    victim.reset();
    if (again.fired < 3) again.deadline.expires_after(10ms);
  };
  const auto same = std::chrono::steady_clock::now() + 10ms;
  again.deadline.expires_at(same);
  victim->deadline.expires_at(same);
  EXPECT_TRUE(run_until([&] { return again.fired == 3; }));
}

TEST_F(DeadlineTest, ReachesBeyondOneTurnOfTheWheel) {
  // 1024 slots of 10 ms: a deadline further ahead waits in the wheel's last slot and is moved on, not fired.
  Probe far(wheel_);
  far.deadline.expires_after(30s);
  Probe near(wheel_);
  near.deadline.expires_after(20ms);
  ASSERT_TRUE(run_until([&] { return near.fired == 1; }));
  EXPECT_EQ(far.fired, 0);
}

TEST_F(DeadlineTest, SleepsWhileNothingIsSet) {
  Probe probe(wheel_);
  probe.deadline.expires_after(10ms);
  ASSERT_TRUE(run_until([&] { return probe.fired == 1; }));
  EXPECT_EQ(wheel_.milliseconds_to_next(), -1);
}

}  // namespace
}  // namespace causeway::net
