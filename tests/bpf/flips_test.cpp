// Dials while the endpoints of their service change: each sees the old ones or the new ones.
#include <algorithm>
#include <chrono>
#include <deque>
#include <set>

#include <fmt/format.h>
#include <unistd.h>

#include "path_host.h"

namespace causeway::test {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto kFlipping = 2500ms;
/// A process may be interrupted between the choice and its SYN.
constexpr auto kUnderWay = 1500ms;

class Flips : public PathHost, public testing::WithParamInterface<Balance> {
 protected:
  void serve_from_now_on(const std::shared_ptr<const Service>& made) {
    serve_service(made);
    if (!served_.empty()) served_.back().until = Clock::now();
    Served now;
    for (const Endpoint& endpoint : made->endpoints) now.addresses.insert(endpoint.address.to_string());
    served_.push_back(std::move(now));
  }
  /// All that was accepted by now came to an endpoint that was served lately.
  void expect_served(const Fd& listener) {
    while (served_.front().until < Clock::now() - kUnderWay) served_.pop_front();
    for (int i = 0; i < kMostAtOnce && !nothing_waits(listener); ++i) {
      const std::string came_to = name_of(accept_from(listener).get());
      EXPECT_TRUE(std::any_of(served_.rbegin(), served_.rend(), [&](const Served& each) {
        return each.addresses.contains(came_to);
      })) << came_to;
    }
  }

 private:
  static constexpr int kMostAtOnce = 10'000;
  struct Served {
    std::set<std::string> addresses;
    Clock::time_point until = Clock::time_point::max();
  };
  std::deque<Served> served_;
};

/// Of each flip others, and not always as many.
std::vector<std::string> endpoints_of(int flip) {
  std::vector<std::string> endpoints;
  for (int i = 1; i <= 1 + flip % 7; ++i)
    endpoints.push_back(fmt::format("127.{}.{}.{}:3000", 100 + flip / 250 % 100, 1 + flip % 250, i));
  return endpoints;
}

/// Dials on and on until its input ends or something is wrong; then says how often it was answered.
void dial_on(Channel& channel) {
  channel.say("dials");
  int answered = 0;
  for (std::string wrong; wrong.empty() && channel.waits(); ++answered) {
    wrong = dial_tcp(at(kAlias), answered % 2 == 0 ? AF_INET : AF_INET6);
    if (wrong == std::string("ok ") + kAlias) wrong.clear();
    ::usleep(300);  // or the queue of the listener fills while the test is interrupted
    if (!wrong.empty()) channel.say(fmt::format("dial {}: {}", answered, wrong));
  }
  channel.say(fmt::format("{}", answered));
  channel.hear();
}

TEST_P(Flips, NoDialFails) {
  const Fd listener = listener_on(at("0.0.0.0:3000"));
  ASSERT_EQ(::listen(listener.get(), 4096), 0);
  settings_.balance = GetParam();
  serve_from_now_on(service_of(endpoints_of(0)));
  std::vector<Child> clients;
  for (int i = 0; i < 2; ++i) clients.emplace_back(host, dial_on);
  for (Child& client : clients) ASSERT_EQ(client.hear(), "dials");
  int flip = 0;
  for (const auto end = Clock::now() + kFlipping; Clock::now() < end; expect_served(listener)) {
    const auto made = service_of(endpoints_of(++flip));
    for (std::size_t i = 0; i < made->endpoints.size(); ++i)
      made->endpoints[i].weight = 1 + static_cast<std::uint32_t>(flip % 3 * static_cast<int>(i));
    serve_from_now_on(made);
  }
  int answered = 0;
  for (Child& client : clients) {
    client.say("enough");
    const std::string says = client.hear();
    EXPECT_EQ(says.find_first_not_of("0123456789"), std::string::npos) << says;
    answered += std::atoi(says.c_str());
  }
  EXPECT_GT(flip, 20);
  EXPECT_GT(answered, 100) << "too few to have met a flip";
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
