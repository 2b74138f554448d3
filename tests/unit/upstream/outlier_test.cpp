#include "upstream/outlier.h"

#include <vector>

#include <gtest/gtest.h>

namespace causeway::upstream {
namespace {

using namespace std::chrono_literals;
using State = OutlierDetector::State;

constexpr EndpointId kA{1};
constexpr EndpointId kB{2};
constexpr EndpointId kC{3};
constexpr EndpointId kD{4};

class OutlierTest : public testing::Test {
 protected:
  OutlierTest() { outliers.retain({kA, kB, kC, kD}, settings); }

  /// True if one of `n` failures ejected.
  bool fail(EndpointId endpoint, int n) {
    bool ejected = false;
    for (int i = 0; i < n; ++i) ejected = outliers.on_failure(endpoint) || ejected;
    return ejected;
  }
  /// Ejects, waits it out and fails the trial, `n` times in all.
  void eject_again(EndpointId endpoint, std::chrono::seconds out) {
    clock.advance(out);
    outliers.begin_trial(endpoint);
    EXPECT_TRUE(outliers.on_failure(endpoint));
  }

  ManualClock clock;
  ServiceSettings settings;
  OutlierDetector outliers{clock, settings};
};

TEST_F(OutlierTest, TheFifthConsecutiveFailureEjects) {
  EXPECT_FALSE(fail(kA, 4));
  EXPECT_EQ(outliers.state(kA), State::in);
  EXPECT_TRUE(fail(kA, 1));
  EXPECT_EQ(outliers.state(kA), State::out);
  EXPECT_EQ(outliers.ejected(), 1u);
  EXPECT_EQ(outliers.state(kB), State::in);
}

TEST_F(OutlierTest, ASuccessBetweenStartsTheCountAnew) {
  fail(kA, 4);
  outliers.on_success(kA);
  EXPECT_FALSE(fail(kA, 4));
  EXPECT_TRUE(fail(kA, 1));
}

TEST_F(OutlierTest, FailuresOutsideTheWindowDoNotCount) {
  fail(kA, 1);
  clock.advance(30s + 1ms);
  EXPECT_FALSE(fail(kA, 4));  // five, but the first is too old
  EXPECT_TRUE(fail(kA, 1));   // now five within the window
}

TEST_F(OutlierTest, FailuresOfExactlyTheWindowCount) {
  fail(kA, 1);
  clock.advance(30s);
  EXPECT_TRUE(fail(kA, 4));
}

TEST_F(OutlierTest, TrialIsDueAfterThirtySeconds) {
  fail(kA, 5);
  clock.advance(30s - 1ms);
  EXPECT_EQ(outliers.state(kA), State::out);
  EXPECT_EQ(outliers.due_trial({}), EndpointId{});
  clock.advance(1ms);
  EXPECT_EQ(outliers.state(kA), State::trial_due);
  EXPECT_EQ(outliers.due_trial({}), kA);
  const std::vector<EndpointId> tried{kA};
  EXPECT_EQ(outliers.due_trial(tried), EndpointId{});
}

TEST_F(OutlierTest, OneTrialAtATime) {
  fail(kA, 5);
  clock.advance(30s);
  outliers.begin_trial(kA);
  EXPECT_EQ(outliers.state(kA), State::on_trial);
  EXPECT_EQ(outliers.due_trial({}), EndpointId{});
  EXPECT_EQ(outliers.ejected(), 1u);
}

TEST_F(OutlierTest, ASuccessfulTrialTakesItBack) {
  fail(kA, 5);
  clock.advance(30s);
  outliers.begin_trial(kA);
  EXPECT_TRUE(outliers.on_success(kA));
  EXPECT_EQ(outliers.state(kA), State::in);
  EXPECT_EQ(outliers.ejected(), 0u);
  EXPECT_FALSE(fail(kA, 4));
}

TEST_F(OutlierTest, FailedTrialsDoubleTheTimeUpToFiveMinutes) {
  EXPECT_TRUE(fail(kA, 5));
  eject_again(kA, 30s);
  for (const auto out : {60s, 120s, 240s, 300s, 300s}) {
    clock.advance(out - 1ms);
    EXPECT_EQ(outliers.state(kA), State::out) << out.count();
    clock.advance(1ms);
    EXPECT_EQ(outliers.state(kA), State::trial_due) << out.count();
    eject_again(kA, 0s);
  }
}

TEST_F(OutlierTest, TheDoublingGoesOnSoonAfterASuccessfulTrial) {
  fail(kA, 5);
  clock.advance(30s);
  outliers.begin_trial(kA);
  outliers.on_success(kA);
  clock.advance(299s);
  fail(kA, 5);
  clock.advance(59s);
  EXPECT_EQ(outliers.state(kA), State::out);
  clock.advance(1s);
  EXPECT_EQ(outliers.state(kA), State::trial_due);
}

TEST_F(OutlierTest, TheDoublingIsForgottenAfterQuietTime) {
  fail(kA, 5);
  clock.advance(30s);
  outliers.begin_trial(kA);
  outliers.on_success(kA);
  clock.advance(300s);
  fail(kA, 5);
  clock.advance(30s);
  EXPECT_EQ(outliers.state(kA), State::trial_due);
}

TEST_F(OutlierTest, ATrialWithoutOutcomeIsGivenUp) {
  fail(kA, 5);
  clock.advance(30s);
  outliers.begin_trial(kA);
  clock.advance(30s - 1ms);
  EXPECT_EQ(outliers.state(kA), State::on_trial);
  clock.advance(1ms);
  EXPECT_EQ(outliers.state(kA), State::trial_due);
}

TEST_F(OutlierTest, AnAbandonedTrialIsDueAgainAtOnce) {
  fail(kA, 5);
  clock.advance(30s);
  outliers.begin_trial(kA);
  outliers.on_abandoned(kA);
  EXPECT_EQ(outliers.due_trial({}), kA);
  outliers.on_abandoned(kB);  // unknown, not on trial: nothing
  EXPECT_EQ(outliers.state(kB), State::in);
}

TEST_F(OutlierTest, LateReportsOfAnEjectedEndpointChangeNothing) {
  fail(kA, 5);
  EXPECT_FALSE(outliers.on_success(kA));
  EXPECT_FALSE(fail(kA, 5));
  EXPECT_EQ(outliers.state(kA), State::out);
  clock.advance(30s);
  EXPECT_EQ(outliers.state(kA), State::trial_due);
  EXPECT_EQ(outliers.ejected(), 1u);
}

TEST_F(OutlierTest, AtMostHalfAreOut) {
  EXPECT_TRUE(fail(kA, 5));
  EXPECT_TRUE(fail(kB, 5));
  EXPECT_FALSE(fail(kC, 50));
  EXPECT_EQ(outliers.state(kC), State::in);
  EXPECT_EQ(outliers.ejected(), 2u);
  // As soon as there is room, its next failure counts.
  clock.advance(30s);
  outliers.begin_trial(kA);
  outliers.on_success(kA);
  EXPECT_TRUE(fail(kC, 1));
}

TEST_F(OutlierTest, HalfIsRoundedDown) {
  outliers.retain({kA}, settings);
  EXPECT_FALSE(fail(kA, 50));
  outliers.retain({kA, kB, kC}, settings);
  EXPECT_TRUE(fail(kA, 1));
  EXPECT_FALSE(fail(kB, 50));
}

TEST_F(OutlierTest, SurvivesChangesOfTheSet) {
  fail(kA, 5);
  fail(kB, 3);
  outliers.retain({kA, kB, kC}, settings);
  EXPECT_EQ(outliers.state(kA), State::out);
  outliers.retain({kA, kB, kC, kD}, settings);
  EXPECT_TRUE(fail(kB, 2));  // its three failures were kept
}

TEST_F(OutlierTest, ForgetsWhoIsGone) {
  fail(kA, 5);
  outliers.retain({kB, kC, kD}, settings);
  EXPECT_EQ(outliers.ejected(), 0u);
  EXPECT_EQ(outliers.state(kA), State::in);
  EXPECT_FALSE(fail(kA, 50));  // late reports do not bring it back
  outliers.retain({kA, kB, kC, kD}, settings);
  EXPECT_FALSE(fail(kA, 4));
}

TEST_F(OutlierTest, AShrinkingSetTakesBackWhoseTimeEndsFirst) {
  fail(kA, 5);
  clock.advance(1s);
  fail(kB, 5);
  outliers.retain({kA, kB, kC}, settings);
  EXPECT_EQ(outliers.ejected(), 1u);
  EXPECT_EQ(outliers.state(kA), State::in);
  EXPECT_EQ(outliers.state(kB), State::out);
  outliers.retain({kB}, settings);
  EXPECT_EQ(outliers.ejected(), 0u);
  EXPECT_EQ(outliers.state(kB), State::in);
}

TEST_F(OutlierTest, EachNumberIsSettable) {
  settings.ejection_failures = 2;
  settings.ejection_window = 1s;
  settings.ejection_time = 3s;
  settings.ejection_max_time = 5s;
  settings.ejection_percent = 25;
  outliers.retain({kA, kB, kC, kD}, settings);
  fail(kA, 1);
  clock.advance(1s + 1ms);
  EXPECT_FALSE(fail(kA, 1)) << "outside the window";
  EXPECT_TRUE(fail(kA, 1));
  EXPECT_FALSE(fail(kB, 10)) << "a quarter of four is one";
  clock.advance(3s - 1ms);
  EXPECT_EQ(outliers.state(kA), State::out);
  clock.advance(1ms);
  EXPECT_EQ(outliers.state(kA), State::trial_due);
  outliers.begin_trial(kA);
  EXPECT_TRUE(fail(kA, 1));
  clock.advance(5s - 1ms);
  EXPECT_EQ(outliers.state(kA), State::out) << "doubled, but no longer than the longest";
  clock.advance(1ms);
  EXPECT_EQ(outliers.state(kA), State::trial_due);
}

TEST_F(OutlierTest, SwitchedOffItEjectsNothingAndTakesBackWhatIsOut) {
  EXPECT_TRUE(fail(kA, 5));
  settings.ejection = false;
  outliers.retain({kA, kB, kC, kD}, settings);
  EXPECT_EQ(outliers.state(kA), State::in);
  EXPECT_EQ(outliers.ejected(), 0u);
  EXPECT_FALSE(fail(kA, 100));
  settings.ejection = true;
  outliers.retain({kA, kB, kC, kD}, settings);
  EXPECT_TRUE(fail(kA, 1));
}

TEST_F(OutlierTest, AnotherNumberOfFailuresStartsTheCountAnew) {
  fail(kA, 4);
  settings.ejection_failures = 3;
  outliers.retain({kA, kB, kC, kD}, settings);
  EXPECT_FALSE(fail(kA, 2));
  EXPECT_TRUE(fail(kA, 1));
}

TEST_F(OutlierTest, FollowsWhatAnotherDecides) {
  EXPECT_TRUE(outliers.follow_ejection(kA, 1));
  EXPECT_EQ(outliers.state(kA), State::out);
  EXPECT_EQ(outliers.ejected(), 1u);
  EXPECT_FALSE(outliers.follow_ejection(kA, 1)) << "it is out already";
  clock.advance(30s);
  EXPECT_EQ(outliers.state(kA), State::trial_due);
  EXPECT_TRUE(outliers.follow_ejection(kA, 2)) << "the other's trial failed";
  clock.advance(59s);
  EXPECT_EQ(outliers.state(kA), State::out) << "twice as long";
  EXPECT_TRUE(outliers.follow_return(kA));
  EXPECT_EQ(outliers.state(kA), State::in);
  EXPECT_EQ(outliers.ejected(), 0u);
  EXPECT_FALSE(outliers.follow_return(kA));
}

TEST_F(OutlierTest, FollowsNoFurtherThanHalf) {
  EXPECT_TRUE(fail(kA, 5));
  EXPECT_TRUE(outliers.follow_ejection(kB, 1));
  EXPECT_FALSE(outliers.follow_ejection(kC, 1));
  EXPECT_FALSE(outliers.follow_ejection(EndpointId{99}, 1)) << "not of this set";
  EXPECT_EQ(outliers.ejected(), 2u);
}

TEST_F(OutlierTest, ATrialOfItsOwnThatFailsAfterTheOthersDoesNotCountTwice) {
  fail(kA, 5);
  clock.advance(30s);
  outliers.begin_trial(kA);
  EXPECT_TRUE(outliers.follow_ejection(kA, 2));
  EXPECT_FALSE(outliers.on_failure(kA));
  EXPECT_EQ(outliers.ejections(kA), 2u);
}

}  // namespace
}  // namespace causeway::upstream
