// Services on the kernel path: connect() goes to an endpoint while the proxy lives.
#include <fmt/format.h>

#include "host.h"

namespace causeway::test {
namespace {

class KernelPath : public Host {
 protected:
  void SetUp() override {
    Host::SetUp();
    start();
  }
  void serve(const std::vector<std::string>& endpoints, ServicePath path = ServicePath::kernel,
             Balance balance = Balance::round_robin) {
    auto made = std::make_shared<Service>(*service(10, 1, endpoints));
    made->settings.path = path;
    made->settings.balance = balance;
    snapshot.services[ServiceId(10)] = made;
    publish();
  }
  /// Serves `count` IPv4 endpoints, and gives their listeners.
  std::vector<Fd> serve_many(int count, Balance balance) {
    std::vector<std::string> addresses;
    std::vector<Fd> listeners;
    for (int i = 1; i <= count; ++i) {
      addresses.push_back(fmt::format("127.254.1.{}:3000", i));
      listeners.push_back(listener_on(at(addresses.back())));
    }
    serve(addresses, ServicePath::kernel, balance);
    return listeners;
  }
  void dial_often(int times, int family = AF_INET) {
    const std::string said = in_cgroup(host, [&] {
      for (int i = 0; i < times; ++i) {
        const std::string says = dial_tcp(at("127.255.0.10:80"), family);
        if (says != "ok 127.255.0.10:80") return says;
      }
      return std::string("all answered");
    });
    EXPECT_EQ(said, "all answered");
  }
  static std::vector<int> taken(const std::vector<Fd>& listeners) {
    std::vector<int> counts;
    for (const Fd& listener : listeners) {
      int count = 0;
      for (; !nothing_waits(listener); ++count) accept_from(listener);
      counts.push_back(count);
    }
    return counts;
  }
  std::string dial(const std::string& dst, int family = AF_INET) {
    return in_cgroup(host, [&] { return dial_tcp(at(dst), family); });
  }
};

TEST_F(KernelPath, DialsGoToTheEndpointAndShowTheAlias) {
  const Fd endpoint = listener_on(at("127.254.1.1:3000"));
  serve({"127.254.1.1:3000"});
  struct Dial {
    const char* dst;
    int family;
    const char* says;
  };
  for (const Dial& c :
       {Dial{"127.255.0.10:80", AF_INET, "ok 127.255.0.10:80"}, Dial{"127.255.0.10:80", AF_INET6, "ok 127.255.0.10:80"},
        Dial{"[100::10]:80", AF_INET6, "ok [100::10]:80"}}) {
    SCOPED_TRACE(c.says);
    EXPECT_EQ(dial(c.dst, c.family), c.says);
    EXPECT_EQ(origin_of(accept_from(endpoint)), "ENOENT") << "an endpoint is no proxy";
  }
  EXPECT_TRUE(nothing_waits(proxy_v4));
  EXPECT_TRUE(nothing_waits(proxy_v6));
}

TEST_F(KernelPath, AnotherServiceStaysWithTheProxy) {
  serve({});
  EXPECT_EQ(dial("127.255.0.20:80"), "ok 127.255.0.20:80");
  EXPECT_TRUE(accept_from(proxy_v4));
}

TEST_F(KernelPath, WithoutEndpointsADialIsRefused) {
  serve({});
  EXPECT_EQ(dial("127.255.0.10:80"), "ECONNREFUSED");
  EXPECT_EQ(dial("[100::10]:80", AF_INET6), "ECONNREFUSED");
  serve({"[::1]:3000"});
  EXPECT_EQ(dial("127.255.0.10:80"), "ECONNREFUSED") << "an IPv4 socket reaches no IPv6 endpoint";
  EXPECT_TRUE(nothing_waits(proxy_v4));
}

TEST_F(KernelPath, TheNextDialTakesThePathSet) {
  const Fd endpoint = listener_on(at("127.254.1.1:3000"));
  for (int round = 0; round < 3; ++round) {
    serve({"127.254.1.1:3000"}, ServicePath::kernel);
    EXPECT_EQ(dial("127.255.0.10:80"), "ok 127.255.0.10:80");
    EXPECT_TRUE(accept_from(endpoint));
    EXPECT_TRUE(nothing_waits(proxy_v4));
    serve({"127.254.1.1:3000"}, round == 0 ? ServicePath::automatic : ServicePath::proxy);
    EXPECT_EQ(dial("127.255.0.10:80"), "ok 127.255.0.10:80");
    EXPECT_TRUE(accept_from(proxy_v4));
    EXPECT_TRUE(nothing_waits(endpoint));
  }
}

TEST_F(KernelPath, ADeadProxyChangesNothing) {
  const Fd endpoint = listener_on(at("127.254.1.1:3000"));
  serve({"127.254.1.1:3000"});
  beat_proxy(false);
  EXPECT_EQ(dial("127.255.0.10:80"), "ok 127.255.0.10:80");
  EXPECT_TRUE(accept_from(endpoint));
}

TEST_F(KernelPath, ARestartKeepsThePath) {
  const Fd endpoint = listener_on(at("127.254.1.1:3000"));
  serve({"127.254.1.1:3000"});
  plane.reset();
  auto again = kernel::Plane::start(options());
  ASSERT_TRUE(again) << again.error().message();
  plane = std::move(*again);
  beat_proxy(true);
  EXPECT_EQ(dial("127.255.0.10:80"), "ok 127.255.0.10:80");
  EXPECT_TRUE(accept_from(endpoint));
  serve({"127.254.1.1:3000"}, ServicePath::proxy);
  EXPECT_EQ(dial("127.255.0.10:80"), "ok 127.255.0.10:80");
  EXPECT_TRUE(accept_from(proxy_v4)) << "what the earlier agent left is known, and changed";
}

TEST_F(KernelPath, RoundRobinGivesEachItsTurn) {
  const auto listeners = serve_many(5, Balance::round_robin);
  for (const int family : {AF_INET, AF_INET6}) {
    dial_often(15, family);
    EXPECT_EQ(taken(listeners), std::vector<int>(5, 3));
  }
}

TEST_F(KernelPath, RoundRobinIsExactOverProcesses) {
  constexpr int kProcesses = 4, kDials = 60;
  const auto listeners = serve_many(6, Balance::round_robin);
  std::vector<Child> children;
  for (int i = 0; i < kProcesses; ++i) {
    children.emplace_back(host, [](Channel& channel) {
      channel.hear();
      for (int dials = 0; dials < kDials; ++dials) dial_tcp(at("127.255.0.10:80"), AF_INET);
      channel.say("done");
    });
  }
  for (Child& child : children) child.say("go");
  for (Child& child : children) EXPECT_EQ(child.hear(), "done");
  EXPECT_EQ(taken(listeners), std::vector<int>(6, kProcesses * kDials / 6));
}

TEST_F(KernelPath, TurnsGoOnAfterASnapshotAndARestart) {
  const auto listeners = serve_many(4, Balance::round_robin);
  dial_often(1);
  serve({"127.254.1.1:3000", "127.254.1.2:3000", "127.254.1.3:3000", "127.254.1.5:3000"});
  serve({"127.254.1.1:3000", "127.254.1.2:3000", "127.254.1.3:3000", "127.254.1.4:3000"});
  dial_often(1);
  plane.reset();
  auto again = kernel::Plane::start(options());
  ASSERT_TRUE(again) << again.error().message();
  plane = std::move(*again);
  publish();
  dial_often(2);
  EXPECT_EQ(taken(listeners), std::vector<int>(4, 1));
}

TEST_F(KernelPath, SocketsThatReachIpv4OnlyTakeTheirOwnTurns) {
  const Fd a = listener_on(at("127.254.1.1:3000"));
  const Fd b = listener_on(at("127.254.1.2:3000"));
  const Fd c = listener_on(at("[::1]:3000"));
  serve({"127.254.1.1:3000", "127.254.1.2:3000", "[::1]:3000"});
  for (int i = 0; i < 6; ++i) {
    EXPECT_EQ(dial("127.255.0.10:80", AF_INET), "ok 127.255.0.10:80");
    EXPECT_EQ(dial("[100::10]:80", AF_INET6), "ok [100::10]:80");
  }
  int counts[3] = {0, 0, 0};
  const Fd* const listeners[] = {&a, &b, &c};
  for (int i = 0; i < 3; ++i) {
    for (; !nothing_waits(*listeners[i]); ++counts[i]) accept_from(*listeners[i]);
  }
  EXPECT_EQ(counts[0], 3 + 2);
  EXPECT_EQ(counts[1], 3 + 2);
  EXPECT_EQ(counts[2], 2);
}

TEST_F(KernelPath, RandomReachesEveryEndpoint) {
  const auto listeners = serve_many(3, Balance::random);
  dial_often(90);
  const std::vector<int> counts = taken(listeners);
  // 90 dials give one of three fewer than 8 or more than 60 with a probability below 10^-6.
  for (const int count : counts) {
    EXPECT_GT(count, 7);
    EXPECT_LT(count, 61);
  }
  EXPECT_EQ(counts[0] + counts[1] + counts[2], 90);
}

TEST_F(KernelPath, LeastActiveTakesTheOneWithFewerConnections) {
  const auto listeners = serve_many(2, Balance::least_active);
  Child child(host, [](Channel& channel) {
    std::vector<Fd> held;
    for (std::string said = channel.hear(); !said.empty(); said = channel.hear()) {
      if (said == "end") held.clear();
      held.push_back(tcp_socket(AF_INET));
      channel.say(error_name(connect_to(held.back(), at("127.255.0.10:80"), AF_INET)));
    }
  });
  const auto dial_and_hold = [&] {
    child.say("dial");
    ASSERT_EQ(child.hear(), "ok");
  };
  for (int round = 1; round <= 10; ++round) {
    dial_and_hold();
    dial_and_hold();
    EXPECT_EQ(taken(listeners), (std::vector<int>{1, 1})) << "two at a time, one each: " << round;
  }
  dial_and_hold();
  const auto odd = taken(listeners);
  dial_and_hold();
  EXPECT_EQ(taken(listeners), (std::vector<int>{odd[1], odd[0]}));
}

}  // namespace
}  // namespace causeway::test
