// Dials while the endpoints of their service change: each sees the old ones or the new ones.
#include <algorithm>
#include <deque>

#include <fmt/format.h>

#include "path_host.h"

namespace causeway::test {
namespace {

constexpr int kEndpoints = 200, kFlips = 400, kMostInAFlip = 10'000;
constexpr std::size_t kStillUnderWay = 30;

class Flips : public PathHost, public testing::WithParamInterface<Balance> {
 protected:
  /// All that is accepted now was meant for these endpoints, or those of the last flips: a process may be interrupted
  /// between the choice and its SYN for longer than a flip takes.
  void expect_only(const Fd& listener, const std::vector<std::string>& now) {
    allowed_.push_back(now);
    if (allowed_.size() > kStillUnderWay) allowed_.pop_front();
    for (int i = 0; i < kMostInAFlip && !nothing_waits(listener); ++i) {
      const std::string came_to = name_of(accept_from(listener).get());
      const bool known = std::any_of(allowed_.begin(), allowed_.end(), [&](const auto& endpoints) {
        return std::find(endpoints.begin(), endpoints.end(), came_to) != endpoints.end();
      });
      EXPECT_TRUE(known) << came_to;
    }
  }

 private:
  std::deque<std::vector<std::string>> allowed_;
};

/// Dials on and on until its input ends or something is wrong; then says how often it was answered.
void dial_on(Channel& channel) {
  channel.say("dials");
  int answered = 0;
  for (std::string wrong; wrong.empty() && channel.waits(); ++answered) {
    wrong = dial_tcp(at(kAlias), answered % 2 == 0 ? AF_INET : AF_INET6);
    if (wrong == std::string("ok ") + kAlias) wrong.clear();
    if (!wrong.empty()) channel.say(fmt::format("dial {}: {}", answered, wrong));
  }
  channel.say(fmt::format("{}", answered));
  channel.hear();
}

TEST_P(Flips, NoDialFails) {
  const Fd listener = listener_on(at("0.0.0.0:3000"));
  ASSERT_EQ(::listen(listener.get(), 4096), 0);
  settings_.balance = GetParam();
  const auto endpoints_from = [](int first) {  // a window that slides over them, of a changing size
    std::vector<std::string> endpoints;
    for (int i = 0; i < 1 + first % 7; ++i)
      endpoints.push_back(fmt::format("127.254.3.{}:3000", 1 + (first + i) % kEndpoints));
    return endpoints;
  };
  serve(endpoints_from(0));
  expect_only(listener, endpoints_from(0));
  std::vector<Child> clients;
  for (int i = 0; i < 2; ++i) clients.emplace_back(host, dial_on);
  for (Child& client : clients) ASSERT_EQ(client.hear(), "dials");
  for (int flip = 1; flip <= kFlips; ++flip) {
    const auto made = service_of(endpoints_from(flip));
    for (std::size_t i = 0; i < made->endpoints.size(); ++i)
      made->endpoints[i].weight = 1 + static_cast<std::uint32_t>(flip % 3 * static_cast<int>(i));
    serve_service(made);
    expect_only(listener, endpoints_from(flip));
  }
  int answered = 0;
  for (Child& client : clients) {
    client.say("enough");
    const std::string says = client.hear();
    EXPECT_EQ(says.find_first_not_of("0123456789"), std::string::npos) << says;
    answered += std::atoi(says.c_str());
  }
  EXPECT_GT(answered, 2 * kFlips / 10) << "too few to have met a flip";
  const cw_counters counters = counted();
  EXPECT_EQ(counters.failed[CW_FAILED_NO_ENDPOINT], 0u);
  EXPECT_EQ(counters.failed[CW_FAILED_REFUSED], 0u);
}

INSTANTIATE_TEST_SUITE_P(By, Flips,
                         testing::Values(Balance::round_robin, Balance::random, Balance::least_active, Balance::maglev),
                         [](const auto& param) {
                           switch (param.param) {
                             case Balance::round_robin:
                               return "RoundRobin";
                             case Balance::random:
                               return "Random";
                             case Balance::least_active:
                               return "LeastActive";
                             default:
                               return "Maglev";
                           }
                         });

}  // namespace
}  // namespace causeway::test
