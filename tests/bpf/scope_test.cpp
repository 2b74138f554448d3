// What the programs must not touch, and how they know where they are.
#include <filesystem>

#include <bpf/bpf.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "host.h"
#include "kernel/attachment.h"
#include "kernel/cgroup.h"
#include "kernel/encode.h"
#include "kernel/object.h"
#include "kernel/pins.h"

namespace causeway::test {
namespace {

class Scope : public Host {
 protected:
  std::size_t pending() {
    const Fd map(bpf_obj_get((kernel::maps_directory(pin_root) + "/pending_origins").c_str()));
    EXPECT_TRUE(map);
    std::size_t count = 0;
    char key[256], next[256];
    const void* previous = nullptr;
    while (bpf_map_get_next_key(map.get(), previous, next) == 0) {
      std::copy(std::begin(next), std::end(next), key);
      previous = key;
      ++count;
    }
    return count;
  }
};

TEST_F(Scope, NoOriginIsLeftBehind) {
  start();
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(in_cgroup(host, [] { return dial_tcp(at("127.255.0.10:80"), AF_INET); }), "ok 127.255.0.10:80");
    EXPECT_TRUE(accept_from(proxy_v4));
  }
  EXPECT_EQ(pending(), 0u) << "accepted connections took theirs";
  proxy_v4.reset();
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(in_cgroup(host, [] { return dial_tcp(at("127.255.0.10:80"), AF_INET); }), "ECONNREFUSED");
  }
  EXPECT_EQ(pending(), 0u) << "refused connections dropped theirs";
}

// No file system that dials by itself (NFS, SMB, Ceph) is at hand; the subflow of an MPTCP socket is a kernel socket of
// the same kind, and once the programs are told that this kernel has no MPTCP, it is one that they must leave alone.
TEST_F(Scope, KernelSocketsAreLeftAlone) {
  const auto cgroup = kernel::open_cgroup(root);
  const auto agents = kernel::open_cgroup(agent);
  ASSERT_TRUE(cgroup);
  ASSERT_TRUE(agents);
  cw_config config{};
  socklen_t size = sizeof config.netns_cookie;
  ASSERT_EQ(::getsockopt(udp_socket(AF_INET).get(), SOL_SOCKET, 71 /* SO_NETNS_COOKIE */, &config.netns_cookie, &size),
            0);
  config.agent_cgroup_id = agents->id;
  config.agent_level = agents->level;
  config.tasks_cgroup_id = ~0ull;
  config.tasks_level = agents->level;
  config.alias_v4_base = kernel::encode(*IpAddress::parse("127.255.0.0"));
  config.alias_v4_mask = kernel::encode_mask(*IpPrefix::parse("127.255.0.0/16"));
  config.has_set_retval = 1;
  for (const bool has_mptcp : {true, false}) {
    config.has_mptcp = has_mptcp;
    ASSERT_TRUE(kernel::make_pin_directories(pin_root));
    const auto object = kernel::load_object(config, {}, pin_root);
    ASSERT_TRUE(object) << object.error().message();
    for (const kernel::Program& program : object->programs) {
      if (program.name != "connect4") continue;
      ASSERT_TRUE(kernel::Attachment::make(program, *cgroup, kernel::links_directory(pin_root) + "/connect4"));
    }
    const Fd server = listener_on(at("0.0.0.0:9000"));
    const auto mptcp = [] {
      const Fd fd = tcp_socket(AF_INET, IPPROTO_MPTCP);
      return error_name(connect_to(fd, at("127.255.7.7:9000"), AF_INET));
    };
    EXPECT_EQ(in_cgroup(host, [] { return dial_tcp(at("127.255.7.7:9000"), AF_INET); }), "ECONNREFUSED");
    EXPECT_EQ(in_cgroup(host, mptcp), has_mptcp ? "ECONNREFUSED" : "ok");
    ASSERT_TRUE(kernel::detach(pin_root));
  }
}

TEST_F(Scope, ADepthThatACgroupNamespaceHidesIsFound) {
  const auto outside = kernel::open_cgroup(tasks);
  ASSERT_TRUE(outside);
  const std::string below = make_cgroup(root + "/container");
  const std::string says = in_cgroup(below, [&] {
    const std::string mount = "/mnt";  // a mount namespace of this process's own
    if (::unshare(CLONE_NEWCGROUP | CLONE_NEWNS) != 0 ||
        ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount("none", mount.c_str(), "cgroup2", 0, nullptr) != 0) {
      return error_name(errno);
    }
    const auto hidden = kernel::open_cgroup(mount);
    return hidden ? std::to_string(hidden->level) + " " + std::to_string(hidden->id) : hidden.error().message();
  });
  struct stat stat {};
  ASSERT_EQ(::stat(below.c_str(), &stat), 0);
  EXPECT_EQ(says, std::to_string(outside->level) + " " + std::to_string(stat.st_ino));
}

TEST_F(Scope, BpffsIsMountedWhereThereIsNone) {
  const std::string says = in_cgroup(host, [] {
    if (::unshare(CLONE_NEWNS) != 0 || ::umount2("/sys/fs/bpf", MNT_DETACH) != 0) return error_name(errno);
    struct statfs info {};
    while (::statfs("/sys/fs/bpf", &info) == 0 && info.f_type == BPF_FS_MAGIC) {  // the machine's own below ours
      if (::umount2("/sys/fs/bpf", MNT_DETACH) != 0) return error_name(errno);
    }
    const auto ensured = kernel::ensure_bpffs("/sys/fs/bpf/causeway");
    if (!ensured) return ensured.error().message();
    ::statfs("/sys/fs/bpf", &info);
    return std::string(info.f_type == BPF_FS_MAGIC && kernel::ensure_bpffs("/sys/fs/bpf/causeway") ? "mounted"
                                                                                                   : "not mounted");
  });
  EXPECT_EQ(says, "mounted");
}

TEST_F(Scope, AnUnprivilegedProcessIsToldWhatItLacks) {
  const std::string says = in_cgroup(agent, [&] {
    if (::setresgid(65534, 65534, 65534) != 0 || ::setresuid(65534, 65534, 65534) != 0)
      return std::string("still root");
    const auto started = kernel::Plane::start(options());
    return started ? std::string("started") : started.error().message();
  });
  EXPECT_NE(says.find("ermi"), std::string::npos) << says;  // "Permission denied" or "Operation not permitted"
}

}  // namespace
}  // namespace causeway::test
