// Endpoints that keep failing are left out by the programs themselves, and come back by trial.
#include <fmt/format.h>
#include <unistd.h>

#include "path_host.h"

namespace causeway::test {
namespace {

using namespace std::chrono_literals;

constexpr auto kTimeOut = 400ms;

class KernelEjection : public PathHost {
 protected:
  KernelEjection() {
    settings_.ejection_time = kTimeOut;
    settings_.ejection_max_time = 10s;
  }
  /// How many of them fail.
  int failures_of(int dials) {
    return std::stoi(in_cgroup(host, [&] {
      int failed = 0;
      for (int i = 0; i < dials; ++i) failed += dial_tcp(at(kAlias), AF_INET) != fmt::format("ok {}", kAlias);
      return fmt::format("{}", failed);
    }));
  }
  bool out(std::uint32_t number) { return plane->is_ejected(EndpointId(1000 + number)); }
  static int waiting(const Fd& listener) {
    int count = 0;
    for (; !nothing_waits(listener); ++count) accept_from(listener);
    return count;
  }
  /// The time itself is what is tested; dials before its end are not trials.
  static void wait_out(std::chrono::milliseconds time) {
    ::usleep(static_cast<useconds_t>(std::chrono::microseconds(time).count()));
  }
};

TEST_F(KernelEjection, TheFifthFailureLeavesItOut) {
  settings_.ejection_time = 30s;
  const Fd good = listener_on(at("127.254.1.1:3000"));
  serve({"127.254.1.1:3000", "127.254.1.2:3000"});
  EXPECT_EQ(failures_of(8), 4) << "every second";
  EXPECT_FALSE(out(1));
  EXPECT_EQ(failures_of(2), 1);
  EXPECT_TRUE(out(1));
  EXPECT_FALSE(out(0));
  EXPECT_EQ(failures_of(50), 0);
  EXPECT_EQ(waiting(good), 55);
  EXPECT_EQ(counted().ejections, 1u);
  EXPECT_EQ(counted().failed[CW_FAILED_REFUSED], 5u);
}

TEST_F(KernelEjection, UserSpaceHearsOfIt) {
  const Fd good = listener_on(at("127.254.1.1:3000"));
  serve({"127.254.1.1:3000", "127.254.1.2:3000"});
  std::vector<kernel::EjectionEvent> heard;
  const auto hear = [&] { plane->drain_events({{}, [&](const kernel::EjectionEvent& e) { heard.push_back(e); }}); };
  const auto before = std::chrono::steady_clock::now();
  failures_of(10);
  hear();
  ASSERT_EQ(heard.size(), 1u);
  EXPECT_EQ(heard[0].service, ServiceId(10));
  EXPECT_EQ(heard[0].endpoint, EndpointId(1001));
  EXPECT_TRUE(heard[0].ejected);
  EXPECT_FALSE(heard[0].by_resets);
  EXPECT_EQ(heard[0].ejections, 1u);
  EXPECT_GE(heard[0].until, before + kTimeOut);
  EXPECT_LE(heard[0].until, std::chrono::steady_clock::now() + kTimeOut);
  wait_out(kTimeOut + 20ms);
  failures_of(2);
  const Fd second = listener_on(at("127.254.1.2:3000"));
  wait_out(2 * kTimeOut + 20ms);
  failures_of(2);
  hear();
  ASSERT_EQ(heard.size(), 3u);
  EXPECT_TRUE(heard[1].ejected);
  EXPECT_EQ(heard[1].ejections, 2u);
  EXPECT_FALSE(heard[2].ejected);
  EXPECT_EQ(heard[2].endpoint, EndpointId(1001));
}

TEST_F(KernelEjection, ASuccessBeginsTheCountAnew) {
  const Fd good = listener_on(at("127.254.1.1:3000"));
  serve({"127.254.1.1:3000", "127.254.1.2:3000"});
  EXPECT_EQ(failures_of(8), 4);
  {
    const Fd second = listener_on(at("127.254.1.2:3000"));
    EXPECT_EQ(failures_of(2), 0);
    EXPECT_EQ(waiting(second), 1);
  }
  EXPECT_EQ(failures_of(8), 4);
  EXPECT_FALSE(out(1));
}

TEST_F(KernelEjection, ComesBackByTrialAndFailsForTwiceAsLong) {
  const Fd good = listener_on(at("127.254.1.1:3000"));
  serve({"127.254.1.1:3000", "127.254.1.2:3000"});
  EXPECT_EQ(failures_of(10), 5);
  EXPECT_TRUE(out(1));
  wait_out(kTimeOut + 20ms);
  EXPECT_EQ(failures_of(20), 1) << "one trial";
  EXPECT_TRUE(out(1));
  EXPECT_EQ(counted().ejections, 2u);
  wait_out(kTimeOut + 20ms);
  EXPECT_EQ(failures_of(20), 0) << "it is out for twice as long";
  const Fd second = listener_on(at("127.254.1.2:3000"));
  wait_out(kTimeOut);
  EXPECT_EQ(failures_of(20), 0);
  EXPECT_FALSE(out(1));
  EXPECT_EQ(counted().ejection_returns, 1u);
  waiting(good);
  waiting(second);
  EXPECT_EQ(failures_of(20), 0);
  EXPECT_EQ(waiting(second), 10) << "its turns again";
}

TEST_F(KernelEjection, AtMostHalfAreLeftOut) {
  settings_.ejection_time = 30s;
  const Fd good = listener_on(at("127.254.1.1:3000"));
  serve({"127.254.1.1:3000", "127.254.1.2:3000", "127.254.1.3:3000"});
  EXPECT_GT(failures_of(60), 10);
  EXPECT_NE(out(1), out(2)) << "one of three";
  EXPECT_EQ(counted().ejections, 1u);
  serve({"127.254.1.1:3000", "127.254.1.2:3000", "127.254.1.3:3000", "127.254.1.4:3000"});
  const Fd fourth = listener_on(at("127.254.1.4:3000"));
  failures_of(60);
  EXPECT_TRUE(out(1) && out(2)) << "two of four";
  EXPECT_EQ(failures_of(20), 0);
}

TEST_F(KernelEjection, AtMostHalfOfManyAreLeftOut) {
  settings_.ejection_time = 30s;
  const Fd good = listener_on(at("0.0.0.0:3000"));
  ASSERT_EQ(::listen(good.get(), 1024), 0);  // all of a round
  std::vector<std::string> endpoints;
  for (int i = 1; i <= 200; ++i) endpoints.push_back(fmt::format("127.254.2.{}:{}", i, i <= 70 ? 3000 : 3001));
  serve(endpoints);
  const auto all_out = [&] {
    int count = 0;
    for (std::uint32_t i = 0; i < 200; ++i) count += out(i);
    return count;
  };
  for (int round = 0; round < 60 && all_out() < 100; ++round) {
    failures_of(200);
    waiting(good);
  }
  EXPECT_EQ(all_out(), 100);
  for (int round = 0; round < 5; ++round) {
    failures_of(200);
    waiting(good);
    wait_out(30ms);  // beyond the time for which the room is not counted again
  }
  EXPECT_EQ(all_out(), 100);
  EXPECT_EQ(counted().ejections, 100u);
}

TEST_F(KernelEjection, TheOnlyOneStays) {
  serve({"127.254.1.2:3000"});
  EXPECT_EQ(failures_of(20), 20);
  EXPECT_FALSE(out(0));
}

TEST_F(KernelEjection, OffLeavesNoneOut) {
  settings_.ejection = false;
  const Fd good = listener_on(at("127.254.1.1:3000"));
  serve({"127.254.1.1:3000", "127.254.1.2:3000"});
  EXPECT_EQ(failures_of(40), 20);
  EXPECT_FALSE(out(1));
}

TEST_F(KernelEjection, StaysOutOverSnapshotsAndIsForgottenWithTheEndpoint) {
  settings_.ejection_time = 30s;
  const Fd good = listener_on(at("127.254.1.1:3000"));
  serve({"127.254.1.1:3000", "127.254.1.2:3000"});
  failures_of(10);
  ASSERT_TRUE(out(1));
  settings_.balance = Balance::random;
  serve({"127.254.1.1:3000", "127.254.1.2:3000"});
  EXPECT_EQ(failures_of(20), 0);
  serve({"127.254.1.1:3000"});
  EXPECT_FALSE(out(1));
  serve({"127.254.1.1:3000", "127.254.1.2:3000"});
  EXPECT_GT(failures_of(20), 0);
}

TEST_F(KernelEjection, ResetsBeforeAnyAnswerCount) {
  const Fd good = listener_on(at("127.254.1.1:3000"));
  const Fd resetting = listener_on(at("127.254.1.2:3000"));
  serve({"127.254.1.1:3000", "127.254.1.2:3000"});
  Child client(host, [](Channel& channel) {
    while (!channel.hear().empty()) {
      const Fd fd = tcp_socket(AF_INET);
      char byte = 0;
      const int error = connect_to(fd, at(kAlias), AF_INET);
      if (error == 0) {
        channel.say(::recv(fd.get(), &byte, 1, 0) == 1 ? "answered" : "reset");
      } else {
        channel.say(error == ECONNRESET ? "reset" : error_name(error));  // the reset may be there before it returns
      }
    }
  });
  const auto dial = [&] {
    client.say("dial");
    for (;;) {
      if (!nothing_waits(good)) {
        const Fd fd = accept_from(good);
        EXPECT_EQ(::send(fd.get(), "x", 1, 0), 1);
        return client.hear();
      }
      if (!nothing_waits(resetting)) {
        const linger now{1, 0};
        const Fd fd = accept_from(resetting);
        ::setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
        break;
      }
    }
    return client.hear();
  };
  int resets = 0;
  for (int i = 0; i < 10; ++i) resets += dial() == "reset";
  EXPECT_EQ(resets, 5);
  EXPECT_TRUE(out(1));
  for (int i = 0; i < 10; ++i) EXPECT_EQ(dial(), "answered");
  wait_out(kTimeOut + 20ms);
  resets = 0;
  for (int i = 0; i < 10; ++i) resets += dial() == "reset";
  EXPECT_EQ(resets, 1) << "after its trial the first reset leaves it out again";
  EXPECT_TRUE(out(1));
  EXPECT_EQ(counted().ejections, 2u);
}

}  // namespace
}  // namespace causeway::test
