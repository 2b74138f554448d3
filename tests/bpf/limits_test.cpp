// Limits on a service's and an endpoint's connections, and that whatever ends a dial gives its place back.
#include <fstream>
#include <functional>

#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <unistd.h>

#include "path_host.h"

namespace causeway::test {
namespace {

using namespace std::chrono_literals;

constexpr const char* kNowhere = "203.0.113.1:3000";  // no route in this namespace

class KernelLimits : public PathHost {
 protected:
  KernelLimits() { settings_.ejection = false; }
  std::int64_t of_service() { return plane->active(ServiceId(10)); }
  std::int64_t of_endpoint(std::uint32_t number = 0) { return plane->active(EndpointId(1000 + number)); }
  /// FINs and RSTs are on their way for a moment.
  void expect_active(std::int64_t wanted) {
    const auto deadline = std::chrono::steady_clock::now() + 5s;
    while ((of_service() != wanted || of_endpoint() != wanted) && std::chrono::steady_clock::now() < deadline)
      ::usleep(1000);
    EXPECT_EQ(of_service(), wanted);
    EXPECT_EQ(of_endpoint(), wanted);
  }
  /// Runs `body` as a host's process that ends with it; "ok" is wanted.
  void as_client(const std::function<std::string()>& body) { EXPECT_EQ(in_cgroup(host, body), "ok"); }
};

/// Dials that many times, says how many were taken and holds them until it is told otherwise.
void dial_and_hold(Channel& channel, int dials) {
  std::vector<Fd> held;
  std::string others;
  for (int i = 0; i < dials; ++i) {
    Fd fd = tcp_socket(i % 2 == 0 ? AF_INET : AF_INET6);
    const int status = connect_to(fd, at(kAlias), i % 2 == 0 ? AF_INET : AF_INET6);
    if (status == 0) {
      held.push_back(std::move(fd));
    } else if (status != ECONNREFUSED) {
      others = " " + error_name(status);
    }
  }
  channel.say(fmt::format("{}{}", held.size(), others));
  channel.hear();
}

TEST_F(KernelLimits, OfAServiceHoldsOverProcessors) {
  const Fd listener = listener_on(at("127.254.1.1:3000"));
  settings_.max_connections = 37;
  serve({"127.254.1.1:3000"});
  constexpr int kClients = 4, kDials = 60;
  for (int round = 1; round <= 5; ++round) {
    int taken = 0;
    std::vector<Child> clients;
    for (int i = 0; i < kClients; ++i)
      clients.emplace_back(host, [](Channel& channel) { dial_and_hold(channel, kDials); });
    for (Child& client : clients) taken += std::stoi(client.hear());
    EXPECT_EQ(taken, 37);
    expect_active(37);
    const auto refused = static_cast<std::uint64_t>(round * (kClients * kDials - 37));
    EXPECT_EQ(counted().failed[CW_FAILED_LIMIT], refused);
    EXPECT_EQ(counted().overflows[CW_OVERFLOW_CONNECTIONS], refused);
    clients.clear();
    expect_active(0);
    while (!nothing_waits(listener)) accept_from(listener);
  }
}

TEST_F(KernelLimits, OfAnEndpointPassesOnToThoseWithRoom) {
  settings_.max_endpoint_connections = 2;
  for (const Balance balance : {Balance::round_robin, Balance::random, Balance::least_active}) {
    settings_.balance = balance;
    const std::uint64_t before = counted().overflows[CW_OVERFLOW_ENDPOINT_CONNECTIONS];
    const Fd one = listener_on(at("127.254.1.1:3000")), two = listener_on(at("127.254.1.2:3000"));
    const Fd three = listener_on(at("127.254.1.3:3000"));
    serve({"127.254.1.1:3000", "127.254.1.2:3000", "127.254.1.3:3000"});
    {
      Child client(host, [](Channel& channel) { dial_and_hold(channel, 10); });
      EXPECT_EQ(client.hear(), "6");
      for (const std::uint32_t endpoint : {0u, 1u, 2u}) EXPECT_EQ(of_endpoint(endpoint), 2);
      EXPECT_EQ(of_service(), 6) << "a dial that found no endpoint holds no place of the service";
      EXPECT_EQ(counted().overflows[CW_OVERFLOW_ENDPOINT_CONNECTIONS] - before, 4u);
    }
    expect_active(0);
  }
  EXPECT_EQ(counted().failed[CW_FAILED_LIMIT], 12u);
  EXPECT_EQ(counted().failed[CW_FAILED_REFUSED], 0u);
}

TEST_F(KernelLimits, TheLastOneWithRoomIsFoundAmongMany) {
  settings_.max_endpoint_connections = 1;
  const Fd listener = listener_on(at("0.0.0.0:3000"));
  ASSERT_EQ(::listen(listener.get(), 300), 0);
  std::vector<std::string> endpoints;
  for (int i = 1; i <= 200; ++i) endpoints.push_back(fmt::format("127.254.2.{}:3000", i));
  serve(endpoints);
  Child client(host, [](Channel& channel) { dial_and_hold(channel, 203); });
  EXPECT_EQ(client.hear(), "200");
  EXPECT_EQ(counted().failed[CW_FAILED_LIMIT], 3u);
}

TEST_F(KernelLimits, RatherOneLeftOutThanNone) {
  settings_.max_endpoint_connections = 3;
  settings_.ejection = true;
  settings_.ejection_failures = 1;
  const Fd good = listener_on(at("127.254.1.1:3000"));
  serve({"127.254.1.1:3000", "127.254.1.2:3000"});
  in_cgroup(host, [] { return dial_tcp(at(kAlias), AF_INET) + dial_tcp(at(kAlias), AF_INET); });
  ASSERT_TRUE(plane->is_ejected(EndpointId(1001)));
  expect_active(0);
  const Fd back = listener_on(at("127.254.1.2:3000"));
  Child client(host, [](Channel& channel) { dial_and_hold(channel, 8); });
  EXPECT_EQ(client.hear(), "6");
  EXPECT_EQ(of_endpoint(1), 3);
}

TEST_F(KernelLimits, ALimitThatIsLoweredActsOnNewOnes) {
  const Fd listener = listener_on(at("127.254.1.1:3000"));
  serve({"127.254.1.1:3000"});
  Child first(host, [](Channel& channel) { dial_and_hold(channel, 5); });
  EXPECT_EQ(first.hear(), "5");
  settings_.max_connections = 3;
  serve({"127.254.1.1:3000"});
  Child second(host, [](Channel& channel) { dial_and_hold(channel, 2); });
  EXPECT_EQ(second.hear(), "0");
  settings_.max_connections = 6;
  serve({"127.254.1.1:3000"});
  Child third(host, [](Channel& channel) { dial_and_hold(channel, 2); });
  EXPECT_EQ(third.hear(), "1");
}

TEST_F(KernelLimits, RefusedDialsHoldNothing) {
  settings_.max_connections = 2;
  serve({"127.254.1.1:3000"});
  as_client([] {
    for (int i = 0; i < 20; ++i) {
      if (dial_tcp(at(kAlias), AF_INET) != "ECONNREFUSED") return "not refused";
    }
    return "ok";
  });
  expect_active(0);
  EXPECT_EQ(counted().failed[CW_FAILED_REFUSED], 20u);
  EXPECT_EQ(counted().failed[CW_FAILED_LIMIT], 0u);
}

TEST_F(KernelLimits, WithoutARoute) {
  settings_.max_connections = 1;
  serve({kNowhere});
  as_client([] {
    for (int i = 0; i < 10; ++i) {
      const std::string says = dial_tcp(at(kAlias), i % 2 == 0 ? AF_INET : AF_INET6);
      if (says != "ENETUNREACH") return says;
    }
    return std::string("ok");
  });
  expect_active(0);
  EXPECT_EQ(counted().failed[CW_FAILED_UNREACHABLE], 10u);
  as_client([] {  // the same socket again and again
    const Fd fd = tcp_socket(AF_INET);
    for (int i = 0; i < 10; ++i) {
      if (const int status = connect_to(fd, at(kAlias), AF_INET); status != ENETUNREACH) return error_name(status);
    }
    return std::string("ok");
  });
  expect_active(0);
  EXPECT_EQ(counted().failed[CW_FAILED_UNREACHABLE], 20u);
  EXPECT_EQ(counted().failed[CW_FAILED_LIMIT], 0u);
}

TEST_F(KernelLimits, WithoutAFreePort) {
  const Fd listener = listener_on(at("127.254.1.1:3000"));
  serve({"127.254.1.1:3000"});
  as_client([] {
    std::ofstream("/proc/sys/net/ipv4/ip_local_port_range") << "40000 40003";  // of the test's network namespace
    std::vector<Fd> held;
    std::string last;
    for (int i = 0; i < 7; ++i) {
      held.push_back(tcp_socket(AF_INET));
      last = error_name(connect_to(held.back(), at(kAlias), AF_INET));
    }
    std::ofstream("/proc/sys/net/ipv4/ip_local_port_range") << "32768 60999";
    return last == "EADDRNOTAVAIL" ? "ok" : last;
  });
  expect_active(0);
  EXPECT_GT(counted().failed[CW_FAILED_UNREACHABLE], 0u);
  EXPECT_EQ(counted().opened + counted().failed[CW_FAILED_UNREACHABLE], 7u);
}

TEST_F(KernelLimits, UnansweredAndGivenUp) {
  const Fd listener = server_socket(AF_INET);
  ASSERT_EQ(bind_to(listener, at("127.254.1.8:3000"), AF_INET), 0);
  ASSERT_EQ(::listen(listener.get(), 0), 0);
  settings_.max_connections = 4;
  serve({"127.254.1.8:3000"});
  Child client(host, [](Channel& channel) {
    std::vector<Fd> all;
    for (int i = 0; i < 6; ++i) {
      all.push_back(tcp_socket(AF_INET));
      ::fcntl(all.back().get(), F_SETFL, O_NONBLOCK);
      channel.say(error_name(connect_to(all.back(), at(kAlias), AF_INET)));
    }
    channel.hear();
    all.clear();
    channel.say("closed");
    channel.hear();
  });
  for (int i = 0; i < 4; ++i) EXPECT_EQ(client.hear(), "EINPROGRESS");
  for (int i = 0; i < 2; ++i) EXPECT_EQ(client.hear(), "ECONNREFUSED");
  expect_active(4);
  client.say("close");
  EXPECT_EQ(client.hear(), "closed");
  expect_active(0);
}

TEST_F(KernelLimits, ASocketThatIsDisconnectedAndDialsAgain) {
  const Fd listener = listener_on(at("127.254.1.1:3000"));
  settings_.max_connections = 1;
  serve({"127.254.1.1:3000"});
  as_client([this] {
    const Fd fd = tcp_socket(AF_INET);
    for (int i = 0; i < 10; ++i) {
      if (const int status = connect_to(fd, at(kAlias), AF_INET)) return "dial: " + error_name(status);
      sockaddr none{};
      none.sa_family = AF_UNSPEC;
      if (::connect(fd.get(), &none, sizeof none) != 0) return "disconnect: " + error_name(errno);
    }
    return std::string("ok");
  });
  expect_active(0);
  EXPECT_EQ(counted().failed[CW_FAILED_LIMIT], 0u);
  EXPECT_EQ(counted().opened, counted().closed);
}

TEST_F(KernelLimits, KilledWithOpenOnesAndDialsUnderWay) {
  const Fd listener = server_socket(AF_INET);
  ASSERT_EQ(bind_to(listener, at("127.254.1.7:3000"), AF_INET), 0);
  ASSERT_EQ(::listen(listener.get(), 5), 0);
  serve({"127.254.1.7:3000"});
  Child client(host, [](Channel& channel) {
    std::vector<Fd> all;
    for (int i = 0; i < 12; ++i) {
      all.push_back(tcp_socket(AF_INET));
      ::fcntl(all.back().get(), F_SETFL, O_NONBLOCK);
      connect_to(all.back(), at(kAlias), AF_INET);
    }
    channel.say("open");
    channel.hear();
  });
  ASSERT_EQ(client.hear(), "open");
  expect_active(12);
  client.kill(SIGKILL);
  expect_active(0);
}

TEST_F(KernelLimits, ClosedByAChildTooAndWithAReset) {
  const Fd listener = listener_on(at("127.254.1.1:3000"));
  serve({"127.254.1.1:3000"});
  Child client(host, [this](Channel& channel) {
    Fd kept = tcp_socket(AF_INET), reset = tcp_socket(AF_INET);
    connect_to(kept, at(kAlias), AF_INET);
    connect_to(reset, at(kAlias), AF_INET);
    in_cgroup(host, [] { return std::string("ends with copies of both"); });
    const linger now{1, 0};
    ::setsockopt(reset.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
    channel.say("open");
    channel.hear();
    reset.reset();
    channel.say("reset");
    channel.hear();
  });
  ASSERT_EQ(client.hear(), "open");
  expect_active(2);
  client.say("go on");
  ASSERT_EQ(client.hear(), "reset");
  expect_active(1);
  client.kill(SIGKILL);
  expect_active(0);
}

TEST_F(KernelLimits, AFastOpenWithDataOrWithout) {
  const Fd listener = listener_on(at("127.254.1.1:3000"));
  serve({"127.254.1.1:3000"});
  as_client([] {
    for (const bool sends : {false, true}) {
      const Fd fd = tcp_socket(AF_INET);
      const int on = 1;
      if (::setsockopt(fd.get(), IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &on, sizeof on) != 0) return error_name(errno);
      if (const int status = connect_to(fd, at(kAlias), AF_INET)) return error_name(status);
      if (sends && ::send(fd.get(), "x", 1, 0) != 1) return error_name(errno);
    }
    return std::string("ok");
  });
  expect_active(0);
  EXPECT_EQ(counted().failed[CW_FAILED_UNREACHABLE], 0u) << "it did not fail";
}

TEST_F(KernelLimits, AnMptcpSocketIsOne) {
  const Fd listener = server_socket(AF_INET, IPPROTO_MPTCP);
  ASSERT_EQ(bind_to(listener, at("127.254.1.6:3000"), AF_INET), 0);
  ASSERT_EQ(::listen(listener.get(), 16), 0);
  settings_.max_connections = 2;
  serve({"127.254.1.6:3000"});
  Child client(host, [](Channel& channel) {
    std::vector<Fd> held;
    std::string says;
    for (int i = 0; i < 3; ++i) {
      held.push_back(tcp_socket(AF_INET, IPPROTO_MPTCP));
      says += error_name(connect_to(held.back(), at(kAlias), AF_INET)) + " ";
    }
    channel.say(says);
    channel.hear();
  });
  EXPECT_EQ(client.hear(), "ok ok ECONNREFUSED ");
  expect_active(2);
  client.kill(SIGKILL);
  while (!nothing_waits(listener)) accept_from(listener);
  expect_active(0);
  serve({kNowhere});
  as_client([] {
    const Fd fd = tcp_socket(AF_INET, IPPROTO_MPTCP);
    const std::string says = error_name(connect_to(fd, at(kAlias), AF_INET));
    return says == "ENETUNREACH" ? "ok" : says;
  });
  expect_active(0);
}

TEST_F(KernelLimits, AnMptcpSocketThatDialsAgain) {
  settings_.max_connections = 1;
  serve({"127.254.1.6:3000"});
  Child client(host, [](Channel& channel) {
    const Fd fd = tcp_socket(AF_INET, IPPROTO_MPTCP);
    for (;;) {
      channel.say(error_name(connect_to(fd, at(kAlias), AF_INET)));
      if (channel.hear().empty()) return;
    }
  });
  EXPECT_EQ(client.hear(), "ECONNREFUSED");
  const Fd listener = server_socket(AF_INET, IPPROTO_MPTCP);
  ASSERT_EQ(bind_to(listener, at("127.254.1.6:3000"), AF_INET), 0);
  ASSERT_EQ(::listen(listener.get(), 16), 0);
  client.say("again");
  EXPECT_EQ(client.hear(), "ok");
  expect_active(1);
  client.say("again");
  EXPECT_EQ(client.hear(), "EISCONN");
  expect_active(1);
  client.kill(SIGKILL);
  while (!nothing_waits(listener)) accept_from(listener);
  expect_active(0);
  EXPECT_EQ(counted().failed[CW_FAILED_REFUSED], 1u);
  EXPECT_EQ(counted().failed[CW_FAILED_LIMIT], 0u);
}

TEST_F(KernelLimits, OverARestartOfTheAgent) {
  const Fd listener = listener_on(at("127.254.1.1:3000"));
  settings_.max_connections = 3;
  serve({"127.254.1.1:3000"});
  Child client(host, [](Channel& channel) { dial_and_hold(channel, 3); });
  ASSERT_EQ(client.hear(), "3");
  plane.reset();  // as by a crash: all stays attached
  EXPECT_EQ(in_cgroup(host, [] { return dial_tcp(at(kAlias), AF_INET); }), "ECONNREFUSED");
  restart();
  publish();
  expect_active(3);
  EXPECT_EQ(in_cgroup(host, [] { return dial_tcp(at(kAlias), AF_INET); }), "ECONNREFUSED");
  client.kill(SIGKILL);
  expect_active(0);
}

}  // namespace
}  // namespace causeway::test
