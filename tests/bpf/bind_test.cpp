// Servers of tasks: each at its task's address, several on one port, each still localhost to itself.
#include <cerrno>
#include <map>

#include <fmt/format.h>
#include <poll.h>

#include "host.h"

namespace causeway::test {
namespace {

constexpr int kDual = AF_INET6;
constexpr int kOnlyV6 = -AF_INET6;  ///< a v6 socket with IPV6_V6ONLY

Fd bound(const std::string& address, int kind, std::string& error) {
  const int family = kind == AF_INET ? AF_INET : AF_INET6;
  Fd fd = tcp_socket(family);
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on,
               sizeof on);  // as servers do: their port's last connections are in TIME_WAIT
  if (family == AF_INET6) {
    const int only = kind == kOnlyV6;
    ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only);
  }
  const int failed = bind_to(fd, at(address), family);
  error = error_name(failed);
  return fd;
}

/// "ok NAME", NAME as getsockname() tells, or the error's name.
std::string bind_says(const std::string& address, int kind) {
  std::string error;
  const Fd fd = bound(address, kind, error);
  return error == "ok" ? "ok " + name_of(fd.get()) : error;
}

class Bind : public Host {
 protected:
  void SetUp() override {
    Host::SetUp();
    for (int i = 1; i <= 5; ++i) {
      tasks_.push_back(task(fmt::format("t{}", i), NamespaceNumber(1), fmt::format("127.254.0.{}", i), {3000, 3001}));
    }
    start();
  }

  /// The listen events that wait, each with what sock_diag says now.
  std::map<std::string, bool> events() {
    std::map<std::string, bool> seen;
    pollfd ready{plane->events_fd(), POLLIN, 0};
    (void)::poll(&ready, 1, 2000);
    plane->drain_events({[&](const kernel::ListenEvent& event) {
      const auto listens = kernel::is_listening(event.address);
      ASSERT_TRUE(listens) << listens.error().message();
      seen[event.address.to_string()] = *listens;
    }});
    return seen;
  }

  std::vector<std::string> tasks_;
};

TEST_F(Bind, MovesWhatATaskServes) {
  struct Case {
    const char* name;
    const char* address;
    int kind;
    const char* says;
  };
  for (const Case& c : {
           Case{"any v4", "0.0.0.0:3000", AF_INET, "ok 127.254.0.1:3000"},
           Case{"localhost v4", "127.0.0.1:3000", AF_INET, "ok 127.254.0.1:3000"},
           Case{"any v6", "[::]:3000", kDual, "ok 127.254.0.1:3000"},
           Case{"localhost v6", "[::1]:3000", kDual, "ok 127.254.0.1:3000"},
           Case{"any mapped", "0.0.0.0:3000", kDual, "ok 127.254.0.1:3000"},
           Case{"localhost mapped", "127.0.0.1:3000", kDual, "ok 127.254.0.1:3000"},
           Case{"the second port", "0.0.0.0:3001", AF_INET, "ok 127.254.0.1:3001"},
           Case{"its own address", "127.254.0.1:3000", AF_INET, "ok 127.254.0.1:3000"},
           Case{"a port not its own", "0.0.0.0:3002", AF_INET, "ok 0.0.0.0:3002"},
           Case{"a port not its own, v6", "[::]:3002", kOnlyV6, "ok [::]:3002"},
           Case{"another address", "127.0.0.9:3000", AF_INET, "ok 127.0.0.9:3000"},
       }) {
    EXPECT_EQ(in_cgroup(tasks_[0], [&] { return bind_says(c.address, c.kind); }), c.says) << c.name;
  }
  EXPECT_EQ(in_cgroup(host, [] { return bind_says("0.0.0.0:3000", AF_INET); }), "ok 0.0.0.0:3000")
      << "a process of no task";
  EXPECT_TRUE(in_cgroup(tasks_[0], [] { return bind_says("0.0.0.0:0", AF_INET); }).starts_with("ok 0.0.0.0:"))
      << "any port";
  EXPECT_EQ(in_cgroup(tasks_[0],
                      [] {
                        const Fd fd = udp_socket(AF_INET);
                        const int error = bind_to(fd, at("0.0.0.0:3000"), AF_INET);
                        return error_name(error) + " " + name_of(fd.get());
                      }),
            "ok 0.0.0.0:3000")
      << "UDP";
  EXPECT_EQ(in_cgroup(tasks_[0],
                      [] {
                        const Fd fd = tcp_socket(AF_INET, IPPROTO_MPTCP);
                        const int error = bind_to(fd, at("0.0.0.0:3000"), AF_INET);
                        return error_name(error) + " " + name_of(fd.get());
                      }),
            "ok 127.254.0.1:3000")
      << "MPTCP";
}

/// A server that binds all of `sockets`, and then answers every connection with its name.
Child server(const std::string& cgroup, const std::string& name,
             const std::vector<std::pair<std::string, int>>& sockets) {
  return Child(cgroup, [=](Channel& channel) {
    std::vector<Fd> fds;
    std::vector<pollfd> polled;
    for (const auto& [address, kind] : sockets) {
      std::string error;
      fds.push_back(bound(address, kind, error));
      if (error != "ok" || ::listen(fds.back().get(), 16) != 0) return channel.say(address + ": " + error);
      polled.push_back({fds.back().get(), POLLIN, 0});
    }
    channel.say("listening");
    while (::poll(polled.data(), polled.size(), -1) > 0) {
      for (const pollfd& p : polled) {
        if (p.revents == 0) continue;
        const Fd fd(::accept(p.fd, nullptr, nullptr));
        if (::send(fd.get(), name.data(), name.size(), MSG_NOSIGNAL) < 0) return;
      }
    }
  });
}

std::string who_answers(const std::string& address, int family) {
  const Fd fd = tcp_socket(family);
  if (const int error = connect_to(fd, at(address), family); error != 0) return error_name(error);
  char name[16] = {};
  const ssize_t size = ::recv(fd.get(), name, sizeof name, 0);
  return std::string(name, size > 0 ? static_cast<std::size_t>(size) : 0) + " at " + peer_of(fd.get());
}

TEST_F(Bind, FiveCopiesOfOneServerRunSideBySide) {
  const std::vector<std::pair<const char*, std::vector<std::pair<std::string, int>>>> forms{
      {"0.0.0.0", {{"0.0.0.0:3000", AF_INET}}},
      {"::, as Node listens", {{"[::]:3000", kDual}}},
      {"127.0.0.1", {{"127.0.0.1:3000", AF_INET}}},
      {"nginx: listen 3000; listen [::]:3000;", {{"0.0.0.0:3000", AF_INET}, {"[::]:3000", kOnlyV6}}},
      {"nginx: listen [::]:3000; listen 3000;", {{"[::]:3000", kOnlyV6}, {"0.0.0.0:3000", AF_INET}}},
      {"nginx: listen [::]:3000 ipv6only=off;", {{"[::]:3000", kDual}}},
      {"asyncio on localhost", {{"127.0.0.1:3000", AF_INET}, {"[::1]:3000", kOnlyV6}}},
  };
  for (const auto& [name, sockets] : forms) {
    SCOPED_TRACE(name);
    std::vector<Child> servers;
    for (std::size_t i = 0; i < tasks_.size(); ++i) {
      servers.push_back(server(tasks_[i], fmt::format("t{}", i + 1), sockets));
      ASSERT_EQ(servers.back().hear(), "listening");
    }
    for (std::size_t i = 0; i < tasks_.size(); ++i) {
      const std::string me = fmt::format("t{}", i + 1);
      const std::string own = fmt::format("127.254.0.{}:3000", i + 1);
      EXPECT_EQ(in_cgroup(host, [&] { return who_answers(own, AF_INET); }), me + " at " + own);
      EXPECT_EQ(in_cgroup(tasks_[i], [] { return who_answers("127.0.0.1:3000", AF_INET); }), me + " at 127.0.0.1:3000");
      EXPECT_EQ(in_cgroup(tasks_[i], [] { return who_answers("[::1]:3000", AF_INET6); }), me + " at [::1]:3000");
      EXPECT_EQ(in_cgroup(tasks_[i], [] { return who_answers("127.0.0.1:3000", AF_INET6); }),
                me + " at 127.0.0.1:3000");
      EXPECT_EQ(in_cgroup(tasks_[i], [] { return who_answers("0.0.0.0:3000", AF_INET); }), me + " at 127.0.0.1:3000");
    }
    EXPECT_EQ(in_cgroup(host, [] { return who_answers("127.0.0.1:3000", AF_INET); }), "ECONNREFUSED")
        << "a host process";
  }
}

TEST_F(Bind, TellsWhenServersBeginAndStop) {
  ASSERT_FALSE(*kernel::is_listening(at("127.254.0.1:3000")));
  Child v4 = server(tasks_[0], "t1", {{"0.0.0.0:3000", AF_INET}});
  ASSERT_EQ(v4.hear(), "listening");
  EXPECT_EQ(events(), (std::map<std::string, bool>{{"127.254.0.1:3000", true}}));
  Child mapped = server(tasks_[1], "t2", {{"[::]:3000", kDual}});
  ASSERT_EQ(mapped.hear(), "listening");
  EXPECT_EQ(events(), (std::map<std::string, bool>{{"127.254.0.2:3000", true}}));
  EXPECT_EQ(in_cgroup(host, [] { return who_answers("127.254.0.1:3000", AF_INET); }), "t1 at 127.254.0.1:3000");
  v4.kill(SIGKILL);
  EXPECT_EQ(events(), (std::map<std::string, bool>{{"127.254.0.1:3000", false}}));
  mapped.kill(SIGTERM);
  EXPECT_EQ(events(), (std::map<std::string, bool>{{"127.254.0.2:3000", false}}));
  const Child others = server(host, "other", {{"0.0.0.0:3009", AF_INET}});
  plane->drain_events({[](const kernel::ListenEvent& event) { FAIL() << event.address.to_string(); }});
}

TEST_F(Bind, IsListeningIsExact) {
  const Fd wildcard = listener_on(at("0.0.0.0:3333"));
  EXPECT_TRUE(*kernel::is_listening(at("0.0.0.0:3333")));
  EXPECT_FALSE(*kernel::is_listening(at("127.0.0.1:3333"))) << "a wildcard listener is another's";
  EXPECT_FALSE(*kernel::is_listening(at("127.0.0.1:3334")));
  const Fd v6 = listener_on(at("[::1]:3335"));
  EXPECT_TRUE(*kernel::is_listening(at("[::1]:3335")));
  EXPECT_FALSE(*kernel::is_listening(at("127.0.0.1:3335")));
}

}  // namespace
}  // namespace causeway::test
