#include "upstream/retry.h"

#include <vector>

#include <gtest/gtest.h>

namespace causeway::upstream {
namespace {

using namespace std::chrono_literals;

int take_all(RetryBudget& budget) {
  int taken = 0;
  while (taken < 100'000 && budget.take(20)) ++taken;
  return taken;
}

TEST(RetryBudget, AMinimumWithoutTraffic) {
  ManualClock clock;
  RetryBudget budget(clock);
  EXPECT_EQ(take_all(budget), 30);
}

TEST(RetryBudget, TwentyPercentOfTheRequests) {
  ManualClock clock;
  RetryBudget budget(clock);
  for (int i = 0; i < 1000; ++i) budget.on_request();
  EXPECT_EQ(take_all(budget), 200);
  for (int i = 0; i < 5; ++i) budget.on_request();
  EXPECT_EQ(take_all(budget), 1);
}

TEST(RetryBudget, TheWindowSlides) {
  ManualClock clock;
  RetryBudget budget(clock);
  for (int i = 0; i < 1000; ++i) budget.on_request();
  clock.advance(5s);
  EXPECT_EQ(take_all(budget), 200);
  clock.advance(4s);
  EXPECT_FALSE(budget.take(20));
  clock.advance(1s);  // the requests are 10 s old, the retries 5
  EXPECT_FALSE(budget.take(20));
  clock.advance(5s);
  EXPECT_EQ(take_all(budget), 30);
}

TEST(RetryBudget, ALongPauseEmptiesIt) {
  ManualClock clock;
  RetryBudget budget(clock);
  for (int i = 0; i < 1000; ++i) budget.on_request();
  take_all(budget);
  clock.advance(24h);
  EXPECT_EQ(take_all(budget), 30);
}

struct Case {
  Attempt attempt;
  Retry expected;
};

Attempt attempt(Failure failure) {
  Attempt a;
  a.failure = failure;
  return a;
}

TEST(Decide, ConnectFailuresGoToAnotherEndpointWhateverTheMethod) {
  ManualClock clock;
  RetryBudget budget(clock);
  take_all(budget);  // not budgeted
  for (const Failure failure : {Failure::refused, Failure::unreachable, Failure::connect_timeout}) {
    Attempt a = attempt(failure);
    for (a.retries = 0; a.retries < 4; ++a.retries) {
      EXPECT_EQ(decide(a, {}, budget), a.retries < 2 ? Retry::other_endpoint : Retry::no);
    }
    a.retries = 0;
    a.replayable = false;
    EXPECT_EQ(decide(a, {}, budget), Retry::no);
  }
}

TEST(Decide, Resets) {
  ManualClock clock;
  const auto reset = [](bool reused, bool sent, bool begun, bool idempotent, bool replayable, unsigned retries) {
    return Attempt{Failure::reset, reused, sent, begun, idempotent, replayable, retries};
  };
  const std::vector<Case> table{
      // reused, sent, begun, idempotent, replayable, retries
      {reset(false, true, false, true, true, 0), Retry::other_endpoint},
      {reset(false, true, false, true, true, 1), Retry::other_endpoint},
      {reset(false, true, false, true, true, 2), Retry::no},
      {reset(false, true, false, false, true, 0), Retry::no},               // a POST may have been done
      {reset(false, false, false, false, true, 0), Retry::other_endpoint},  // a POST that was not sent was not
      {reset(false, true, true, true, true, 0), Retry::no},                 // the client has seen the answer's begin
      {reset(false, true, false, true, false, 0), Retry::no},               // the body is gone
      {reset(true, true, false, true, true, 0), Retry::fresh_connection},
      {reset(true, true, false, true, true, 2), Retry::fresh_connection},
      {reset(true, false, false, false, true, 0), Retry::fresh_connection},
      {reset(true, true, false, false, true, 0), Retry::no},
      {reset(true, true, true, true, true, 0), Retry::no},
  };
  for (std::size_t i = 0; i < table.size(); ++i) {
    RetryBudget budget(clock);
    EXPECT_EQ(decide(table[i].attempt, {}, budget), table[i].expected) << i;
  }
}

TEST(RetryBudget, IsSettable) {
  ManualClock clock;
  const auto taken = [&clock](std::uint32_t percent) {
    RetryBudget budget(clock);
    for (int i = 0; i < 1000; ++i) budget.on_request();
    int count = 0;
    while (count < 100'000 && budget.take(percent)) ++count;
    return count;
  };
  EXPECT_EQ(taken(50), 500);
  EXPECT_EQ(taken(1), 30) << "the minimum";
  EXPECT_EQ(taken(0), 0);
}

TEST(Decide, A503OfAnIdempotentRequestGoesToAnotherEndpointWithinTheBudget) {
  ManualClock clock;
  RetryBudget budget(clock);
  Attempt a = attempt(Failure::unavailable);
  a.request_sent = a.response_begun = a.idempotent = true;
  EXPECT_EQ(decide(a, {}, budget), Retry::other_endpoint);
  a.reused_connection = true;
  EXPECT_EQ(decide(a, {}, budget), Retry::other_endpoint);
  a.retries = 2;
  EXPECT_EQ(decide(a, {}, budget), Retry::no);
  a.retries = 0;
  a.idempotent = false;
  EXPECT_EQ(decide(a, {}, budget), Retry::no);
  a.idempotent = true;
  a.replayable = false;
  EXPECT_EQ(decide(a, {}, budget), Retry::no);
  a.replayable = true;
  take_all(budget);
  EXPECT_EQ(decide(a, {}, budget), Retry::over_budget);
}

TEST(Decide, A408OnAPooledConnectionIsItsIdleTimeout) {
  ManualClock clock;
  RetryBudget budget(clock);
  take_all(budget);
  Attempt a = attempt(Failure::given_up);
  a.request_sent = a.response_begun = a.idempotent = a.reused_connection = true;
  EXPECT_EQ(decide(a, {}, budget), Retry::fresh_connection);
  EXPECT_FALSE(counts_against_endpoint(a));
  a.idempotent = false;
  EXPECT_EQ(decide(a, {}, budget), Retry::no);
  a.idempotent = true;
  a.reused_connection = false;
  EXPECT_EQ(decide(a, {}, budget), Retry::no) << "about this very request";
}

TEST(Decide, TheNumberOfRetriesIsSettable) {
  ManualClock clock;
  RetryBudget budget(clock);
  ServiceSettings settings;
  settings.retries = 0;
  Attempt a = attempt(Failure::refused);
  EXPECT_EQ(decide(a, settings, budget), Retry::no);
  settings.retries = 5;
  a.retries = 4;
  EXPECT_EQ(decide(a, settings, budget), Retry::other_endpoint);
  a.retries = 5;
  EXPECT_EQ(decide(a, settings, budget), Retry::no);
}

TEST(Decide, WithoutAFreePortAnotherEndpointMayDo) {
  ManualClock clock;
  RetryBudget budget(clock);
  const Attempt a = attempt(Failure::no_port);
  EXPECT_EQ(decide(a, {}, budget), Retry::other_endpoint);
  EXPECT_FALSE(counts_against_endpoint(a));
}

TEST(Decide, AnswersAndTimeoutsAreFinal) {
  ManualClock clock;
  RetryBudget budget(clock);
  for (const Failure failure : {Failure::timeout, Failure::bad_response, Failure::server_error}) {
    Attempt a = attempt(failure);
    a.idempotent = true;
    EXPECT_EQ(decide(a, {}, budget), Retry::no);
  }
}

TEST(Decide, ResetsAreBudgetedFreshConnectionsAreNot) {
  ManualClock clock;
  RetryBudget budget(clock);
  Attempt a = attempt(Failure::reset);
  a.request_sent = a.idempotent = true;
  for (int i = 0; i < 30; ++i) EXPECT_EQ(decide(a, {}, budget), Retry::other_endpoint);
  EXPECT_EQ(decide(a, {}, budget), Retry::over_budget);
  a.reused_connection = true;
  EXPECT_EQ(decide(a, {}, budget), Retry::fresh_connection);
}

TEST(CountsAgainstEndpoint, AllButAStaleConnection) {
  Attempt a = attempt(Failure::reset);
  EXPECT_TRUE(counts_against_endpoint(a));
  a.reused_connection = true;
  EXPECT_FALSE(counts_against_endpoint(a));
  a.response_begun = true;
  EXPECT_TRUE(counts_against_endpoint(a));
  EXPECT_TRUE(counts_against_endpoint(attempt(Failure::refused)));
  EXPECT_TRUE(counts_against_endpoint(attempt(Failure::server_error)));
  Attempt timeout = attempt(Failure::timeout);
  timeout.reused_connection = true;
  EXPECT_TRUE(counts_against_endpoint(timeout));
}

}  // namespace
}  // namespace causeway::upstream
