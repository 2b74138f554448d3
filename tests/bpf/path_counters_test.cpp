// What is counted of connections that went straight to an endpoint, against what the endpoint itself saw.
#include <cstring>
#include <numeric>

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/filter.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/random.h"
#include "path_host.h"

namespace causeway::test {
namespace {

using namespace std::chrono_literals;

struct Seen {
  std::uint64_t connections = 0, received = 0, sent = 0;
};

void send_bytes(int fd, std::size_t count) {
  const std::string bytes(count, 'x');
  for (std::size_t done = 0; done < count;) {
    const ssize_t sent = ::send(fd, bytes.data() + done, count - done, MSG_NOSIGNAL);
    if (sent <= 0) return;
    done += static_cast<std::size_t>(sent);
  }
}

/// What comes up to that many bytes, or to the other side's end.
std::size_t receive_bytes(int fd, std::size_t count = ~std::size_t{0}) {
  std::array<char, 65536> buffer{};
  std::size_t done = 0;
  while (done < count) {
    const ssize_t got = ::recv(fd, buffer.data(), std::min(buffer.size(), count - done), 0);
    if (got <= 0) break;
    done += static_cast<std::size_t>(got);
  }
  return done;
}

void close_with_reset(Fd& fd) {
  const linger now{1, 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
  fd.reset();
}

class PathCounted : public PathHost {
 protected:
  /// Once that many have ended; FINs and RSTs are on their way for a moment.
  cw_counters counted_after(std::uint64_t closed, ClientId client = kHostClient) {
    const auto deadline = std::chrono::steady_clock::now() + 10s;
    while (counted(client).closed < closed && std::chrono::steady_clock::now() < deadline) ::usleep(1000);
    return counted(client);
  }
  static std::uint64_t failures(const cw_counters& counters) {
    return std::accumulate(std::begin(counters.failed), std::end(counters.failed), std::uint64_t{0});
  }
};

/// Who ends the connection, and how.
enum class End { client_first, server_first, half_close };

TEST_F(PathCounted, ConnectionsAndBytesAreTheServers) {
  const Fd listener = listener_on(at("127.254.1.1:3000"));
  serve({"127.254.1.1:3000"});
  constexpr int kConnections = 120;
  const auto end_of = [](int i) { return static_cast<End>(i % 3); };
  const auto size_of = [](int i, std::uint64_t salt) {
    FastRandom random(static_cast<std::uint64_t>(i) * 2 + salt);
    return i % 10 == 0 ? std::size_t{0} : static_cast<std::size_t>(random.below(i % 7 == 0 ? 300'000 : 5'000));
  };
  Child client(host, [&](Channel& channel) {
    for (int i = 0; i < kConnections; ++i) {
      Fd fd = tcp_socket(i % 2 == 0 ? AF_INET : AF_INET6);
      if (connect_to(fd, at(kAlias), i % 2 == 0 ? AF_INET : AF_INET6) != 0) return channel.say("not connected");
      send_bytes(fd.get(), size_of(i, 0));
      if (end_of(i) == End::half_close) ::shutdown(fd.get(), SHUT_WR);
      if (end_of(i) == End::client_first) {
        receive_bytes(fd.get(), size_of(i, 1));
      } else {
        receive_bytes(fd.get());
      }
    }
    channel.say("done");
    channel.hear();
  });
  Seen seen;
  for (int i = 0; i < kConnections; ++i) {
    const Fd fd = accept_from(listener);
    ASSERT_TRUE(fd);
    ++seen.connections;
    seen.received += receive_bytes(fd.get(), size_of(i, 0));
    send_bytes(fd.get(), size_of(i, 1));
    seen.sent += size_of(i, 1);
    if (end_of(i) != End::server_first) {
      EXPECT_EQ(receive_bytes(fd.get()), 0u);
    }
  }
  ASSERT_EQ(client.hear(), "done");
  const cw_counters counters = counted_after(kConnections);
  EXPECT_EQ(counters.opened, seen.connections);
  EXPECT_EQ(counters.closed, seen.connections);
  EXPECT_EQ(counters.bytes_sent, seen.received);
  EXPECT_EQ(counters.bytes_received, seen.sent);
  EXPECT_EQ(failures(counters), 0u);
  EXPECT_EQ(std::accumulate(std::begin(counters.connect_buckets), std::end(counters.connect_buckets), std::uint64_t{0}),
            seen.connections);
  EXPECT_GT(counters.connect_sum_us, 0u);
  EXPECT_LT(counters.connect_sum_us, 10'000'000u);
}

TEST_F(PathCounted, OverProcessorsNoneIsLost) {
  const Fd listener = listener_on(at("127.254.1.1:3000"));
  serve({"127.254.1.1:3000"});
  constexpr int kProcesses = 4, kDials = 500;
  std::vector<Child> children;
  for (int i = 0; i < kProcesses; ++i) {
    children.emplace_back(host, [](Channel& channel) {
      int answered = 0;
      for (int dials = 0; dials < kDials; ++dials) {
        const Fd fd = tcp_socket(AF_INET);
        if (connect_to(fd, at(kAlias), AF_INET) != 0) continue;
        send_bytes(fd.get(), 10);
        answered += receive_bytes(fd.get(), 20) == 20;
      }
      channel.say(fmt::format("{}", answered));
    });
  }
  for (int i = 0; i < kProcesses * kDials; ++i) {
    const Fd fd = accept_from(listener);
    ASSERT_TRUE(fd);
    ASSERT_EQ(receive_bytes(fd.get(), 10), 10u);
    send_bytes(fd.get(), 20);
  }
  for (Child& child : children) EXPECT_EQ(child.hear(), fmt::format("{}", kDials));
  const cw_counters counters = counted_after(kProcesses * kDials);
  EXPECT_EQ(counters.opened, static_cast<std::uint64_t>(kProcesses * kDials));
  EXPECT_EQ(counters.closed, counters.opened);
  EXPECT_EQ(counters.bytes_sent, counters.opened * 10);
  EXPECT_EQ(counters.bytes_received, counters.opened * 20);
  EXPECT_EQ(failures(counters), 0u);
}

TEST_F(PathCounted, ActiveOnesAreThoseOpen) {
  const Fd listener = listener_on(at("127.254.1.1:3000"));
  serve({"127.254.1.1:3000"});
  Child client(host, [](Channel& channel) {
    std::vector<Fd> held;
    for (int i = 0; i < 3; ++i) {
      held.push_back(tcp_socket(AF_INET));
      connect_to(held.back(), at(kAlias), AF_INET);
    }
    channel.say("open");
    channel.hear();
    held.pop_back();
    channel.say("one closed");
    channel.hear();
  });
  ASSERT_EQ(client.hear(), "open");
  EXPECT_EQ(counted().opened, 3u);
  EXPECT_EQ(counted().closed, 0u);
  client.say("close one");
  ASSERT_EQ(client.hear(), "one closed");
  std::vector<Fd> accepted;
  for (int i = 0; i < 3; ++i) accepted.push_back(accept_from(listener));
  accepted.clear();
  EXPECT_EQ(counted_after(1).closed, 1u) << "two that the server closed are open at the client";
  client.kill(SIGKILL);
  EXPECT_EQ(counted_after(3).closed, 3u);
  EXPECT_EQ(failures(counted()), 0u);
}

TEST_F(PathCounted, FailuresByTheirReasons) {
  serve({"127.254.1.1:3000"});
  const auto dials = [&](int times) {
    return in_cgroup(host, [&] {
      std::string said;
      for (int i = 0; i < times; ++i) said = dial_tcp(at(kAlias), AF_INET);
      return said;
    });
  };
  EXPECT_EQ(dials(7), "ECONNREFUSED");
  EXPECT_EQ(counted().failed[CW_FAILED_REFUSED], 7u);
  serve({});
  EXPECT_EQ(dials(4), "ECONNREFUSED");
  EXPECT_EQ(counted().failed[CW_FAILED_NO_ENDPOINT], 4u);
  serve({"203.0.113.1:3000"});  // no route in this namespace
  EXPECT_EQ(dials(1), "ENETUNREACH");
  EXPECT_EQ(counted().opened, 0u);
  EXPECT_EQ(counted().failed[CW_FAILED_UNREACHABLE], 1u);
  EXPECT_EQ(failures(counted()), 12u);
}

TEST_F(PathCounted, ResetsAreTheEndpointsOnly) {
  const Fd listener = listener_on(at("127.254.1.1:3000"));
  serve({"127.254.1.1:3000"});
  constexpr int kEach = 5;
  Child client(host, [](Channel& channel) {
    for (int i = 0; i < 2 * kEach; ++i) {
      Fd fd = tcp_socket(AF_INET);
      connect_to(fd, at(kAlias), AF_INET);
      send_bytes(fd.get(), 1);
      if (i < kEach) {
        receive_bytes(fd.get());  // ends in ECONNRESET
      } else {
        receive_bytes(fd.get(), 1);
        close_with_reset(fd);
      }
    }
    channel.say("done");
    channel.hear();
  });
  for (int i = 0; i < 2 * kEach; ++i) {
    Fd fd = accept_from(listener);
    receive_bytes(fd.get(), 1);
    if (i < kEach) {
      close_with_reset(fd);
    } else {
      send_bytes(fd.get(), 1);
      receive_bytes(fd.get());
    }
  }
  ASSERT_EQ(client.hear(), "done");
  const cw_counters counters = counted_after(2 * kEach);
  EXPECT_EQ(counters.opened, 2u * kEach);
  EXPECT_EQ(counters.closed, 2u * kEach);
  EXPECT_EQ(counters.failed[CW_FAILED_RESET], std::uint64_t{kEach});
  EXPECT_EQ(failures(counters), std::uint64_t{kEach});
}

TEST_F(PathCounted, ADialGivenUpAfterAnUnansweredSynTimedOut) {
  const Fd listener = server_socket(AF_INET);
  ASSERT_EQ(bind_to(listener, at("127.254.1.9:3000"), AF_INET), 0);
  ASSERT_EQ(::listen(listener.get(), 0), 0);
  serve({"127.254.1.9:3000"});
  // The queue takes one; SYNs beyond it are dropped.
  const std::string said = in_cgroup(host, [] {
    const Fd first = tcp_socket(AF_INET);
    if (connect_to(first, at(kAlias), AF_INET) != 0) return std::string("the first was not taken");
    const Fd hurried = tcp_socket(AF_INET), patient = tcp_socket(AF_INET);
    for (const Fd* fd : {&hurried, &patient}) {
      ::fcntl(fd->get(), F_SETFL, O_NONBLOCK);
      if (connect_to(*fd, at(kAlias), AF_INET) != EINPROGRESS) return std::string("not in progress");
    }
    ::shutdown(hurried.get(), SHUT_RDWR);
    pollfd none{patient.get(), POLLOUT, 0};
    ::poll(&none, 1, 1500);  // the SYN goes out again after 1 s
    return std::string("given up");
  });
  ASSERT_EQ(said, "given up");
  const cw_counters counters = counted_after(1);
  EXPECT_EQ(counters.opened, 1u);
  EXPECT_EQ(counters.failed[CW_FAILED_TIMEOUT], 1u);
  EXPECT_EQ(counters.retransmits, 1u) << "the SYN";
  EXPECT_EQ(failures(counters), 1u) << "one that gave up at once says nothing of the endpoint";
}

/// The segments that are not taken go out again, until the filter is gone.
TEST_F(PathCounted, RetransmitsAreTheKernels) {
  const Fd listener = listener_on(at("127.254.1.1:3000"));
  serve({"127.254.1.1:3000"});
  Child client(host, [](Channel& channel) {
    const Fd fd = tcp_socket(AF_INET);
    if (connect_to(fd, at(kAlias), AF_INET) != 0) return channel.say("not connected");
    channel.say("connected");
    channel.hear();
    send_bytes(fd.get(), 500);
    tcp_info info{};
    socklen_t size = sizeof info;
    while (info.tcpi_total_retrans < 3) {
      ::usleep(1000);
      ::getsockopt(fd.get(), IPPROTO_TCP, TCP_INFO, &info, &size);
    }
    channel.say("sent again");
    receive_bytes(fd.get(), 1);
    ::getsockopt(fd.get(), IPPROTO_TCP, TCP_INFO, &info, &size);
    channel.say(fmt::format("{}", info.tcpi_total_retrans));
  });
  ASSERT_EQ(client.hear(), "connected");
  const Fd fd = accept_from(listener);
  sock_filter none{BPF_RET | BPF_K, 0, 0, 0};
  const sock_fprog drop{1, &none};
  ASSERT_EQ(::setsockopt(fd.get(), SOL_SOCKET, SO_ATTACH_FILTER, &drop, sizeof drop), 0);
  client.say("send");
  EXPECT_EQ(client.hear(), "sent again");
  ::setsockopt(fd.get(), SOL_SOCKET, SO_DETACH_FILTER, &drop, sizeof drop);
  EXPECT_EQ(receive_bytes(fd.get(), 500), 500u);
  send_bytes(fd.get(), 1);
  const std::string seen = client.hear();
  EXPECT_EQ(receive_bytes(fd.get()), 0u);
  const cw_counters counters = counted_after(1);
  EXPECT_EQ(fmt::format("{}", counters.retransmits), seen);
  EXPECT_GE(counters.retransmits, 3u);
}

TEST_F(PathCounted, LifetimesAndRoundTripsOfThoseThatEnded) {
  const Fd listener = listener_on(at("127.254.1.1:3000"));
  serve({"127.254.1.1:3000"});
  using Clock = std::chrono::steady_clock;
  const auto us = [](auto time) { return std::chrono::duration_cast<std::chrono::microseconds>(time).count(); };
  std::int64_t least = 0, most = 0;
  for (const auto time : {0ms, 20ms, 150ms}) {
    Child client(host, [](Channel& channel) {
      Fd fd = tcp_socket(AF_INET);
      channel.say(error_name(connect_to(fd, at(kAlias), AF_INET)));
      channel.hear();
      fd.reset();
      channel.say("closed");
    });
    const auto before = Clock::now();
    ASSERT_EQ(client.hear(), "ok");
    const auto opened = Clock::now();
    ::usleep(static_cast<useconds_t>(us(time)));
    Fd fd = accept_from(listener);
    const auto closing = Clock::now();
    client.say("close");
    ASSERT_EQ(client.hear(), "closed");
    const std::uint64_t ended = counted().closed + 1;
    fd.reset();
    counted_after(ended);
    least += us(closing - opened);
    most += us(Clock::now() - before);
  }
  const cw_counters counters = counted();
  const auto sum_of = [](const auto& buckets) {
    return std::accumulate(std::begin(buckets), std::end(buckets), std::uint64_t{0});
  };
  EXPECT_EQ(counters.closed, 3u);
  EXPECT_EQ(sum_of(counters.lifetime_buckets), 3u);
  EXPECT_EQ(sum_of(counters.rtt_buckets), 3u);
  EXPECT_GE(counters.lifetime_sum_us, static_cast<std::uint64_t>(least));
  EXPECT_LE(counters.lifetime_sum_us, static_cast<std::uint64_t>(most));
  EXPECT_GE(counters.lifetime_buckets[3], 1u) << "150 ms lie between 100 ms and 1 s";
  EXPECT_GT(counters.rtt_sum_us, 0u);
  EXPECT_LT(counters.rtt_sum_us, 1'000'000u);
  EXPECT_EQ(counters.retransmits, 0u);
}

TEST_F(PathCounted, AnMptcpSocketIsOneConnection) {
  const Fd listener = listener_on(at("127.254.1.1:3000"));
  serve({"127.254.1.1:3000"});
  Child client(host, [](Channel& channel) {
    {
      const Fd fd = tcp_socket(AF_INET, IPPROTO_MPTCP);
      const std::string says = error_name(connect_to(fd, at(kAlias), AF_INET));
      send_bytes(fd.get(), 1000);
      channel.say(says + " " + peer_of(fd.get()));
      receive_bytes(fd.get(), 500);
    }
    channel.hear();
  });
  EXPECT_EQ(client.hear(), fmt::format("ok {}", kAlias));
  {
    const Fd fd = accept_from(listener);
    EXPECT_EQ(receive_bytes(fd.get(), 1000), 1000u);
    send_bytes(fd.get(), 500);
    EXPECT_EQ(receive_bytes(fd.get()), 0u);
  }
  const cw_counters counters = counted_after(1);
  EXPECT_EQ(counters.opened, 1u);
  EXPECT_EQ(counters.closed, 1u);
  EXPECT_EQ(counters.bytes_sent, 1000u);
  EXPECT_EQ(counters.bytes_received, 500u);
  EXPECT_EQ(failures(counters), 0u);
}

TEST_F(PathCounted, ByClientAndAfterARestart) {
  const std::string one = task("one", NamespaceNumber(1), "127.254.0.1", {});
  const Fd listener = listener_on(at("127.254.1.1:3000"));
  serve({"127.254.1.1:3000"});
  EXPECT_EQ(in_cgroup(one, [] { return dial_tcp(at(kAlias), AF_INET); }), fmt::format("ok {}", kAlias));
  accept_from(listener).reset();
  EXPECT_EQ(counted_after(1, ClientId(7)).opened, 1u);
  EXPECT_EQ(counted().opened, 0u);
  restart();
  publish();
  EXPECT_EQ(counted(ClientId(7)).opened, 1u);
  snapshot.services.erase(ServiceId(10));
  publish();
  EXPECT_EQ(counted(ClientId(7)).opened, 0u) << "they go with the service";
}

/// Moves this process; only root can.
void move_to(const std::string& cgroup) {
  const Fd procs(::open((cgroup + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC));
  if (::write(procs.get(), "0", 1) != 1) std::abort();
}

/// Whose a connection is was settled when it was dialled; whose the next one is, by where its process is then.
TEST_F(PathCounted, AProcessThatLeftItsTaskIsTheHosts) {
  const std::string one = task("one", NamespaceNumber(1), "127.254.0.1", {});
  const Fd listener = listener_on(at("127.254.1.1:3000"));
  serve({"127.254.1.1:3000"});
  Child child(one, [this](Channel& channel) {
    const Fd before = tcp_socket(AF_INET);
    channel.say(error_name(connect_to(before, at(kAlias), AF_INET)));
    channel.hear();
    const pid_t forked = ::fork();
    if (forked == 0) {
      move_to(host);
      const Fd after = tcp_socket(AF_INET);
      channel.say(error_name(connect_to(after, at(kAlias), AF_INET)));
      channel.say(dial_tcp(at("127.255.0.20:80"), AF_INET));  // of a namespace that the task does not see
      channel.hear();
      ::_exit(0);
    }
    ::waitpid(forked, nullptr, 0);
    channel.say("ended");
    channel.hear();
  });
  ASSERT_EQ(child.hear(), "ok");
  EXPECT_EQ(counted(ClientId(7)).opened, 1u);
  EXPECT_EQ(counted().opened, 0u);
  child.say("fork");
  ASSERT_EQ(child.hear(), "ok");
  EXPECT_EQ(child.hear(), "ok 127.255.0.20:80");
  EXPECT_EQ(counted(ClientId(7)).opened, 1u);
  EXPECT_EQ(counted().opened, 1u);
  EXPECT_EQ(counted(ClientId(7)).closed, 0u) << "its parent has the task's connection open, and it has a copy";
  child.say("end");
  ASSERT_EQ(child.hear(), "ended");
  accept_from(listener).reset();
  accept_from(listener).reset();
  EXPECT_EQ(counted_after(1).closed, 1u);
  child.kill(SIGKILL);
  EXPECT_EQ(counted_after(1, ClientId(7)).closed, 1u) << "of the task, though both had it";
}

TEST_F(PathCounted, BeyondItsRoomPairsAreCountedTogether) {
  const Fd listener = listener_on(at("127.254.1.1:3000"));
  serve({"127.254.1.1:3000"});
  constexpr std::uint32_t kClients = CW_MAX_COUNTED + 10;
  const std::string one = task("one", NamespaceNumber(1), "127.254.0.1", {});
  Child client(one, [](Channel& channel) {
    while (!channel.hear().empty()) channel.say(dial_tcp(at(kAlias), AF_INET));
  });
  for (std::uint32_t number = 1; number <= kClients; ++number) {
    Workload renamed = snapshot.workloads.at("one");
    renamed.client = ClientId(number);
    snapshot.workloads["one"] = renamed;
    publish();
    client.say("dial");
    ASSERT_EQ(client.hear(), fmt::format("ok {}", kAlias));
    accept_from(listener).reset();
  }
  std::uint64_t sum = 0, together = 0;
  for (const auto& each : plane->path_counters()) {
    sum += each.counted.opened;
    if (each.service == kernel::kCountedTogether) together = each.counted.opened;
  }
  EXPECT_EQ(sum, kClients);
  EXPECT_GT(together, 0u);
}

}  // namespace
}  // namespace causeway::test
