// Connections to endpoints that left are ended after the drain time, and no others.
#include <algorithm>

#include <bpf/bpf.h>
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include "causeway/abi/config.h"
#include "causeway/abi/connection.h"
#include "path_host.h"

namespace causeway::test {
namespace {

using namespace std::chrono_literals;

constexpr const char* kAlias6 = "[100::10]:80";
constexpr const char* kOne = "127.254.1.1:3000";
constexpr const char* kTwo = "127.254.1.2:3000";

enum class By { program, netlink };

class KernelRemoval : public PathHost, public testing::WithParamInterface<By> {
 protected:
  KernelRemoval() {
    by_netlink = GetParam() == By::netlink;
    settings_.drain_timeout = 0ms;
  }
  void serve(const std::vector<std::string>& endpoints, const std::vector<std::string>& unhealthy = {}) {
    const auto made = service_of(endpoints);
    for (Endpoint& each : made->endpoints) {
      const std::string address = each.address.to_string();
      each.id = EndpointId(address == kOne ? 1000u : address == kTwo ? 1001u : each.id.value + 10);
      for (const std::string& name : unhealthy) {
        if (address == name) each.health = Health::unhealthy;
      }
    }
    std::sort(made->endpoints.begin(), made->endpoints.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
    serve_service(made);
  }
  /// What the agent's timer does; how many connections ended.
  std::size_t end_due() {
    const auto ended = plane->end_connections();
    EXPECT_TRUE(ended) << ended.error().message();
    std::size_t count = 0;
    for (const auto& each : *ended) count += each.count;
    return count;
  }
};

/// Dials what it hears and keeps all; "state" tells of each how it is: "open" or the error that waits.
void keep_connections(Channel& channel) {
  std::vector<Fd> held;
  for (std::string heard = channel.hear(); !heard.empty(); heard = channel.hear()) {
    std::string answer;
    if (heard == "state") {
      for (const Fd& fd : held) {
        pollfd ready{fd.get(), POLLIN, 0};
        int error = 0;
        socklen_t size = sizeof error;
        char byte = 0;
        std::string is = "open";
        if (::poll(&ready, 1, 0) == 1) {
          ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
          is = error != 0 ? error_name(error) : ::recv(fd.get(), &byte, 1, MSG_DONTWAIT) == 0 ? "end" : "data";
        }
        answer += (answer.empty() ? "" : " ") + is;
      }
    } else {
      const bool mptcp = heard.starts_with("mptcp ");
      const bool v6 = heard.starts_with("v6 ");
      const SocketAddress to = at(heard.substr(heard.find(' ') + 1));
      const int family = v6 ? AF_INET6 : family_of(to);
      held.push_back(tcp_socket(family, mptcp ? IPPROTO_MPTCP : 0));
      answer = error_name(connect_to(held.back(), to, family));
    }
    channel.say(answer);
  }
}

class Client {
 public:
  explicit Client(const std::string& cgroup) : child_(cgroup, keep_connections) {}
  std::string ask(const std::string& what) {
    child_.say(what);
    return child_.hear();
  }
  void expect_soon(const std::string& states) {
    std::string now;
    const auto deadline = std::chrono::steady_clock::now() + 5s;
    while ((now = ask("state")) != states && std::chrono::steady_clock::now() < deadline) ::usleep(1000);
    EXPECT_EQ(now, states);
  }

 private:
  Child child_;
};

/// Of a protocol and a backlog that listener_on() does not have.
Fd listener_with(int protocol, int backlog) {
  Fd fd = server_socket(AF_INET, protocol);
  if (bind_to(fd, at(kOne), AF_INET) != 0 || ::listen(fd.get(), backlog) != 0) return Fd();
  return fd;
}

std::string peer_sees(const Fd& fd) {
  pollfd ready{fd.get(), POLLIN, 0};
  char byte = 0;
  if (::poll(&ready, 1, 5000) != 1) return "open";
  return ::recv(fd.get(), &byte, 1, 0) < 0 ? error_name(errno) : "end";
}

TEST_P(KernelRemoval, OursToThatEndpointAreEndedAndNoOthers) {
  const Fd one = listener_on(at(kOne)), two = listener_on(at(kTwo));
  serve({kOne, kTwo});
  Client client(host), foreign(agent);
  for (const char* dial : {"to 127.255.0.10:80", "to 127.255.0.10:80", "v6 127.255.0.10:80", "v6 127.255.0.10:80"})
    ASSERT_EQ(client.ask(dial), "ok");
  ASSERT_EQ(client.ask(std::string("direct ") + kOne), "ok");
  ASSERT_EQ(foreign.ask(std::string("direct ") + kOne), "ok");
  const Fd first = accept_from(one);
  serve({kTwo});
  EXPECT_EQ(end_due(), 2u);
  client.expect_soon("ECONNABORTED open ECONNABORTED open open");
  foreign.expect_soon("open");
  EXPECT_EQ(peer_sees(first), "ECONNRESET");
  EXPECT_EQ(plane->active(EndpointId(1000)), 0);
  EXPECT_EQ(plane->active(EndpointId(1001)), 2);
  EXPECT_EQ(plane->active(ServiceId(10)), 2);
  const cw_counters counters = counted();
  EXPECT_EQ(counters.ended, 2u);
  EXPECT_EQ(counters.closed, 2u);
  for (const std::uint64_t failed : counters.failed) EXPECT_EQ(failed, 0u);
  EXPECT_EQ(end_due(), 0u);
}

TEST_P(KernelRemoval, OfMoreThanTheMapByCookieHolds) {
  const Fd map(bpf_obj_get(fmt::format("{}/maps-{}/connections_by_cookie", pin_root, CW_ABI_VERSION).c_str()));
  ASSERT_TRUE(map) << error_name(errno);
  const auto others = [&](bool there) {  // of no socket's cookie
    const cw_connection none{};
    int status = 0;
    for (std::uint64_t i = 0; i < CW_CONNECTIONS_BY_COOKIE; ++i) {
      const std::uint64_t cookie = (std::uint64_t{1} << 40) + i;
      status =
          there ? bpf_map_update_elem(map.get(), &cookie, &none, BPF_ANY) : bpf_map_delete_elem(map.get(), &cookie);
    }
    EXPECT_NE(status, 0) << "the first connection has one of the places";
  };
  const Fd one = listener_on(at(kOne)), two = listener_on(at(kTwo));
  serve({kOne, kTwo});
  Client client(host);
  ASSERT_EQ(client.ask(std::string("to ") + kAlias), "ok");
  others(true);
  for (int i = 0; i < 3; ++i) ASSERT_EQ(client.ask(std::string("to ") + kAlias), "ok");
  EXPECT_EQ(plane->active(EndpointId(1000)), 2);
  serve({kTwo});
  EXPECT_EQ(end_due(), 2u);
  others(false);
  EXPECT_EQ(plane->active(EndpointId(1000)), 0);
  EXPECT_EQ(plane->active(EndpointId(1001)), 2);
  serve({});
  EXPECT_EQ(end_due(), 2u);
  client.expect_soon("ECONNABORTED ECONNABORTED ECONNABORTED ECONNABORTED");
  EXPECT_EQ(plane->active(ServiceId(10)), 0);
  EXPECT_EQ(counted().opened, 4u);
  EXPECT_EQ(counted().closed, 4u);
}

TEST_P(KernelRemoval, OverIPv6) {
  const Fd one = listener_on(at("[::1]:3000"));
  serve({"[::1]:3000"});
  Client client(host);
  ASSERT_EQ(client.ask(std::string("to ") + kAlias6), "ok");
  ASSERT_EQ(client.ask("direct [::1]:3000"), "ok");
  serve({});
  EXPECT_EQ(end_due(), 1u);
  client.expect_soon("ECONNABORTED open");
}

TEST_P(KernelRemoval, AfterTheDrainTimeAlone) {
  settings_.drain_timeout = 2s;
  const Fd one = listener_on(at(kOne));
  serve({kOne});
  EXPECT_FALSE(plane->next_end());
  Client client(host);
  ASSERT_EQ(client.ask(std::string("to ") + kAlias), "ok");
  const auto left = std::chrono::steady_clock::now();
  serve({});
  const auto due = plane->next_end();
  ASSERT_TRUE(due);
  EXPECT_GE(*due - left, 2s);
  EXPECT_EQ(end_due(), 0u);
  client.expect_soon("open");
  while (std::chrono::steady_clock::now() < *due) ::usleep(1000);
  EXPECT_EQ(end_due(), 1u);
  client.expect_soon("ECONNABORTED");
  ::usleep(1'100'000);
  EXPECT_EQ(end_due(), 0u);
  EXPECT_FALSE(plane->next_end()) << "it is done with";
}

TEST_P(KernelRemoval, OneThatComesBackInTimeKeepsItsConnections) {
  settings_.drain_timeout = 100ms;
  const Fd one = listener_on(at(kOne)), two = listener_on(at(kTwo));
  serve({kOne, kTwo});
  Client client(host);
  for (int i = 0; i < 2; ++i) ASSERT_EQ(client.ask(std::string("to ") + kAlias), "ok");
  serve({kOne, kTwo}, {kOne});
  ASSERT_TRUE(plane->next_end());
  serve({kOne, kTwo});
  EXPECT_FALSE(plane->next_end());
  serve({kTwo});
  ASSERT_TRUE(plane->next_end());
  serve({kOne, kTwo});
  EXPECT_FALSE(plane->next_end());
  ::usleep(150'000);
  EXPECT_EQ(end_due(), 0u);
  client.expect_soon("open open");
  serve({kOne, kTwo}, {kOne});
  ::usleep(150'000);
  EXPECT_EQ(end_due(), 1u) << "unhealthy for longer";
  EXPECT_EQ(plane->active(EndpointId(1000)) + plane->active(EndpointId(1001)), 1);
}

TEST_P(KernelRemoval, OneOfWeightZeroKeepsItsConnections) {
  const Fd one = listener_on(at(kOne)), two = listener_on(at(kTwo));
  serve({kOne, kTwo});
  Client client(host);
  for (int i = 0; i < 2; ++i) ASSERT_EQ(client.ask(std::string("to ") + kAlias), "ok");
  auto weighed = std::make_shared<Service>(*snapshot.services.at(ServiceId(10)));
  weighed->endpoints[0].weight = 0;
  snapshot.services[ServiceId(10)] = weighed;
  publish();
  EXPECT_FALSE(plane->next_end());
  client.expect_soon("open open");
  ASSERT_EQ(client.ask(std::string("to ") + kAlias), "ok");
  EXPECT_EQ(plane->active(EndpointId(1000)), 1);
  EXPECT_EQ(plane->active(EndpointId(1001)), 2);
  serve({kTwo});
  EXPECT_EQ(end_due(), 1u);
}

TEST_P(KernelRemoval, WithItsServiceAndManyAtOnce) {
  const Fd one = listener_on(at("0.0.0.0:3000"));
  ASSERT_EQ(::listen(one.get(), 500), 0);
  std::vector<std::string> endpoints;
  for (int i = 1; i <= 200; ++i) endpoints.push_back(fmt::format("127.254.2.{}:3000", i));
  serve(endpoints);
  Client client(host);
  for (int i = 0; i < 200; ++i) ASSERT_EQ(client.ask(std::string("to ") + kAlias), "ok");
  snapshot.services.erase(ServiceId(10));
  publish();
  EXPECT_EQ(plane->active(ServiceId(10)), 200);
  EXPECT_EQ(end_due(), 200u);
  EXPECT_EQ(plane->active(ServiceId(10)), 0);
  serve(endpoints);
  ASSERT_EQ(client.ask(std::string("to ") + kAlias), "ok");
  EXPECT_EQ(plane->active(ServiceId(10)), 1);
}

TEST_P(KernelRemoval, TheNextAgentFinishesIt) {
  settings_.drain_timeout = 200ms;
  const Fd one = listener_on(at(kOne)), two = listener_on(at(kTwo));
  serve({kOne, kTwo});
  Client client(host);
  for (int i = 0; i < 4; ++i) ASSERT_EQ(client.ask(std::string("to ") + kAlias), "ok");
  serve({kTwo});
  restart();
  publish();
  EXPECT_EQ(plane->active(EndpointId(1000)), 2);
  ASSERT_TRUE(plane->next_end());
  ::usleep(250'000);
  EXPECT_EQ(end_due(), 2u);
  EXPECT_EQ(counted().ended, 2u);
  restart();
  serve({});  // left while no agent ran
  ::usleep(250'000);
  EXPECT_EQ(end_due(), 2u);
  client.expect_soon("ECONNABORTED ECONNABORTED ECONNABORTED ECONNABORTED");
}

TEST_P(KernelRemoval, ADialUnderWayIsEndedToo) {
  const Fd full = listener_with(0, 0);
  ASSERT_TRUE(full);
  serve({kOne});
  Child client(host, [](Channel& channel) {
    const Fd first = tcp_socket(AF_INET), second = tcp_socket(AF_INET);
    connect_to(first, at(kAlias), AF_INET);
    channel.say("dials");
    channel.say(error_name(connect_to(second, at(kAlias), AF_INET)));
    channel.hear();
  });
  ASSERT_EQ(client.hear(), "dials");
  const auto deadline = std::chrono::steady_clock::now() + 5s;
  while (plane->active(EndpointId(1000)) != 2 && std::chrono::steady_clock::now() < deadline) ::usleep(1000);
  serve({});
  EXPECT_EQ(end_due(), 2u);
  EXPECT_EQ(client.hear(), "ECONNABORTED");
  EXPECT_EQ(counted().ended, 2u);
  for (const std::uint64_t failed : counted().failed) EXPECT_EQ(failed, 0u);
}

TEST_P(KernelRemoval, OfMptcp) {
  for (const bool both : {false, true}) {
    const Fd one = listener_with(both ? IPPROTO_MPTCP : 0, 16);
    ASSERT_TRUE(one);
    serve({kOne});
    Client client(host);
    ASSERT_EQ(client.ask(std::string("mptcp ") + kAlias), "ok");
    const Fd accepted = accept_from(one);
    serve({});
    EXPECT_EQ(end_due(), 1u);
    EXPECT_EQ(plane->active(EndpointId(1000)), 0);
    if (both) continue;  // the only subflow is gone; the sockets end after net.mptcp.close_timeout
    client.expect_soon("ECONNABORTED");
    EXPECT_EQ(peer_sees(accepted), "ECONNRESET");
  }
}

INSTANTIATE_TEST_SUITE_P(By, KernelRemoval, testing::Values(By::program, By::netlink),
                         [](const auto& param) { return param.param == By::program ? "Program" : "Netlink"; });

}  // namespace
}  // namespace causeway::test
