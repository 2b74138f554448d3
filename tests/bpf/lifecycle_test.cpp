// Start, restart, stop, crash: what is attached and pinned, and what connections in flight meet.
#include <array>
#include <filesystem>

#include <bpf/bpf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include "causeway/abi/config.h"
#include "host.h"
#include "kernel/insn.h"

namespace causeway::test {
namespace {

constexpr std::array kHooks{BPF_CGROUP_INET4_CONNECT,     BPF_CGROUP_INET6_CONNECT,     BPF_CGROUP_INET4_GETPEERNAME,
                            BPF_CGROUP_INET6_GETPEERNAME, BPF_CGROUP_UDP4_SENDMSG,      BPF_CGROUP_UDP6_SENDMSG,
                            BPF_CGROUP_UDP4_RECVMSG,      BPF_CGROUP_UDP6_RECVMSG,      BPF_CGROUP_INET4_BIND,
                            BPF_CGROUP_INET6_BIND,        BPF_CGROUP_INET_SOCK_RELEASE, BPF_CGROUP_SOCK_OPS,
                            BPF_CGROUP_INET_EGRESS};

std::vector<__u32> attached(const std::string& cgroup, bpf_attach_type hook) {
  const Fd fd(::open(cgroup.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  std::array<__u32, 64> ids{};
  __u32 count = ids.size();
  EXPECT_EQ(bpf_prog_query(fd.get(), hook, 0, nullptr, ids.data(), &count), 0);
  return {ids.begin(), ids.begin() + count};
}

class Lifecycle : public Host {
 protected:
  /// How many programs hang on all hooks of ours.
  std::size_t programs() {
    std::size_t sum = attached(agent, BPF_CGROUP_GETSOCKOPT).size();
    for (const auto hook : kHooks) sum += attached(root, hook).size();
    return sum;
  }
  std::string dial(const std::string& dst) {
    return in_cgroup(host, [&] { return dial_tcp(at(dst), AF_INET); });
  }
  /// A new agent takes over what the old one left behind.
  void restart() {
    plane.reset();
    auto started = kernel::Plane::start(options());
    ASSERT_TRUE(started) << started.error().message();
    plane = std::move(*started);
  }
};

TEST_F(Lifecycle, StopLeavesNothing) {
  start();
  EXPECT_EQ(programs(), kHooks.size() + 1);
  EXPECT_EQ(dial("127.255.0.10:80"), "ok 127.255.0.10:80");
  ASSERT_TRUE(plane->stop());
  EXPECT_EQ(programs(), 0u);
  EXPECT_FALSE(std::filesystem::exists(pin_root));
  EXPECT_NE(dial("127.255.0.10:80"), "ok 127.255.0.10:80");
  EXPECT_TRUE(plane->stop()) << "a second time";
}

TEST_F(Lifecycle, StopCaptureTakesNoNewDialsAndKeepsTheOldOnes) {
  start();
  Child child(host, [](Channel& channel) {
    const Fd fd = tcp_socket(AF_INET);
    channel.say(error_name(connect_to(fd, at("127.255.0.10:80"), AF_INET)));
    channel.hear();
    channel.say(peer_of(fd.get()));
  });
  ASSERT_EQ(child.hear(), "ok");
  ASSERT_TRUE(plane->stop_capture());
  EXPECT_NE(dial("127.255.0.10:80"), "ok 127.255.0.10:80");
  EXPECT_EQ(origin_of(accept_from(proxy_v4)), "dst=127.255.0.10:80 family=2 service=10 namespace=0 client=0");
  child.say("go on");
  EXPECT_EQ(child.hear(), "127.255.0.10:80");
  ASSERT_TRUE(plane->stop());
  EXPECT_EQ(programs(), 0u);
}

TEST_F(Lifecycle, ARestartKeepsConnectionsInFlight) {
  start();
  Child child(host, [](Channel& channel) {
    const Fd fd = tcp_socket(AF_INET);
    channel.say(error_name(connect_to(fd, at("127.255.0.10:80"), AF_INET)));
    channel.hear();
    channel.say(peer_of(fd.get()));
  });
  ASSERT_EQ(child.hear(), "ok");
  const auto before = attached(root, BPF_CGROUP_INET4_CONNECT);
  plane.reset();
  EXPECT_EQ(programs(), kHooks.size() + 1) << "a crash must not cut traffic";
  EXPECT_EQ(dial("127.255.0.10:80"), "ok 127.255.0.10:80");
  restart();
  EXPECT_EQ(programs(), kHooks.size() + 1) << "programs are replaced, not added";
  EXPECT_NE(attached(root, BPF_CGROUP_INET4_CONNECT), before);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(origin_of(accept_from(proxy_v4)), "dst=127.255.0.10:80 family=2 service=10 namespace=0 client=0") << i;
  }
  child.say("go on");
  EXPECT_EQ(child.hear(), "127.255.0.10:80");
  EXPECT_EQ(dial("127.255.0.10:80"), "ok 127.255.0.10:80") << "aliases stand before the first snapshot";
}

TEST_F(Lifecycle, TheFirstSnapshotAfterARestartSettlesWhatIsLeft) {
  start();
  restart();
  snapshot.aliases.change([](auto& all) { all.erase(all.begin()); });
  snapshot.services.erase(ServiceId(10));
  publish();
  EXPECT_EQ(dial("127.255.0.10:80"), "ECONNREFUSED");
  EXPECT_EQ(dial("127.255.0.20:80"), "ok 127.255.0.20:80");
}

TEST_F(Lifecycle, DetachAfterAKillRemovesEverything) {
  Child killed(agent, [&](Channel& channel) {
    const auto started = kernel::Plane::start(options());
    channel.say(started ? "started" : started.error().message());
    channel.hear();
  });
  ASSERT_EQ(killed.hear(), "started");
  killed.kill(SIGKILL);
  EXPECT_EQ(programs(), kHooks.size() + 1);
  const auto removed = kernel::detach(pin_root);
  ASSERT_TRUE(removed) << removed.error().message();
  EXPECT_GE(removed->size(), kHooks.size() + 1);
  EXPECT_EQ(programs(), 0u);
  EXPECT_FALSE(std::filesystem::exists(pin_root));
  const auto again = kernel::detach(pin_root);
  ASSERT_TRUE(again);
  EXPECT_TRUE(again->empty());
}

TEST_F(Lifecycle, ProgramsOfOthersStay) {
  const std::array pass{kernel::insn::set(0, 1), kernel::insn::exit()};
  LIBBPF_OPTS(bpf_prog_load_opts, as);
  as.expected_attach_type = BPF_CGROUP_INET4_CONNECT;
  const Fd program(bpf_prog_load(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, "foreign", "GPL", pass.data(), pass.size(), &as));
  const Fd cgroup(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const Fd link(bpf_link_create(program.get(), cgroup.get(), BPF_CGROUP_INET4_CONNECT, nullptr));
  ASSERT_TRUE(link);
  const auto foreign = attached(root, BPF_CGROUP_INET4_CONNECT);
  start();
  EXPECT_EQ(attached(root, BPF_CGROUP_INET4_CONNECT).size(), 2u);
  EXPECT_EQ(dial("127.255.0.10:80"), "ok 127.255.0.10:80");
  ASSERT_TRUE(plane->stop());
  EXPECT_EQ(attached(root, BPF_CGROUP_INET4_CONNECT), foreign);
}

TEST_F(Lifecycle, APinThatDoesNotFitIsReplaced) {
  start();
  const std::string path = fmt::format("{}/maps-{}/aliases", pin_root, CW_ABI_VERSION);
  ASSERT_TRUE(std::filesystem::exists(path));
  plane.reset();
  const Fd other(bpf_map_create(BPF_MAP_TYPE_HASH, "aliases", 4, 4, 8, nullptr));
  ASSERT_TRUE(other);
  ASSERT_EQ(::unlink(path.c_str()), 0);
  ASSERT_EQ(bpf_obj_pin(other.get(), path.c_str()), 0);
  restart();
  publish();
  EXPECT_EQ(dial("127.255.0.10:80"), "ok 127.255.0.10:80");
}

TEST_F(Lifecycle, ALinkToACgroupThatIsGoneIsReplaced) {
  start();
  plane.reset();
  proxy_v4.reset();
  proxy_v6.reset();
  ASSERT_EQ(in_cgroup(host, [&] { return std::string("alive"); }), "alive");
  const auto other = make_cgroup(root + "/agent2");
  auto moved = options();
  moved.agent_cgroup = other;
  auto started = kernel::Plane::start(moved);
  ASSERT_TRUE(started) << started.error().message();
  EXPECT_EQ(attached(agent, BPF_CGROUP_GETSOCKOPT).size(), 0u);
  EXPECT_EQ(attached(other, BPF_CGROUP_GETSOCKOPT).size(), 1u);
  plane = std::move(*started);
}

TEST_F(Lifecycle, TwoAgentsServeTheirOwnNetworkNamespaces) {
  start();
  const std::string agent2 = make_cgroup(root + "/agent2");
  const std::string tasks2 = make_cgroup(root + "/tasks2");
  auto second = options();
  second.pin_root = pin_root + "-second";
  second.agent_cgroup = agent2;
  second.tasks_cgroup = tasks2;
  Child other(agent2, [&](Channel& channel) {
    if (::unshare(CLONE_NEWNET) != 0 || !bring_loopback_up()) return channel.say("no namespace");
    auto started = kernel::Plane::start(second);
    if (!started) return channel.say(started.error().message());
    const Fd listener = listener_on(at(kProxyV4));
    (*started)->heartbeat()->proxy_ns = plane->heartbeat()->proxy_ns;
    Snapshot other_snapshot = snapshot;
    other_snapshot.aliases.change([](auto& all) { all[0].service = ServiceId(20); });
    (*started)->publish(std::make_shared<Snapshot>(other_snapshot));
    channel.say("ready");
    channel.hear();
    channel.say(origin_of(accept_from(listener)));
    channel.hear();
    channel.say((*started)->stop() ? "stopped" : "not stopped");
  });
  ASSERT_EQ(other.hear(), "ready");
  EXPECT_EQ(dial("127.255.0.10:80"), "ok 127.255.0.10:80");
  EXPECT_EQ(origin_of(accept_from(proxy_v4)), "dst=127.255.0.10:80 family=2 service=10 namespace=0 client=0");
  const std::string there = in_cgroup(host, [&] {
    const Fd netns(::open(fmt::format("/proc/{}/ns/net", other.pid()).c_str(), O_RDONLY));
    if (::setns(netns.get(), CLONE_NEWNET) != 0) return error_name(errno);
    return dial_tcp(at("127.255.0.10:80"), AF_INET);
  });
  EXPECT_EQ(there, "ok 127.255.0.10:80");
  other.say("accept");
  EXPECT_EQ(other.hear(), "dst=127.255.0.10:80 family=2 service=20 namespace=0 client=0");
  EXPECT_TRUE(nothing_waits(proxy_v4));
  other.say("stop");
  EXPECT_EQ(other.hear(), "stopped");
  EXPECT_EQ(dial("127.255.0.10:80"), "ok 127.255.0.10:80") << "one agent's end is not the other's";
}

TEST_F(Lifecycle, VerifiesByEffect) {
  start();
  const auto effective = plane->verify_interception();
  ASSERT_TRUE(effective) << effective.error().message();
  EXPECT_TRUE(*effective);
  EXPECT_FALSE(std::filesystem::exists(root + "/canary"));
  ASSERT_EQ(::unlink((pin_root + "/links/connect4").c_str()), 0);
  const Fd cgroup(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  ASSERT_TRUE(kernel::detach(pin_root));
  const auto gone = plane->verify_interception();
  ASSERT_TRUE(gone) << gone.error().message();
  EXPECT_FALSE(*gone);
}

TEST_F(Lifecycle, ErrorsNameWhatIsWrong) {
  auto wrong = options();
  wrong.pin_root = "/tmp/cw-no-bpffs";
  EXPECT_NE(kernel::Plane::start(wrong).error().message().find("bpffs"), std::string::npos);
  wrong = options();
  wrong.attach_cgroup = "/tmp";
  EXPECT_NE(kernel::Plane::start(wrong).error().message().find("not a cgroup v2"), std::string::npos);
  wrong = options();
  wrong.attach_cgroup = host;
  EXPECT_NE(kernel::Plane::start(wrong).error().message().find("below"), std::string::npos);
  wrong = options();
  wrong.tasks_cgroup = root + "/missing";
  EXPECT_NE(kernel::Plane::start(wrong).error().message().find("missing"), std::string::npos);
  EXPECT_EQ(programs(), 0u);
}

TEST_F(Lifecycle, ProgramsStaySmall) {
  constexpr __u32 kMostInstructions = 60'000;  // the verifier's limit is a million; older kernels walk more paths
  start();
  std::printf("%-16s %10s %10s\n", "program", "verified", "jited B");
  for (const auto hook : kHooks) {
    const auto ids = attached(root, hook);
    ASSERT_EQ(ids.size(), 1u);
    const Fd fd(bpf_prog_get_fd_by_id(ids[0]));
    bpf_prog_info info{};
    __u32 size = sizeof info;
    ASSERT_EQ(bpf_obj_get_info_by_fd(fd.get(), &info, &size), 0);
    std::printf("%-16s %10u %10u\n", info.name, info.verified_insns, info.jited_prog_len);
    EXPECT_GT(info.verified_insns, 0u) << info.name;
    EXPECT_LT(info.verified_insns, kMostInstructions) << info.name;
  }
}

TEST(Features, ThisKernelHasThemAll) {
  for (const kernel::Feature& feature : kernel::features()) {
    EXPECT_TRUE(feature.available) << feature.name << ": " << feature.detail;
    EXPECT_FALSE(feature.enables.empty()) << feature.name;
  }
}

}  // namespace
}  // namespace causeway::test
