#include "observe/slab.h"

#include <map>
#include <set>
#include <utility>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

namespace causeway::observe {
namespace {

constexpr ServiceId kOverflow{0xffffffffu};

Slab make(std::size_t workers) {
  auto slab = Slab::create(workers);
  EXPECT_TRUE(slab.has_value());
  return std::move(*slab);
}

TEST(Slab, RefusesNoWorkersAndTooMany) {
  EXPECT_FALSE(Slab::create(0));
  EXPECT_FALSE(Slab::create(kMaxWorkers + 1));
  EXPECT_EQ(make(kMaxWorkers).workers(), kMaxWorkers);
}

TEST(Slab, ASlotIsFoundAgainAndKeysDoNotMix) {
  Slab slab = make(2);
  Slot& a = slab.slot(0, ServiceId(1), ClientId(2));
  Slot& b = slab.slot(0, ServiceId(2), ClientId(1));
  Slot& other_worker = slab.slot(1, ServiceId(1), ClientId(2));
  EXPECT_NE(&a, &b);
  EXPECT_NE(&a, &other_worker);
  EXPECT_EQ(&a, &slab.slot(0, ServiceId(1), ClientId(2)));
  bump(a.retries, 3);
  bump(b.retries);
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::uint64_t> seen;
  int slots = 0;
  slab.for_each([&](ServiceId s, ClientId c, const Slot& slot) {
    ++slots, seen[{s.value, c.value}] += slot.retries.load();
  });
  EXPECT_EQ(slots, 3);
  EXPECT_EQ((seen[{1, 2}]), 3u);
  EXPECT_EQ((seen[{2, 1}]), 1u);
}

TEST(Slab, TakesNineTenthsOfARegionThenOverflows) {
  Slab slab = make(1);
  std::set<Slot*> distinct;
  std::set<Slot*> again;
  const auto nearly_full = static_cast<std::uint32_t>(kSlotsPerWorker * 9 / 10);
  for (std::uint32_t id = 1; id <= nearly_full; ++id) distinct.insert(&slab.slot(0, ServiceId(id), kHostClient));
  EXPECT_EQ(distinct.size(), nearly_full);
  for (std::uint32_t id = 1; id <= nearly_full; ++id) again.insert(&slab.slot(0, ServiceId(id), kHostClient));
  EXPECT_EQ(again, distinct);
  // Far more than fit: everything still gets a slot, the rest shares the overflow slot.
  for (std::uint32_t id = 1; id <= 20'000; ++id) bump(slab.slot(0, ServiceId(id), kHostClient).requests[2]);
  std::uint64_t total = 0;
  std::uint64_t overflowed = 0;
  std::size_t slots = 0;
  slab.for_each([&](ServiceId s, ClientId, const Slot& slot) {
    ++slots;
    total += slot.requests[2].load();
    if (s == kOverflow) overflowed += slot.requests[2].load();
  });
  EXPECT_EQ(total, 20'000u);
  EXPECT_EQ(slots, kSlotsPerWorker + 1);
  EXPECT_EQ(overflowed, 20'000u - kSlotsPerWorker);
}

TEST(Slab, NoServiceIsCountedInTheOverflowSlot) {
  Slab slab = make(1);
  bump(slab.slot(0, ServiceId(0), ClientId(7)).retries);
  int slots = 0;
  slab.for_each([&](ServiceId s, ClientId, const Slot&) {
    ++slots;
    EXPECT_EQ(s, kOverflow);
  });
  EXPECT_EQ(slots, 1);
}

TEST(Slab, HistogramBoundsAreInclusive) {
  Slab slab = make(1);
  Histogram& h = slab.slot(0, ServiceId(1), kHostClient).request_duration;
  for (const std::uint64_t us : {0ull, 100ull, 101ull, 15'000'000ull, 15'000'001ull}) h.observe(us);
  EXPECT_EQ(h.buckets[0].load(), 2u);
  EXPECT_EQ(h.buckets[1].load(), 1u);
  EXPECT_EQ(h.buckets[13].load(), 1u);
  EXPECT_EQ(h.buckets[14].load(), 1u);
  EXPECT_EQ(h.sum_us.load(), 30'000'202u);
}

TEST(Slab, CountsOfAnotherProcessOutliveItAndGaugesAreReset) {
  Slab agent = make(2);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {  // the proxy: maps the inherited descriptor and is killed in the middle
    auto proxy = Slab::open(Fd(dup(agent.fd())));
    if (!proxy || proxy->workers() != 2) _exit(1);
    Slot& slot = proxy->slot(1, ServiceId(5), ClientId(6));
    bump(slot.connections_opened, 10);
    bump(slot.connections_active, 4);
    drop(slot.connections_active);
    kill(getpid(), SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status)) << status;
  auto next = Slab::open(Fd(dup(agent.fd())));
  ASSERT_TRUE(next.has_value());
  const Slot& slot = next->slot(1, ServiceId(5), ClientId(6));
  EXPECT_EQ(slot.connections_active.load(), 3u);
  next->reset_gauges();
  int slots = 0;
  agent.for_each([&](ServiceId s, ClientId c, const Slot& seen) {
    ++slots;
    EXPECT_EQ(s, ServiceId(5));
    EXPECT_EQ(c, ClientId(6));
    EXPECT_EQ(seen.connections_opened.load(), 10u);
    EXPECT_EQ(seen.connections_active.load(), 0u);
  });
  EXPECT_EQ(slots, 1);
}

TEST(Slab, TheUnprivilegedSideCannotResizeIt) {
  Slab slab = make(1);
  EXPECT_NE(ftruncate(slab.fd(), 0), 0);
  EXPECT_NE(ftruncate(slab.fd(), 1 << 24), 0);
  EXPECT_NE(fcntl(slab.fd(), F_ADD_SEALS, F_SEAL_WRITE), 0);
}

TEST(Slab, OpenRefusesWhatCreateDidNotMake) {
  EXPECT_FALSE(Slab::open(Fd()));
  EXPECT_FALSE(Slab::open(Fd(::open("/dev/null", O_RDWR | O_CLOEXEC))));
  Fd unsealed(memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_EQ(ftruncate(unsealed.get(), 1 << 20), 0);
  auto error = Slab::open(std::move(unsealed));
  ASSERT_FALSE(error);
  EXPECT_NE(error.error().message().find("sealed"), std::string::npos);
  Fd odd(memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_EQ(ftruncate(odd.get(), 12345), 0);
  ASSERT_EQ(fcntl(odd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 0);
  EXPECT_FALSE(Slab::open(std::move(odd)));
}

TEST(Slab, MovesKeepTheMapping) {
  Slab first = make(1);
  bump(first.slot(0, ServiceId(1), kHostClient).ejections);
  Slab second = std::move(first);
  Slab third = make(2);
  third = std::move(second);
  EXPECT_EQ(third.workers(), 1u);
  EXPECT_EQ(third.slot(0, ServiceId(1), kHostClient).ejections.load(), 1u);
}

using SlabDeathTest = ::testing::Test;
TEST(SlabDeathTest, AWorkerOutOfRangeAborts) {
  Slab slab = make(1);
  EXPECT_DEATH(slab.slot(1, ServiceId(1), kHostClient), "");
}

}  // namespace
}  // namespace causeway::observe
