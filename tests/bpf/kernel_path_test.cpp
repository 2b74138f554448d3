// Services on the kernel path: connect() goes to an endpoint while the proxy lives.
#include <set>

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
    serve_as(endpoints, [&](Service& service) {
      service.settings.path = path;
      service.settings.balance = balance;
    });
  }
  /// On the kernel path, unless `change` says otherwise.
  void serve_as(const std::vector<std::string>& endpoints, const std::function<void(Service&)>& change) {
    auto made = std::make_shared<Service>(*service(10, 1, endpoints));
    made->settings.path = ServicePath::kernel;
    change(*made);
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
  static int taken_of(const Fd& listener) {
    int count = 0;
    for (; !nothing_waits(listener); ++count) accept_from(listener);
    return count;
  }
  static std::vector<int> taken(const std::vector<Fd>& listeners) {
    std::vector<int> counts;
    for (const Fd& listener : listeners) counts.push_back(taken_of(listener));
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

TEST_F(KernelPath, ASocketOfIpv6AloneTakesAnEndpointThatItReaches) {
  const Fd v4 = listener_on(at("127.254.1.1:3000"));
  const Fd v6 = listener_on(at("[::1]:3000"));
  serve({"127.254.1.1:3000", "[::1]:3000"});
  const std::string said = in_cgroup(host, [] {
    for (int i = 0; i < 6; ++i) {
      const Fd socket = tcp_socket(AF_INET6);
      const int on = 1;
      ::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
      const int error = connect_to(socket, at("[100::10]:80"), AF_INET6);
      if (error != 0) return error_name(error);
    }
    return std::string("all answered");
  });
  EXPECT_EQ(said, "all answered");
  EXPECT_TRUE(nothing_waits(v4));
  serve({"127.254.1.1:3000"});
  EXPECT_EQ(in_cgroup(host,
                      [] {
                        const Fd socket = tcp_socket(AF_INET6);
                        const int on = 1;
                        ::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
                        return error_name(connect_to(socket, at("[100::10]:80"), AF_INET6));
                      }),
            "ECONNREFUSED");
}

/// From a socket that is bound to the address.
std::string dial_from(const std::string& source) {
  const Fd socket = tcp_socket(AF_INET);
  bind_to(socket, at(source), AF_INET);
  return error_name(connect_to(socket, at("127.255.0.10:80"), AF_INET));
}

TEST_F(KernelPath, WeightsShareOutTheConnections) {
  const auto listeners = serve_many(3, Balance::round_robin);
  for (const Balance balance : {Balance::round_robin, Balance::random, Balance::maglev}) {
    SCOPED_TRACE(static_cast<int>(balance));
    serve_as({"127.254.1.1:3000", "127.254.1.2:3000", "127.254.1.3:3000"}, [&](Service& service) {
      service.settings.balance = balance;
      service.endpoints[0].weight = 3;
      service.endpoints[2].weight = 0;
    });
    // Each from an address of its own, which is maglev's client.
    EXPECT_EQ(in_cgroup(host,
                        [] {
                          for (int i = 0; i < 80; ++i) {
                            const std::string says = dial_from(fmt::format("127.1.2.{}:0", i + 1));
                            if (says != "ok") return says;
                          }
                          return std::string("ok");
                        }),
              "ok");
    const auto counts = taken(listeners);
    EXPECT_EQ(counts[0] + counts[1], 80);
    EXPECT_EQ(counts[2], 0);
    EXPECT_NEAR(counts[0], 60, balance == Balance::round_robin ? 2 : 20);  // of chance 5 standard deviations of 3.9
  }
}

TEST_F(KernelPath, LeastActiveHeedsWeights) {
  const auto listeners = serve_many(2, Balance::least_active);
  serve_as({"127.254.1.1:3000", "127.254.1.2:3000"}, [](Service& service) {
    service.settings.balance = Balance::least_active;
    service.endpoints[0].weight = 3;
  });
  EXPECT_EQ(in_cgroup(host,
                      [] {
                        std::vector<Fd> held;
                        for (int i = 0; i < 40; ++i) {
                          held.push_back(tcp_socket(AF_INET));
                          if (connect_to(held.back(), at("127.255.0.10:80"), AF_INET) != 0) return std::string("no");
                        }
                        return std::string("ok");
                      }),
            "ok");
  const auto counts = taken(listeners);
  EXPECT_NEAR(counts[0], 30, 1);
  EXPECT_NEAR(counts[1], 10, 1);
}

/// A rack that died: its endpoints were registered one after another.
TEST_F(KernelPath, ManyThatAreLeftOutSideBySideGetNoDial) {
  constexpr int kDead = 40, kAlive = 41;
  std::vector<std::string> addresses;
  std::vector<Fd> listeners;
  for (int i = 0; i < kDead + kAlive; ++i) {
    addresses.push_back(fmt::format("127.254.3.{}:3000", i + 1));
    if (i >= kDead) listeners.push_back(listener_on(at(addresses.back())));
  }
  serve_as(addresses, [](Service& service) { service.settings.ejection_failures = 1; });
  const auto refused = [&](int dials) {
    int count = 0;
    for (int i = 0; i < dials; ++i) count += dial("127.255.0.10:80") == "ECONNREFUSED";
    return count;
  };
  EXPECT_EQ(refused(kDead + kAlive), kDead) << "each once";
  EXPECT_EQ(refused(400), 0);
}

TEST_F(KernelPath, OneThatIsLeftAmongManyGetsAllDials) {
  constexpr int kDead = 60;
  std::vector<std::string> addresses;
  for (int i = 0; i <= kDead; ++i) addresses.push_back(fmt::format("127.254.3.{}:3000", i + 1));
  const Fd alive = listener_on(at(addresses.back()));
  serve_as(addresses, [](Service& service) {
    service.settings.ejection_failures = 1;
    service.settings.ejection_percent = 100;
  });
  const auto refused = [&](int dials) {
    int count = 0;
    for (int i = 0; i < dials; ++i) count += dial("127.255.0.10:80") == "ECONNREFUSED";
    return count;
  };
  EXPECT_EQ(refused(kDead + 1), kDead) << "each once";
  EXPECT_EQ(refused(100), 0) << "16 drawn at random are all out three times in four";
}

/// Which of them got all connections; -1: more than one did.
int only_one(const std::vector<int>& counts) {
  int one = -1;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] == 0) continue;
    if (one >= 0) return -1;
    one = static_cast<int>(i);
  }
  return one;
}

TEST_F(KernelPath, MaglevTakesAClientAddressToOneEndpoint) {
  const auto listeners = serve_many(4, Balance::maglev);
  std::set<int> ones;
  for (int client = 1; client <= 24; ++client) {
    const std::string source = fmt::format("127.1.1.{}:0", client);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(in_cgroup(host, [&] { return dial_from(source); }), "ok");
    const int one = only_one(taken(listeners));
    ASSERT_GE(one, 0) << source;
    ones.insert(one);
  }
  EXPECT_GT(ones.size(), 1u);
}

TEST_F(KernelPath, MaglevTakesATaskToOneEndpointWhateverItIsBoundTo) {
  const auto listeners = serve_many(4, Balance::maglev);
  std::vector<std::string> addresses;
  for (int i = 1; i <= 4; ++i) addresses.push_back(fmt::format("127.254.1.{}:3000", i));
  serve_as(addresses, [](Service& service) {
    service.settings.balance = Balance::maglev;
    service.settings.affinity = Affinity::task;
  });
  std::set<int> ones;
  for (int i = 1; i <= 16; ++i) {
    const std::string cgroup = task(fmt::format("t{}", i), NamespaceNumber(1), fmt::format("127.254.2.{}", i), {});
    publish();
    for (int client = 1; client <= 4; ++client) {
      EXPECT_EQ(in_cgroup(cgroup, [&] { return dial_from(fmt::format("127.1.1.{}:0", client)); }), "ok");
    }
    const int one = only_one(taken(listeners));
    ASSERT_GE(one, 0) << cgroup;
    ones.insert(one);
  }
  EXPECT_GT(ones.size(), 1u);
}

TEST_F(KernelPath, MaglevKeepsItsClientsWhereAnotherEndpointGoes) {
  const auto listeners = serve_many(4, Balance::maglev);
  const auto endpoint_of = [&](int client) {
    EXPECT_EQ(in_cgroup(host, [&] { return dial_from(fmt::format("127.1.1.{}:0", client)); }), "ok");
    return only_one(taken(listeners));
  };
  std::vector<int> before;
  for (int client = 1; client <= 20; ++client) before.push_back(endpoint_of(client));
  serve({"127.254.1.1:3000", "127.254.1.2:3000", "127.254.1.4:3000"}, ServicePath::kernel, Balance::maglev);
  int moved = 0;
  for (int client = 1; client <= 20; ++client) {
    const int now = endpoint_of(client);
    EXPECT_NE(now, 2) << "it is gone";
    if (before[static_cast<std::size_t>(client - 1)] != 2) moved += now != before[static_cast<std::size_t>(client - 1)];
  }
  EXPECT_LE(moved, 6) << "modulo would move 13 of 15";
}

TEST_F(KernelPath, ARestartKeepsTheMaglevTable) {
  const auto listeners = serve_many(4, Balance::maglev);
  dial_often(3);
  const int one = only_one(taken(listeners));
  ASSERT_GE(one, 0);
  plane.reset();
  auto again = kernel::Plane::start(options());
  ASSERT_TRUE(again) << again.error().message();
  plane = std::move(*again);
  dial_often(3);
  EXPECT_EQ(only_one(taken(listeners)), one);
  publish();
  dial_often(3);
  EXPECT_EQ(only_one(taken(listeners)), one);
}

/// 192.0.2.0/24 is no address of this namespace: an endpoint there is another host's.
TEST_F(KernelPath, EndpointsOfThisHostComeFirst) {
  const Fd here = listener_on(at("127.254.1.1:3000"));
  const std::vector<std::string> both{"192.0.2.1:3000", "127.254.1.1:3000"};
  serve_as(both, [](Service& service) { service.settings.locality = Locality::prefer_host; });
  dial_often(10);
  EXPECT_EQ(taken_of(here), 10);
  serve_as(both, [](Service&) {});
  EXPECT_NE(dial("127.255.0.10:80"), dial("127.255.0.10:80")) << "one of two in turn is not there";
}

TEST_F(KernelPath, TooFewFitEndpointsOfThisHostAreLeftFirstNoMore) {
  const auto listeners = serve_many(4, Balance::round_robin);
  const Fd v6 = listener_on(at("[::1]:3000"));
  const std::vector<std::string> all{"127.254.1.1:3000", "127.254.1.2:3000", "127.254.1.3:3000", "127.254.1.4:3000",
                                     "192.0.2.1:3000"};
  const auto with_unhealthy = [&](std::size_t unhealthy) {
    serve_as(all, [&](Service& service) {
      service.settings.locality = Locality::prefer_host;
      for (std::size_t i = 0; i < unhealthy; ++i) service.endpoints[i].health = Health::unhealthy;
    });
  };
  with_unhealthy(1);  // three of four are 75 %
  dial_often(9);
  EXPECT_EQ(taken(listeners), (std::vector<int>{0, 3, 3, 3}));
  with_unhealthy(2);  // half
  int elsewhere = 0;
  for (int i = 0; i < 9; ++i) elsewhere += dial("127.255.0.10:80") != "ok 127.255.0.10:80";
  EXPECT_EQ(elsewhere, 3);
}

TEST_F(KernelPath, OnesThatAreLeftOutAreNotFit) {
  std::vector<Fd> listeners;
  for (int i = 2; i <= 4; ++i) listeners.push_back(listener_on(at(fmt::format("127.254.1.{}:3000", i))));
  // Nothing listens on the first. Two of three are 67 %, too few.
  serve_as({"127.254.1.1:3000", "127.254.1.2:3000", "127.254.1.3:3000", "192.0.2.1:3000"}, [](Service& service) {
    service.settings.locality = Locality::prefer_host;
    service.settings.ejection_failures = 1;
  });
  int refused = 0, elsewhere = 0;
  for (int i = 0; i < 12; ++i) {
    const std::string says = dial("127.255.0.10:80");
    refused += says == "ECONNREFUSED";
    elsewhere += says != "ECONNREFUSED" && says != "ok 127.255.0.10:80";
  }
  EXPECT_EQ(refused, 1);
  EXPECT_GT(elsewhere, 0);
}

}  // namespace
}  // namespace causeway::test
