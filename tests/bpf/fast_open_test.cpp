// A socket with TCP_FASTOPEN_CONNECT: connect() chooses an endpoint, and the SYN leaves with the first data, if ever.
#include <chrono>
#include <fstream>

#include <netinet/tcp.h>
#include <unistd.h>

#include "path_host.h"

namespace causeway::test {
namespace {

using namespace std::chrono_literals;

constexpr const char* kOne = "127.254.1.1:3000";
constexpr const char* kTwo = "127.254.1.2:3000";

/// Without cookies: else the first SYN leaves at once, to ask for one.
class FastOpen : public PathHost {
 protected:
  void SetUp() override {
    PathHost::SetUp();
    set_fast_open(7);
  }
  void TearDown() override {
    set_fast_open(3);
    PathHost::TearDown();
  }
  /// The second endpoint refuses one dial; it is out for 200 ms.
  void eject_second() {
    settings_.ejection_time = 200ms;
    settings_.ejection_failures = 1;
    serve({kOne, kTwo});
    in_cgroup(host, [] { return dial_tcp(at(kAlias), AF_INET) + dial_tcp(at(kAlias), AF_INET); });
    ASSERT_TRUE(plane->is_ejected(EndpointId(1001)));
  }
  static void set_fast_open(int value) { std::ofstream("/proc/sys/net/ipv4/tcp_fastopen") << value; }
};

Fd dial_without_data() {
  Fd fd = tcp_socket(AF_INET);
  const int on = 1;
  if (::setsockopt(fd.get(), IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &on, sizeof on) != 0) return Fd();
  return connect_to(fd, at(kAlias), AF_INET) == 0 ? std::move(fd) : Fd();
}

/// Dials, and sends when it hears so; then tells what becomes of the connection.
void dial_and_send_late(Channel& channel) {
  const Fd fd = dial_without_data();
  channel.say(fd ? "waits" : "failed");
  channel.hear();
  char byte = 'x';
  const bool sent = ::send(fd.get(), &byte, 1, 0) == 1;
  channel.say(sent && ::recv(fd.get(), &byte, 1, 0) == 1 ? "answered" : error_name(errno));
  channel.hear();
}

TEST_F(FastOpen, HoldsItsPlaceBeforeItSends) {
  const Fd listener = listener_on(at(kOne));
  settings_.max_connections = 1;
  serve({kOne});
  Child client(host, dial_and_send_late);
  ASSERT_EQ(client.hear(), "waits");
  EXPECT_TRUE(nothing_waits(listener)) << "else this is no test of a SYN that waits";
  EXPECT_EQ(plane->active(ServiceId(10)), 1);
  EXPECT_EQ(in_cgroup(host, [] { return dial_tcp(at(kAlias), AF_INET); }), "ECONNREFUSED");
  client.say("send");
  const Fd accepted = accept_from(listener);
  ASSERT_TRUE(accepted);
  ASSERT_EQ(::send(accepted.get(), "y", 1, 0), 1);
  EXPECT_EQ(client.hear(), "answered");
  EXPECT_EQ(counted().opened, 1u);
}

TEST_F(FastOpen, SentToAnEndpointThatLeftItIsEndedSoon) {
  for (const bool by_sock_diag : {false, true}) {
    SCOPED_TRACE(by_sock_diag);
    by_netlink = by_sock_diag;
    if (by_sock_diag) restart();
    settings_.drain_timeout = 0ms;
    const Fd listener = listener_on(at(kOne));
    serve({kOne});
    Child client(host, dial_and_send_late);
    ASSERT_EQ(client.hear(), "waits");
    serve({});
    ASSERT_TRUE(plane->end_connections());
    ASSERT_TRUE(plane->end_connections());
    // It holds its place, so the endpoint is looked at again and again, at last once a minute.
    auto unasked = plane->next_end();
    for (int i = 0; i < 5 && unasked; ++i) {
      while (std::chrono::steady_clock::now() < *unasked) ::usleep(1000);
      ASSERT_TRUE(plane->end_connections());
      unasked = plane->next_end();
    }
    ASSERT_TRUE(unasked);
    client.say("send");
    const auto deadline = std::chrono::steady_clock::now() + 5s;
    std::optional<std::chrono::steady_clock::time_point> asked = unasked;
    while (asked && *asked >= *unasked && std::chrono::steady_clock::now() < deadline) {
      plane->drain_events({});
      asked = plane->next_end();
    }
    ASSERT_TRUE(asked);
    EXPECT_LT(*asked, *unasked) << "the programs told of it";
    while (std::chrono::steady_clock::now() < *asked) ::usleep(1000);
    const auto ended = plane->end_connections();
    ASSERT_TRUE(ended);
    ASSERT_EQ(ended->size(), 1u);
    EXPECT_EQ((*ended)[0].count, 1u);
    EXPECT_EQ(client.hear(), "ECONNABORTED");
    EXPECT_EQ(plane->active(EndpointId(1000)), 0);
  }
}

TEST_F(FastOpen, IsNoTrialOfAnEndpointThatIsLeftOut) {
  const Fd good = listener_on(at(kOne));
  eject_second();
  const Fd back = listener_on(at(kTwo));
  ::usleep(250'000);  // the time itself: from now on it may be tried
  Child holder(host, [](Channel& channel) {
    std::vector<Fd> held;
    for (int i = 0; i < 4; ++i) held.push_back(dial_without_data());
    channel.say(held.back() ? "held" : "failed");
    channel.hear();
  });
  ASSERT_EQ(holder.hear(), "held");
  EXPECT_EQ(in_cgroup(host, [] { return dial_tcp(at(kAlias), AF_INET) + " " + dial_tcp(at(kAlias), AF_INET); }),
            std::string("ok ") + kAlias + " ok " + kAlias);
  EXPECT_FALSE(plane->is_ejected(EndpointId(1001))) << "a dial that sends its SYN tried it";
}

TEST_F(FastOpen, TriesItWhereNobodyElseDoes) {
  const Fd good = listener_on(at(kOne));
  eject_second();
  const Fd back = listener_on(at(kTwo));
  ::usleep(450'000);  // the time itself: another 200 ms later than other dials
  Child client(host, [](Channel& channel) {
    std::vector<Fd> held;
    for (int i = 0; i < 2; ++i) held.push_back(dial_without_data());
    for (const Fd& fd : held) channel.say(fd && ::send(fd.get(), "x", 1, 0) == 1 ? "sent" : "failed");
    channel.hear();
  });
  for (int i = 0; i < 2; ++i) ASSERT_EQ(client.hear(), "sent");
  const auto deadline = std::chrono::steady_clock::now() + 5s;
  while (plane->is_ejected(EndpointId(1001)) && std::chrono::steady_clock::now() < deadline) ::usleep(1000);
  EXPECT_FALSE(plane->is_ejected(EndpointId(1001)));
}

}  // namespace
}  // namespace causeway::test
