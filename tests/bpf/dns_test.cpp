// DNS is taken to the agent, whatever socket asks whichever resolver, and the asker does not notice.
#include <cerrno>
#include <cstring>

#include <fmt/format.h>
#include <poll.h>

#include "host.h"

namespace causeway::test {
namespace {

/// Sends `text` and says "PEER:ANSWER", PEER as recvfrom() tells.
std::string ask(const Fd& fd, const std::string& text, const SocketAddress* to, int family) {
  socklen_t length = 0;
  const sockaddr_storage storage = to != nullptr ? sockaddr_for(*to, family, length) : sockaddr_storage{};
  const auto* address = to != nullptr ? reinterpret_cast<const sockaddr*>(&storage) : nullptr;
  if (::sendto(fd.get(), text.data(), text.size(), 0, address, length) < 0) return error_name(errno);
  char answer[64] = {};
  sockaddr_storage from{};
  socklen_t from_length = sizeof from;
  const ssize_t size = ::recvfrom(fd.get(), answer, sizeof answer, 0, reinterpret_cast<sockaddr*>(&from), &from_length);
  if (size < 0) return error_name(errno);
  return SocketAddress::from(from).value_or(SocketAddress{}).to_string() + " " +
         std::string(answer, static_cast<std::size_t>(size));
}

std::string ask_unconnected(const std::string& resolver, int family) {
  const SocketAddress to = at(resolver);
  return ask(udp_socket(family), "?", &to, family);
}

std::string ask_connected(const std::string& resolver, int family) {
  const Fd fd = udp_socket(family);
  if (const int error = connect_to(fd, at(resolver), family); error != 0) return error_name(error);
  return peer_of(fd.get()) + ", " + ask(fd, "?", nullptr, family);
}

class Dns : public Host {
 protected:
  void SetUp() override {
    Host::SetUp();
    one_ = task("one", NamespaceNumber(1), "127.254.0.1", {});
    start();
    for (const char* address : {kDnsV4, kDnsV6}) {
      udp_.push_back(udp_socket(family_of(at(address))));
      ASSERT_EQ(bind_to(udp_.back(), at(address), family_of(at(address))), 0);
    }
  }

  /// Answers one query with what the plane knows of who sent it.
  void answer_one() {
    pollfd ready[2] = {{udp_[0].get(), POLLIN, 0}, {udp_[1].get(), POLLIN, 0}};
    ASSERT_GT(::poll(ready, 2, 5000), 0) << "no query came";
    const int fd = ready[0].revents != 0 ? ready[0].fd : ready[1].fd;
    char query[64];
    sockaddr_storage from{};
    socklen_t length = sizeof from;
    ASSERT_GT(::recvfrom(fd, query, sizeof query, 0, reinterpret_cast<sockaddr*>(&from), &length), 0);
    const auto peer = plane->udp_peer(*SocketAddress::from(from));
    const std::string text = peer ? fmt::format("resolver={} namespace={} client={}", peer->resolver.to_string(),
                                                peer->namespace_number.value, peer->client.value)
                                  : "unknown";
    ASSERT_GT(::sendto(fd, text.data(), text.size(), 0, reinterpret_cast<sockaddr*>(&from), length), 0);
  }

  /// What a process of the cgroup says that asks once.
  std::string asked(const std::string& cgroup, const std::function<std::string()>& body) {
    Child child(cgroup, [&](Channel& channel) { channel.say(body()); });
    answer_one();
    return child.hear();
  }

  std::string one_;
  std::vector<Fd> udp_;
};

TEST_F(Dns, CapturesEveryKindOfUdpSocket) {
  struct SocketCase {
    const char* resolver;
    int family;
  };
  for (const SocketCase& c : {SocketCase{"10.1.2.3:53", AF_INET}, SocketCase{"10.1.2.3:53", AF_INET6},
                              SocketCase{"127.0.0.53:53", AF_INET}, SocketCase{"[2001:db8::1]:53", AF_INET6}}) {
    SCOPED_TRACE(fmt::format("{} family {}", c.resolver, c.family));
    const std::string host_answer = fmt::format("{} resolver={} namespace=0 client=0", c.resolver, c.resolver);
    EXPECT_EQ(asked(host, [&] { return ask_unconnected(c.resolver, c.family); }), host_answer);
    EXPECT_EQ(asked(host, [&] { return ask_connected(c.resolver, c.family); }),
              fmt::format("{}, {}", c.resolver, host_answer));
    EXPECT_EQ(asked(one_, [&] { return ask_unconnected(c.resolver, c.family); }),
              fmt::format("{} resolver={} namespace=1 client=7", c.resolver, c.resolver));
  }
}

TEST_F(Dns, FollowsASocketFromResolverToResolver) {
  const char* const resolvers[] = {"10.0.0.1:53", "10.0.0.2:53", "10.0.0.1:53"};
  Child child(host, [&](Channel& channel) {
    const Fd fd = udp_socket(AF_INET);
    for (const char* resolver : resolvers) {
      const SocketAddress to = at(resolver);
      channel.say(ask(fd, "?", &to, AF_INET));
    }
  });
  for (const char* resolver : resolvers) {
    answer_one();
    EXPECT_EQ(child.hear(), fmt::format("{} resolver={} namespace=0 client=0", resolver, resolver));
  }
}

TEST_F(Dns, ManyQueriesOnOneConnectedSocket) {
  constexpr int kQueries = 50;
  Child child(host, [&](Channel& channel) {
    const Fd fd = udp_socket(AF_INET);
    connect_to(fd, at("10.0.0.1:53"), AF_INET);
    for (int i = 0; i < kQueries; ++i) channel.say(ask(fd, std::to_string(i), nullptr, AF_INET));
  });
  for (int i = 0; i < kQueries; ++i) {
    answer_one();
    ASSERT_EQ(child.hear(), "10.0.0.1:53 resolver=10.0.0.1:53 namespace=0 client=0");
  }
}

TEST_F(Dns, AReusedSocketIsItsNewSelf) {
  const Fd elsewhere = udp_socket(AF_INET);
  ASSERT_EQ(bind_to(elsewhere, at("127.0.0.1:0"), AF_INET), 0);
  const SocketAddress other = at(name_of(elsewhere.get()));
  const std::string says = in_cgroup(host, [&] {
    const Fd fd = udp_socket(AF_INET);
    connect_to(fd, at("10.0.0.1:53"), AF_INET);
    const std::string first = peer_of(fd.get());
    connect_to(fd, other, AF_INET);
    return first + ", " + peer_of(fd.get());
  });
  EXPECT_EQ(says, "10.0.0.1:53, " + other.to_string());
}

TEST_F(Dns, WhoAsksTheAgentItselfIsKnownToo) {
  // Otherwise a task would see every namespace by asking the agent's address instead of its resolver's.
  EXPECT_EQ(asked(one_, [] { return ask_unconnected(kDnsV4, AF_INET); }),
            std::string(kDnsV4) + " resolver=[::]:0 namespace=1 client=7");
  EXPECT_EQ(asked(one_, [] { return ask_connected(kDnsV6, AF_INET6); }),
            fmt::format("{}, {} resolver=[::]:0 namespace=1 client=7", kDnsV6, kDnsV6));
}

TEST_F(Dns, APortThatChangesHandsIsItsNewOwners) {
  const auto from_fixed_port = [](const std::string& resolver) {
    const Fd fd = udp_socket(AF_INET);
    bind_to(fd, at("127.0.0.1:5999"), AF_INET);
    const SocketAddress to = at(resolver);
    return ask(fd, "?", &to, AF_INET);
  };
  EXPECT_EQ(asked(one_, [&] { return from_fixed_port("10.0.0.1:53"); }),
            "10.0.0.1:53 resolver=10.0.0.1:53 namespace=1 client=7");
  EXPECT_EQ(asked(host, [&] { return from_fixed_port("10.0.0.1:53"); }),
            "10.0.0.1:53 resolver=10.0.0.1:53 namespace=0 client=0");
  EXPECT_EQ(asked(host, [&] { return from_fixed_port(kDnsV4); }),
            std::string(kDnsV4) + " resolver=[::]:0 namespace=0 client=0");
}

TEST_F(Dns, TakesTcpToo) {
  const Fd v4 = listener_on(at(kDnsV4));
  const Fd v6 = listener_on(at(kDnsV6));
  EXPECT_EQ(in_cgroup(one_, [] { return dial_tcp(at("10.1.2.3:53"), AF_INET); }), "ok 10.1.2.3:53");
  EXPECT_EQ(origin_of(accept_from(v4)), "dst=10.1.2.3:53 family=2 service=0 namespace=1 client=7");
  EXPECT_EQ(in_cgroup(host, [] { return dial_tcp(at("[2001:db8::1]:53"), AF_INET6); }), "ok [2001:db8::1]:53");
  EXPECT_EQ(origin_of(accept_from(v6)), "dst=[2001:db8::1]:53 family=10 service=0 namespace=0 client=0");
  EXPECT_EQ(in_cgroup(one_, [] { return dial_tcp(at(kDnsV4), AF_INET); }), std::string("ok ") + kDnsV4);
  EXPECT_EQ(origin_of(accept_from(v4)), "dst=[::]:0 family=2 service=0 namespace=1 client=7");
}

TEST_F(Dns, LeavesOtherPortsAndTheAgentAlone) {
  const Fd server = udp_socket(AF_INET);
  ASSERT_EQ(bind_to(server, at("127.0.0.7:53"), AF_INET), 0);
  const auto send_to_it = [] {
    const Fd fd = udp_socket(AF_INET);
    socklen_t length = 0;
    const sockaddr_storage to = sockaddr_for(at("127.0.0.7:53"), AF_INET, length);
    return ::sendto(fd.get(), "x", 1, 0, reinterpret_cast<const sockaddr*>(&to), length) == 1 ? std::string("sent")
                                                                                              : error_name(errno);
  };
  EXPECT_EQ(in_cgroup(agent, send_to_it), "sent");
  char byte = 0;
  EXPECT_EQ(::recv(server.get(), &byte, 1, 0), 1) << "the agent's own query must reach the real resolver";
  const Fd other = udp_socket(AF_INET);
  ASSERT_EQ(bind_to(other, at("127.0.0.7:5353"), AF_INET), 0);
  EXPECT_EQ(in_cgroup(host,
                      [] {
                        const Fd fd = udp_socket(AF_INET);
                        connect_to(fd, at("127.0.0.7:5353"), AF_INET);
                        return ::send(fd.get(), "x", 1, 0) == 1 ? peer_of(fd.get()) : error_name(errno);
                      }),
            "127.0.0.7:5353");
  EXPECT_EQ(::recv(other.get(), &byte, 1, 0), 1);
}

TEST_F(Dns, AStaleDnsServerIsLeftOut) {
  beat_dns(false);
  const Fd server = udp_socket(AF_INET);
  ASSERT_EQ(bind_to(server, at("127.0.0.7:53"), AF_INET), 0);
  const Fd tcp = listener_on(at("127.0.0.7:53"));
  EXPECT_EQ(in_cgroup(host,
                      [] {
                        const Fd fd = udp_socket(AF_INET);
                        connect_to(fd, at("127.0.0.7:53"), AF_INET);
                        return ::send(fd.get(), "x", 1, 0) == 1 ? peer_of(fd.get()) : error_name(errno);
                      }),
            "127.0.0.7:53");
  char byte = 0;
  EXPECT_EQ(::recv(server.get(), &byte, 1, 0), 1);
  EXPECT_EQ(in_cgroup(host, [] { return dial_tcp(at("127.0.0.7:53"), AF_INET); }), "ok 127.0.0.7:53");
  EXPECT_EQ(origin_of(accept_from(tcp)), "ENOENT");
}

}  // namespace
}  // namespace causeway::test
