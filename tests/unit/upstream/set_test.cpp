#include "upstream/set.h"

#include <map>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "endpoints.h"

namespace causeway::upstream {
namespace {

using namespace std::chrono_literals;

class UpstreamSetTest : public testing::Test {
 protected:
  std::map<std::uint32_t, int> counts(UpstreamSet& set, int n) {
    std::map<std::uint32_t, int> result;
    for (int i = 0; i < n; ++i) {
      const Endpoint* e = set.pick();
      ++result[e->id.value];
      set.report_success(e->id);
    }
    return result;
  }
  static void eject(UpstreamSet& set, std::uint32_t id) {
    for (std::uint32_t i = 0; i < ServiceSettings{}.ejection_failures; ++i) set.report_failure(EndpointId{id});
    ASSERT_TRUE(set.ejected(EndpointId{id}));
  }

  ManualClock clock;
  FastRandom random{1};
};

TEST_F(UpstreamSetTest, TakesTurns) {
  UpstreamSet set(service({endpoint(1), endpoint(2), endpoint(3)}), clock, random);
  EXPECT_EQ(counts(set, 300), (std::map<std::uint32_t, int>{{1, 100}, {2, 100}, {3, 100}}));
}

TEST_F(UpstreamSetTest, NobodyThere) {
  UpstreamSet empty(service({}), clock, random);
  EXPECT_EQ(empty.pick(), nullptr);
  UpstreamSet leaving(service({endpoint(1, Health::draining), endpoint(2, Health::starting)}), clock, random);
  EXPECT_EQ(leaving.pick(), nullptr);
}

TEST_F(UpstreamSetTest, EjectedOnesAreLeftOutAndTheRestSharesEqually) {
  UpstreamSet set(service({endpoint(1), endpoint(2), endpoint(3), endpoint(4)}), clock, random);
  eject(set, 2);
  EXPECT_EQ(counts(set, 300), (std::map<std::uint32_t, int>{{1, 100}, {3, 100}, {4, 100}}));
  EXPECT_EQ(set.ejected_count(), 1u);
}

TEST_F(UpstreamSetTest, ATrialGoesToOneRequest) {
  UpstreamSet set(service({endpoint(1), endpoint(2)}), clock, random);
  eject(set, 1);
  clock.advance(30s);
  EXPECT_EQ(set.pick()->id.value, 1u);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(set.pick()->id.value, 2u);
  set.report_success(EndpointId{1});
  EXPECT_EQ(counts(set, 100), (std::map<std::uint32_t, int>{{1, 50}, {2, 50}}));
}

TEST_F(UpstreamSetTest, AFailedTrialIsOutAgain) {
  UpstreamSet set(service({endpoint(1), endpoint(2)}), clock, random);
  eject(set, 1);
  clock.advance(30s);
  ASSERT_EQ(set.pick()->id.value, 1u);
  EXPECT_TRUE(set.report_failure(EndpointId{1}));
  const std::vector<EndpointId> tried{EndpointId{1}};
  EXPECT_EQ(set.pick(tried)->id.value, 2u);
  EXPECT_EQ(counts(set, 10), (std::map<std::uint32_t, int>{{2, 10}}));
}

TEST_F(UpstreamSetTest, AnAbandonedTrialIsTriedAgain) {
  UpstreamSet set(service({endpoint(1), endpoint(2)}), clock, random);
  eject(set, 1);
  clock.advance(30s);
  ASSERT_EQ(set.pick()->id.value, 1u);
  set.report_abandoned(EndpointId{1});
  EXPECT_EQ(set.pick()->id.value, 1u);
}

TEST_F(UpstreamSetTest, EachAttemptGoesElsewhere) {
  UpstreamSet set(service({endpoint(1), endpoint(2), endpoint(3)}), clock, random);
  std::vector<EndpointId> tried;
  std::set<std::uint32_t> seen;
  for (int i = 0; i < 3; ++i) {
    const Endpoint* e = set.pick(tried);
    ASSERT_NE(e, nullptr);
    seen.insert(e->id.value);
    tried.push_back(e->id);
  }
  EXPECT_EQ(seen.size(), 3u);
  EXPECT_EQ(set.pick(tried), nullptr);
}

TEST_F(UpstreamSetTest, AnEjectedEndpointRatherThanNone) {
  UpstreamSet set(service({endpoint(1), endpoint(2)}), clock, random);
  eject(set, 1);
  const std::vector<EndpointId> tried{EndpointId{2}};
  ASSERT_NE(set.pick(tried), nullptr);
  EXPECT_EQ(set.pick(tried)->id.value, 1u);
}

TEST_F(UpstreamSetTest, TheOnlyEndpointIsNeverEjected) {
  UpstreamSet set(service({endpoint(1)}), clock, random);
  for (int i = 0; i < 50; ++i) EXPECT_FALSE(set.report_failure(EndpointId{1}));
  EXPECT_EQ(set.pick()->id.value, 1u);
}

TEST_F(UpstreamSetTest, FollowsTheSnapshot) {
  UpstreamSet set(service({endpoint(1), endpoint(2)}), clock, random);
  counts(set, 3);
  set.update(service({endpoint(2), endpoint(3)}));
  EXPECT_EQ(counts(set, 10), (std::map<std::uint32_t, int>{{2, 5}, {3, 5}}));
  EXPECT_EQ(set.find(EndpointId{1}), nullptr);
  EXPECT_EQ(set.find(EndpointId{3})->instance_id, "i-3");
  set.update(service({endpoint(2, Health::draining), endpoint(3)}));
  EXPECT_EQ(counts(set, 10), (std::map<std::uint32_t, int>{{3, 10}}));
  EXPECT_NE(set.find(EndpointId{2}), nullptr);
}

// The old service may be freed by the update: nothing may point into it (seen by ASan).
TEST_F(UpstreamSetTest, KeepsNothingOfTheOldSnapshot) {
  auto old = service({endpoint(1), endpoint(2), endpoint(3), endpoint(4)});
  UpstreamSet set(old, clock, random);
  counts(set, 2);
  eject(set, 1);
  old.reset();
  set.update(service({endpoint(1), endpoint(2), endpoint(3), endpoint(4)}));
  EXPECT_TRUE(set.ejected(EndpointId{1}));
  EXPECT_EQ(counts(set, 9), (std::map<std::uint32_t, int>{{2, 3}, {3, 3}, {4, 3}}));
}

TEST_F(UpstreamSetTest, UnhealthyOnesServeOnlyIfAllAre) {
  UpstreamSet set(service({endpoint(1, Health::unhealthy), endpoint(2)}), clock, random);
  EXPECT_EQ(counts(set, 4), (std::map<std::uint32_t, int>{{2, 4}}));
  set.update(service({endpoint(1, Health::unhealthy), endpoint(2, Health::unhealthy)}));
  EXPECT_EQ(counts(set, 4), (std::map<std::uint32_t, int>{{1, 2}, {2, 2}}));
}

TEST_F(UpstreamSetTest, PooledConnectionsOfWhoLeftAreNotReused) {
  UpstreamSet set(service({endpoint(1), endpoint(2), endpoint(3, Health::draining), endpoint(4, Health::unhealthy)}),
                  clock, random);
  EXPECT_TRUE(set.may_reuse(EndpointId{1}));
  EXPECT_FALSE(set.may_reuse(EndpointId{3}));
  EXPECT_TRUE(set.may_reuse(EndpointId{4}));
  EXPECT_FALSE(set.may_reuse(EndpointId{9}));
  eject(set, 1);
  EXPECT_FALSE(set.may_reuse(EndpointId{1}));
}

}  // namespace
}  // namespace causeway::upstream
