// What the agent's processes learn about a connection, and who else does not.
#include <cerrno>
#include <cstring>

#include <grp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "host.h"

namespace causeway::test {
namespace {

constexpr int kSoOriginalDst = 80;  // linux/netfilter_ipv4.h, which does not go with netinet/in.h

class Handover : public Host {
 protected:
  void SetUp() override {
    Host::SetUp();
    start();
  }
  /// One connection from a host process to `dst`, accepted.
  Fd dialled(const std::string& dst, int family) {
    EXPECT_EQ(in_cgroup(host, [&] { return dial_tcp(at(dst), family); }), "ok " + dst);
    return accept_from(at(dst).ip.is_v4() ? proxy_v4 : proxy_v6);
  }
};

std::string original_dst(const Fd& fd, int level, socklen_t room) {
  sockaddr_storage storage{};
  socklen_t length = room;
  if (::getsockopt(fd.get(), level, kSoOriginalDst, &storage, &length) != 0) return error_name(errno);
  const auto address = SocketAddress::from(storage);
  return (address ? address->to_string() : "(no address)") + " " + std::to_string(length);
}

TEST_F(Handover, AnswersAStockProxy) {
  const Fd v4 = dialled("127.255.0.10:80", AF_INET);
  EXPECT_EQ(original_dst(v4, SOL_IP, sizeof(sockaddr_in)), "127.255.0.10:80 16");
  EXPECT_EQ(original_dst(v4, SOL_IP, sizeof(sockaddr_storage)), "127.255.0.10:80 16");
  const Fd v6 = dialled("[100::10]:80", AF_INET6);
  EXPECT_EQ(original_dst(v6, SOL_IPV6, sizeof(sockaddr_in6)), "[100::10]:80 28");
  EXPECT_NE(original_dst(v6, SOL_IP, sizeof(sockaddr_in)), "127.255.0.10:80 16");
  EXPECT_EQ(original_dst(v4, SOL_IP, 4).find("127."), std::string::npos) << "no room for the answer";
}

TEST_F(Handover, AnswersAnUnprivilegedProcess) {
  const Fd accepted = dialled("127.255.0.10:80", AF_INET);
  const std::string says = in_cgroup(agent, [&] {
    if (::setresgid(65534, 65534, 65534) != 0 || ::setresuid(65534, 65534, 65534) != 0)
      return std::string("still root");
    return origin_of(accepted);
  });
  EXPECT_EQ(says, "dst=127.255.0.10:80 family=2 service=10 namespace=0 client=0");
}

TEST_F(Handover, SaysSoWhereNothingWasIntercepted) {
  const std::string dialled_itself = in_cgroup(host, [] { return dial_tcp(at(kProxyV4), AF_INET); });
  EXPECT_EQ(dialled_itself, std::string("ok ") + kProxyV4);
  EXPECT_EQ(origin_of(accept_from(proxy_v4)), "ENOENT");
}

TEST_F(Handover, GivesNothingToSocketsOfOthers) {
  const std::string says = in_cgroup(host, [] {
    const Fd fd = tcp_socket(AF_INET);
    connect_to(fd, at("127.255.0.10:80"), AF_INET);
    return origin_of(fd);
  });
  EXPECT_TRUE(says == "EOPNOTSUPP" || says == "ENOPROTOOPT") << says;
}

TEST_F(Handover, TellsConnectionsApart) {
  // As many as fit the accept queue wait at once, every other to the other service.
  constexpr int kConnections = 100;
  Child child(host, [](Channel& channel) {
    std::vector<Fd> open;
    std::string ports;
    for (int i = 0; i < kConnections; ++i) {
      open.push_back(tcp_socket(AF_INET));
      if (connect_to(open.back(), at(i % 2 == 0 ? "127.255.0.10:80" : "127.255.0.20:80"), AF_INET) != 0)
        channel.say("failed");
    }
    channel.say("open");
    channel.hear();
  });
  ASSERT_EQ(child.hear(), "open");
  int tens = 0, twenties = 0;
  for (int i = 0; i < kConnections; ++i) {
    const std::string origin = origin_of(accept_from(proxy_v4));
    tens += origin.find("service=10 ") != std::string::npos;
    twenties += origin.find("service=20 ") != std::string::npos;
  }
  EXPECT_EQ(tens, kConnections / 2);
  EXPECT_EQ(twenties, kConnections / 2);
  child.say("done");
}

TEST_F(Handover, LongAnswersOfOtherOptionsStayWhole) {
  // A getsockopt hook is shown one page of an answer at most; what is longer must reach the caller untouched.
  constexpr std::size_t kGroups = 3000;
  const std::string says = in_cgroup(agent, [] {
    std::vector<gid_t> groups(kGroups);
    for (std::size_t i = 0; i < kGroups; ++i) groups[i] = static_cast<gid_t>(i + 1);
    int pair[2] = {-1, -1};
    if (::setgroups(groups.size(), groups.data()) != 0 || ::socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0)
      return error_name(errno);
    std::vector<gid_t> answer(kGroups);
    auto length = static_cast<socklen_t>(answer.size() * sizeof(gid_t));
    if (::getsockopt(pair[0], SOL_SOCKET, SO_PEERGROUPS, answer.data(), &length) != 0) return error_name(errno);
    return std::string(answer == groups ? "whole" : "damaged");
  });
  EXPECT_EQ(says, "whole");
}

/// How an application dials; what it must see is the same for all of them.
struct Way {
  const char* name;
  std::string (*dial)(const SocketAddress& dst, int family);
};

std::string dial_nonblocking(const SocketAddress& dst, int family) {
  const Fd fd(::socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0));
  const int first = connect_to(fd, dst, family);
  if (first != 0 && first != EINPROGRESS) return error_name(first);
  const Fd poller(::epoll_create1(0));
  epoll_event wanted{};
  wanted.events = EPOLLOUT;
  ::epoll_ctl(poller.get(), EPOLL_CTL_ADD, fd.get(), &wanted);
  epoll_event got{};
  if (::epoll_wait(poller.get(), &got, 1, 5000) != 1) return "never writable";
  int error = 0;
  socklen_t length = sizeof error;
  ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &length);
  if (error != 0) return error_name(error);
  const int again = connect_to(fd, dst, family);  // how some applications ask whether it is done
  if (again != 0 && again != EISCONN) return "again: " + error_name(again);
  return ::send(fd.get(), "hi", 2, MSG_NOSIGNAL) == 2 ? "ok " + peer_of(fd.get()) : error_name(errno);
}

std::string dial_blocking(const SocketAddress& dst, int family) {
  const Fd fd = tcp_socket(family);
  if (const int error = connect_to(fd, dst, family); error != 0) return error_name(error);
  return ::send(fd.get(), "hi", 2, MSG_NOSIGNAL) == 2 ? "ok " + peer_of(fd.get()) : error_name(errno);
}

std::string dial_fastopen_sendto(const SocketAddress& dst, int family) {
  const Fd fd = tcp_socket(family);
  socklen_t length = 0;
  const sockaddr_storage storage = sockaddr_for(dst, family, length);
  const ssize_t sent =
      ::sendto(fd.get(), "hi", 2, MSG_FASTOPEN | MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&storage), length);
  return sent == 2 ? "ok " + peer_of(fd.get()) : error_name(errno);
}

std::string dial_fastopen_connect(const SocketAddress& dst, int family) {
  const Fd fd = tcp_socket(family);
  const int on = 1;
  if (::setsockopt(fd.get(), IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &on, sizeof on) != 0) return error_name(errno);
  if (const int error = connect_to(fd, dst, family); error != 0) return error_name(error);
  return ::send(fd.get(), "hi", 2, MSG_NOSIGNAL) == 2 ? "ok " + peer_of(fd.get()) : error_name(errno);
}

std::string dial_mptcp(const SocketAddress& dst, int family) {
  const Fd fd = tcp_socket(family, IPPROTO_MPTCP);
  if (!fd) return "no MPTCP: " + error_name(errno);
  if (const int error = connect_to(fd, dst, family); error != 0) return error_name(error);
  return ::send(fd.get(), "hi", 2, MSG_NOSIGNAL) == 2 ? "ok " + peer_of(fd.get()) : error_name(errno);
}

const Way kWays[] = {{"blocking", dial_blocking},
                     {"nonblocking", dial_nonblocking},
                     {"fastopen_sendto", dial_fastopen_sendto},
                     {"fastopen_connect", dial_fastopen_connect},
                     {"mptcp", dial_mptcp}};

std::string read_two(const Fd& fd) {
  char bytes[2] = {};
  return ::recv(fd.get(), bytes, sizeof bytes, MSG_WAITALL) == 2 ? std::string(bytes, 2) : error_name(errno);
}

TEST_F(Handover, WorksHoweverTheApplicationDials) {
  struct Dst {
    const char* address;
    int family;
  };
  for (const Way& way : kWays) {
    for (const Dst& dst :
         {Dst{"127.255.0.10:80", AF_INET}, Dst{"127.255.0.10:80", AF_INET6}, Dst{"[100::10]:80", AF_INET6}}) {
      SCOPED_TRACE(std::string(way.name) + " " + dst.address + " family " + std::to_string(dst.family));
      EXPECT_EQ(in_cgroup(host, [&] { return way.dial(at(dst.address), dst.family); }),
                std::string("ok ") + dst.address);
      const Fd accepted = accept_from(at(dst.address).ip.is_v4() ? proxy_v4 : proxy_v6);
      ASSERT_TRUE(accepted);
      EXPECT_EQ(origin_of(accepted), std::string("dst=") + dst.address + " family=" + std::to_string(dst.family) +
                                         " service=10 namespace=0 client=0");
      EXPECT_EQ(read_two(accepted), "hi");
      EXPECT_EQ(in_cgroup(host, [&] { return way.dial(at("127.255.7.7:80"), AF_INET); }), "ECONNREFUSED");
    }
  }
}

TEST_F(Handover, WorksWhenTheListenerTakesFastOpen) {
  const int queue = 16;
  ASSERT_EQ(::setsockopt(proxy_v4.get(), IPPROTO_TCP, TCP_FASTOPEN, &queue, sizeof queue), 0);
  for (int i = 0; i < 3; ++i) {  // the first only fetches the cookie; the others carry data in the SYN
    for (const Way& way : {kWays[2], kWays[3]}) {
      SCOPED_TRACE(way.name);
      EXPECT_EQ(in_cgroup(host, [&] { return way.dial(at("127.255.0.10:80"), AF_INET); }), "ok 127.255.0.10:80");
      const Fd accepted = accept_from(proxy_v4);
      ASSERT_TRUE(accepted);
      EXPECT_EQ(origin_of(accepted), "dst=127.255.0.10:80 family=2 service=10 namespace=0 client=0");
      EXPECT_EQ(read_two(accepted), "hi");
    }
  }
}

TEST_F(Handover, WorksWhenTheListenerIsMptcp) {
  proxy_v4.reset();
  const Fd listener = tcp_socket(AF_INET, IPPROTO_MPTCP);
  const int on = 1;
  ASSERT_TRUE(listener) << error_name(errno);
  ::setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  ASSERT_EQ(bind_to(listener, at(kProxyV4), AF_INET), 0);
  ASSERT_EQ(::listen(listener.get(), 16), 0);
  for (const Way& way : {kWays[0], kWays[4]}) {
    SCOPED_TRACE(way.name);
    EXPECT_EQ(in_cgroup(host, [&] { return way.dial(at("127.255.0.10:80"), AF_INET); }), "ok 127.255.0.10:80");
    EXPECT_EQ(origin_of(accept_from(listener)), "dst=127.255.0.10:80 family=2 service=10 namespace=0 client=0");
  }
}

}  // namespace
}  // namespace causeway::test
