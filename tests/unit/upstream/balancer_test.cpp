#include "upstream/balancer.h"

#include <algorithm>
#include <map>
#include <vector>

#include <gtest/gtest.h>

#include "endpoints.h"

namespace causeway::upstream {
namespace {

std::vector<const Endpoint*> pointers(const std::vector<Endpoint>& endpoints) {
  std::vector<const Endpoint*> result;
  for (const Endpoint& e : endpoints) result.push_back(&e);
  return result;
}

std::vector<std::uint32_t> ids(const std::vector<const Endpoint*>& endpoints) {
  std::vector<std::uint32_t> result;
  for (const Endpoint* e : endpoints) result.push_back(e->id.value);
  return result;
}

std::vector<std::uint32_t> picks(RoundRobin& turn, int n) {
  std::vector<std::uint32_t> result;
  for (int i = 0; i < n; ++i) result.push_back(turn.pick({})->id.value);
  return result;
}

std::map<std::uint32_t, int> counts(RoundRobin& turn, int n) {
  std::map<std::uint32_t, int> result;
  for (const std::uint32_t id : picks(turn, n)) ++result[id];
  return result;
}

using Ids = std::vector<std::uint32_t>;

TEST(Candidates, HealthyOrElseAll) {
  constexpr Health healthy = Health::healthy;
  constexpr Health unhealthy = Health::unhealthy;
  constexpr Health starting = Health::starting;
  constexpr Health draining = Health::draining;
  const std::vector<std::pair<std::vector<Health>, Ids>> table{
      {{}, {}},
      {{healthy, healthy}, {1, 2}},
      {{unhealthy, healthy, starting, draining}, {2}},
      {{unhealthy, unhealthy}, {1, 2}},
      {{starting, unhealthy, draining}, {2}},
      {{starting, draining}, {}},
  };
  for (const auto& [healths, expected] : table) {
    std::vector<Endpoint> endpoints;
    for (const Health health : healths) {
      endpoints.push_back(endpoint(static_cast<std::uint32_t>(endpoints.size() + 1), health));
    }
    const auto s = service(endpoints);
    EXPECT_EQ(ids(candidates(*s)), expected);
  }
}

TEST(RoundRobin, TakesTurns) {
  FastRandom random(1);
  RoundRobin turn(random);
  const std::vector<Endpoint> endpoints{endpoint(1), endpoint(2), endpoint(3)};
  turn.assign(pointers(endpoints));
  const Ids first = picks(turn, 3);
  EXPECT_EQ(picks(turn, 3), first);
  Ids sorted = first;
  std::sort(sorted.begin(), sorted.end());
  EXPECT_EQ(sorted, (Ids{1, 2, 3}));
}

TEST(RoundRobin, WorkersBeginAtDifferentEndpoints) {
  FastRandom random(1);
  const std::vector<Endpoint> endpoints{endpoint(1), endpoint(2), endpoint(3), endpoint(4)};
  std::map<std::uint32_t, int> first;
  for (int worker = 0; worker < 400; ++worker) {
    RoundRobin turn(random);
    turn.assign(pointers(endpoints));
    ++first[turn.pick({})->id.value];
  }
  for (const Endpoint& e : endpoints) EXPECT_GT(first[e.id.value], 50) << e.id.value;
}

TEST(RoundRobin, EmptyGivesNothing) {
  FastRandom random(1);
  RoundRobin turn(random);
  EXPECT_EQ(turn.pick({}), nullptr);
  turn.assign({});
  EXPECT_TRUE(turn.empty());
  EXPECT_EQ(turn.pick({}), nullptr);
}

TEST(RoundRobin, PassesOverTheTried) {
  FastRandom random(1);
  RoundRobin turn(random);
  const std::vector<Endpoint> endpoints{endpoint(1), endpoint(2), endpoint(3)};
  turn.assign(pointers(endpoints));
  const std::vector<EndpointId> tried{EndpointId{1}, EndpointId{3}};
  for (int i = 0; i < 5; ++i) EXPECT_EQ(turn.pick(tried)->id.value, 2u);
  const std::vector<EndpointId> all{EndpointId{1}, EndpointId{2}, EndpointId{3}};
  EXPECT_EQ(turn.pick(all), nullptr);
}

TEST(RoundRobin, GoesOnBehindTheLastWhenTheSetChanges) {
  FastRandom random(1);
  RoundRobin turn(random);
  const std::vector<Endpoint> four{endpoint(10), endpoint(20), endpoint(30), endpoint(40)};
  turn.assign(pointers(four));
  while (turn.pick({})->id.value != 20) {
  }
  const std::vector<Endpoint> one_more{endpoint(10), endpoint(15), endpoint(20), endpoint(30), endpoint(40)};
  turn.assign(pointers(one_more));
  EXPECT_EQ(picks(turn, 3), (Ids{30, 40, 10}));
  const std::vector<Endpoint> one_less{endpoint(15), endpoint(20), endpoint(40)};  // 10, just served, is gone
  turn.assign(pointers(one_less));
  EXPECT_EQ(picks(turn, 4), (Ids{15, 20, 40, 15}));
  turn.assign({});
  turn.assign(pointers(one_less));
  EXPECT_EQ(picks(turn, 1), (Ids{20}));
}

// Rolling restarts: the set changes at every third request, and still nobody gets far more than his share.
TEST(RoundRobin, StaysFairUnderConstantChange) {
  FastRandom random(1);
  RoundRobin turn(random);
  const std::vector<Endpoint> with{endpoint(1), endpoint(2), endpoint(3), endpoint(4), endpoint(9)};
  const std::vector<Endpoint> without{endpoint(1), endpoint(2), endpoint(3), endpoint(4)};
  std::map<std::uint32_t, int> count;
  for (int i = 0; i < 900; ++i) {
    if (i % 3 == 0) turn.assign(pointers(i % 2 == 0 ? with : without));
    ++count[turn.pick({})->id.value];
  }
  for (std::uint32_t id = 1; id <= 4; ++id) {
    EXPECT_GE(count[id], 190) << id;
    EXPECT_LE(count[id], 225) << id;
  }
}

TEST(RoundRobin, WeightsAreSharesEvenlySpread) {
  FastRandom random(1);
  RoundRobin turn(random);
  const std::vector<Endpoint> endpoints{endpoint(1, Health::healthy, 200), endpoint(2, Health::healthy, 100),
                                        endpoint(3, Health::healthy, 100)};
  turn.assign(pointers(endpoints));
  EXPECT_EQ(counts(turn, 400), (std::map<std::uint32_t, int>{{1, 200}, {2, 100}, {3, 100}}));
  const Ids sequence = picks(turn, 40);
  for (std::size_t i = 1; i < sequence.size(); ++i) EXPECT_NE(sequence[i] == 1, sequence[i - 1] == 1) << i;
}

TEST(RoundRobin, ExtremeWeightsAreScaled) {
  FastRandom random(1);
  RoundRobin turn(random);
  const std::vector<Endpoint> endpoints{endpoint(1, Health::healthy, 0xffffffffu), endpoint(2, Health::healthy, 1),
                                        endpoint(3, Health::healthy, 0)};
  turn.assign(pointers(endpoints));
  const auto count = counts(turn, 256 * 10);
  EXPECT_EQ(count.at(1), 2550);
  EXPECT_EQ(count.at(2), 10);
  EXPECT_FALSE(count.contains(3));
}

TEST(RoundRobin, AllWeightsZeroMeansEqual) {
  FastRandom random(1);
  RoundRobin turn(random);
  const std::vector<Endpoint> endpoints{endpoint(1, Health::healthy, 0), endpoint(2, Health::healthy, 0)};
  turn.assign(pointers(endpoints));
  EXPECT_EQ(counts(turn, 10), (std::map<std::uint32_t, int>{{1, 5}, {2, 5}}));
}

}  // namespace
}  // namespace causeway::upstream
