// Without a living proxy the kernel takes connections straight to a healthy endpoint.
#include <atomic>
#include <set>

#include <poll.h>

#include "host.h"

namespace causeway::test {
namespace {

class Liveness : public Host {
 protected:
  void SetUp() override {
    Host::SetUp();
    start();
    beat_proxy(false);
  }
  void serve(const std::vector<std::string>& endpoints) {
    snapshot.services[ServiceId(10)] = service(10, 1, endpoints);
    publish();
  }
  std::string dial(const std::string& dst, int family) {
    return in_cgroup(host, [&] { return dial_tcp(at(dst), family); });
  }
};

TEST_F(Liveness, GoesStraightToAnEndpoint) {
  const Fd first = listener_on(at("127.254.1.1:3000"));
  serve({"127.254.1.1:3000"});
  EXPECT_EQ(dial("127.255.0.10:80", AF_INET), "ok 127.255.0.10:80");
  EXPECT_EQ(origin_of(accept_from(first)), "ENOENT") << "an endpoint is no proxy";
  EXPECT_EQ(dial("127.255.0.10:80", AF_INET6), "ok 127.255.0.10:80");
  EXPECT_TRUE(accept_from(first));
  EXPECT_EQ(dial("[100::10]:80", AF_INET6), "ok [100::10]:80") << "a v6 address of a service with an IPv4 endpoint";
  EXPECT_TRUE(accept_from(first));
  EXPECT_TRUE(nothing_waits(proxy_v4));
  beat_proxy(true);
  EXPECT_EQ(dial("127.255.0.10:80", AF_INET), "ok 127.255.0.10:80");
  EXPECT_TRUE(accept_from(proxy_v4));
  EXPECT_TRUE(nothing_waits(first));
}

TEST_F(Liveness, AProxyThatNeverBeatIsDead) {
  plane->heartbeat()->proxy_ns = 0;
  const Fd first = listener_on(at("127.254.1.1:3000"));
  serve({"127.254.1.1:3000"});
  EXPECT_EQ(dial("127.255.0.10:80", AF_INET), "ok 127.255.0.10:80");
  EXPECT_TRUE(accept_from(first));
}

TEST_F(Liveness, RefusesWithoutEndpoints) {
  serve({});
  EXPECT_EQ(dial("127.255.0.10:80", AF_INET), "ECONNREFUSED");
  EXPECT_EQ(dial("[100::10]:80", AF_INET6), "ECONNREFUSED");
}

TEST_F(Liveness, ChoosesWhatTheSocketReaches) {
  const Fd v6 = listener_on(at("[::1]:3000"));
  serve({"[::1]:3000"});
  EXPECT_EQ(dial("127.255.0.10:80", AF_INET), "ECONNREFUSED") << "an IPv4 socket reaches no IPv6 endpoint";
  EXPECT_EQ(dial("[100::10]:80", AF_INET6), "ok [100::10]:80");
  EXPECT_TRUE(accept_from(v6));
  const Fd v4 = listener_on(at("127.254.1.1:3000"));
  serve({"[::1]:3000", "127.254.1.1:3000"});
  for (int i = 0; i < 20; ++i) ASSERT_EQ(dial("127.255.0.10:80", AF_INET), "ok 127.255.0.10:80");
  EXPECT_TRUE(nothing_waits(v6));
}

TEST_F(Liveness, SpreadsOverHealthyEndpointsOnly) {
  std::vector<Fd> listeners;
  for (const char* address : {"127.254.1.1:3000", "127.254.1.2:3000", "127.254.1.3:3000", "127.254.1.4:3000"}) {
    listeners.push_back(listener_on(at(address)));
  }
  auto changed = std::make_shared<Service>(
      *service(10, 1, {"127.254.1.1:3000", "127.254.1.2:3000", "127.254.1.3:3000", "127.254.1.4:3000"}));
  changed->endpoints[1].health = Health::unhealthy;
  changed->endpoints[3].health = Health::draining;
  snapshot.services[ServiceId(10)] = changed;
  publish();
  in_cgroup(host, [] {
    for (int i = 0; i < 60; ++i) dial_tcp(at("127.255.0.10:80"), AF_INET);
    return std::string("done");
  });
  // 60 dials miss one of two endpoints with a probability of 2^-59.
  EXPECT_FALSE(nothing_waits(listeners[0]));
  EXPECT_TRUE(nothing_waits(listeners[1]));
  EXPECT_FALSE(nothing_waits(listeners[2]));
  EXPECT_TRUE(nothing_waits(listeners[3]));
}

TEST_F(Liveness, NoDialMeetsHalfASetWhileItChanges) {
  const Fd a = listener_on(at("127.254.1.1:3000"));
  const Fd b = listener_on(at("127.254.1.2:3000"));
  serve({"127.254.1.1:3000"});
  Child child(host, [](Channel& channel) {
    std::set<std::string> said;
    int dials = 0;
    channel.say("dialling");
    for (; dials < 3000; ++dials) {
      const std::string says = dial_tcp(at("127.255.0.10:80"), AF_INET);
      if (says != "ok 127.255.0.10:80") said.insert(says);
    }
    channel.say(said.empty() ? "all answered" : *said.begin());
  });
  ASSERT_EQ(child.hear(), "dialling");
  std::string result;
  for (int i = 0; result.empty(); ++i) {
    serve(i % 2 == 0 ? std::vector<std::string>{"127.254.1.1:3000", "127.254.1.2:3000"}
                     : std::vector<std::string>{"127.254.1.2:3000"});
    while (!nothing_waits(a)) accept_from(a);  // keeps the accept queues from filling up
    while (!nothing_waits(b)) accept_from(b);
    pollfd said{child.fd(), POLLIN, 0};
    if (::poll(&said, 1, 0) > 0) result = child.hear();
  }
  EXPECT_EQ(result, "all answered");
}

}  // namespace
}  // namespace causeway::test
