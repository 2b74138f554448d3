// Where TCP dials end up, by who dials what.
#include <sched.h>

#include "host.h"

namespace causeway::test {
namespace {

constexpr int kV4 = AF_INET;
constexpr int kV6 = AF_INET6;

struct Case {
  const char* name;
  const char*
      who;     ///< "host", "one" (task of namespace 1), "two", "none" (of no namespace), "below" (a child of one's)
  int family;  ///< the socket's
  const char* dst;
  const char* says;              ///< what dial_tcp() tells
  const char* origin = nullptr;  ///< the proxy's view; null: nothing arrives there
};

const Case kCases[] = {
    {"alias_v4", "host", kV4, "127.255.0.10:80", "ok 127.255.0.10:80",
     "dst=127.255.0.10:80 family=2 service=10 namespace=0 client=0"},
    {"alias_v6", "host", kV6, "[100::10]:80", "ok [100::10]:80",
     "dst=[100::10]:80 family=10 service=10 namespace=0 client=0"},
    {"alias_mapped", "host", kV6, "127.255.0.10:80", "ok 127.255.0.10:80",
     "dst=127.255.0.10:80 family=10 service=10 namespace=0 client=0"},
    {"host_sees_every_namespace", "host", kV4, "127.255.0.20:80", "ok 127.255.0.20:80",
     "dst=127.255.0.20:80 family=2 service=20 namespace=0 client=0"},
    {"task_own_namespace", "one", kV4, "127.255.0.10:80", "ok 127.255.0.10:80",
     "dst=127.255.0.10:80 family=2 service=10 namespace=1 client=7"},
    {"task_own_namespace_v6", "one", kV6, "[100::10]:80", "ok [100::10]:80",
     "dst=[100::10]:80 family=10 service=10 namespace=1 client=7"},
    {"task_in_sub_cgroup", "below", kV4, "127.255.0.10:80", "ok 127.255.0.10:80",
     "dst=127.255.0.10:80 family=2 service=10 namespace=1 client=7"},
    {"task_other_namespace", "one", kV4, "127.255.0.20:80", "ECONNREFUSED"},
    {"task_other_namespace_v6", "one", kV6, "[100::20]:80", "ECONNREFUSED"},
    {"task_other_namespace_mapped", "one", kV6, "127.255.0.20:80", "ECONNREFUSED"},
    {"other_task", "two", kV4, "127.255.0.20:80", "ok 127.255.0.20:80",
     "dst=127.255.0.20:80 family=2 service=20 namespace=2 client=7"},
    {"task_without_namespace", "none", kV4, "127.255.0.10:80", "ECONNREFUSED"},
    {"task_not_yet_known", "unknown", kV4, "127.255.0.10:80", "ECONNREFUSED"},
    {"no_such_port", "host", kV4, "127.255.0.10:81", "ECONNREFUSED"},
    {"no_such_port_but_a_server_on_any", "host", kV4, "127.255.0.10:9000", "ECONNREFUSED"},
    {"no_such_address", "host", kV4, "127.255.7.7:80", "ECONNREFUSED"},
    {"no_such_address_v6", "host", kV6, "[100::dead]:80", "ECONNREFUSED"},
    {"no_such_address_mapped", "host", kV6, "127.255.7.7:80", "ECONNREFUSED"},
    {"not_an_alias", "host", kV4, "127.0.0.1:9000", "ok 127.0.0.1:9000"},
    {"beside_the_range", "host", kV4, "127.254.255.255:9000", "ok 127.254.255.255:9000"},
    {"beside_the_range_v6", "host", kV6, "[100:0:0:1::1]:80", "ENETUNREACH"},
    {"agent_is_exempt", "agent", kV4, "127.255.0.10:9000", "ok 127.255.0.10:9000"},
};

class Connect : public Host {
 protected:
  void SetUp() override {
    Host::SetUp();
    who_["host"] = host;
    who_["agent"] = agent;
    who_["one"] = task("one", NamespaceNumber(1), "127.254.0.1", {});
    who_["two"] = task("two", NamespaceNumber(2), "127.254.0.2", {});
    who_["none"] = task("none", kNoNamespace, "127.254.0.3", {});
    who_["below"] = make_cgroup(who_["one"] + "/worker");
    who_["unknown"] = make_cgroup(tasks + "/unknown");
    start();
    server_ = listener_on(at("0.0.0.0:9000"));
    ASSERT_TRUE(server_);
  }

  std::map<std::string, std::string> who_;
  Fd server_;
};

TEST_F(Connect, TakesDialsWhereTheyBelong) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.name);
    EXPECT_EQ(in_cgroup(who_[c.who], [&] { return dial_tcp(at(c.dst), c.family); }), c.says);
    const bool v6 = !at(c.dst).ip.is_v4();
    if (c.origin != nullptr) {
      EXPECT_EQ(origin_of(accept_from(v6 ? proxy_v6 : proxy_v4)), c.origin);
    }
    EXPECT_TRUE(nothing_waits(proxy_v4));
    EXPECT_TRUE(nothing_waits(proxy_v6));
  }
}

TEST_F(Connect, LeavesAnotherNetworkNamespaceAlone) {
  const std::string says = in_cgroup(host, [] {
    if (::unshare(CLONE_NEWNET) != 0) return std::string("no namespace");
    return dial_tcp(at("127.255.0.10:80"), AF_INET);
  });
  EXPECT_EQ(says, "ENETUNREACH");  // its loopback is down: what that namespace's own kernel says, not our refusal
  EXPECT_TRUE(nothing_waits(proxy_v4));
}

TEST_F(Connect, LeavesUdpToAliasAddressesAlone) {
  const std::string says = in_cgroup(host, [] {
    const Fd fd = udp_socket(AF_INET);
    const int error = connect_to(fd, at("127.255.7.7:80"), AF_INET);
    return error_name(error) + " " + peer_of(fd.get());
  });
  EXPECT_EQ(says, "ok 127.255.7.7:80");
}

TEST_F(Connect, FollowsASnapshot) {
  snapshot.aliases.change([](auto& all) { all[0].port = 8080; });
  publish();
  EXPECT_EQ(in_cgroup(host, [] { return dial_tcp(at("127.255.0.10:80"), AF_INET); }), "ECONNREFUSED");
  EXPECT_EQ(in_cgroup(host, [] { return dial_tcp(at("127.255.0.10:8080"), AF_INET); }), "ok 127.255.0.10:8080");
}

TEST_F(Connect, ForgetsAFailedDialBeforeTheNext) {
  proxy_v4.reset();  // the dial is taken there, and refused there
  const std::string says = in_cgroup(host, [] {
    const Fd fd = tcp_socket(AF_INET);
    const std::string first = error_name(connect_to(fd, at("127.255.0.10:80"), AF_INET));
    const std::string second = error_name(connect_to(fd, at("127.0.0.1:9000"), AF_INET));
    return first + ", " + second + " " + peer_of(fd.get());
  });
  EXPECT_EQ(says, "ECONNREFUSED, ok 127.0.0.1:9000");
}

}  // namespace
}  // namespace causeway::test
