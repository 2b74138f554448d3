// Dials while the endpoints of their service change: each sees the old ones or the new ones.
#include <fmt/format.h>

#include "path_host.h"

namespace causeway::test {
namespace {

constexpr int kEndpoints = 40, kFlips = 400;

class Flips : public PathHost, public testing::WithParamInterface<Balance> {};

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
    for (int i = 0; i < 1 + first % 7; ++i) endpoints.push_back(fmt::format("127.254.3.{}:3000", 1 + (first + i) % kEndpoints));
    return endpoints;
  };
  serve(endpoints_from(0));
  std::vector<Child> clients;
  for (int i = 0; i < 2; ++i) clients.emplace_back(host, dial_on);
  for (Child& client : clients) ASSERT_EQ(client.hear(), "dials");
  for (int flip = 1; flip <= kFlips; ++flip) {
    const auto made = service_of(endpoints_from(flip));
    for (std::size_t i = 0; i < made->endpoints.size(); ++i)
      made->endpoints[i].weight = 1 + static_cast<std::uint32_t>(flip % 3 * static_cast<int>(i));
    serve_service(made);
    while (!nothing_waits(listener)) accept_from(listener);
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
                             case Balance::round_robin: return "RoundRobin";
                             case Balance::random: return "Random";
                             case Balance::least_active: return "LeastActive";
                             default: return "Maglev";
                           }
                         });

}  // namespace
}  // namespace causeway::test
