#include "host.h"

#include <algorithm>
#include <cstdio>
#include <fstream>

#include <fcntl.h>
#include <fmt/format.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

namespace causeway::test {
namespace {

constexpr std::uint64_t kHourNs = 3'600'000'000'000;

std::uint64_t monotonic_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

bool write_to(const std::string& path, const std::string& text) {
  std::ofstream file(path);
  file << text;
  return static_cast<bool>(file.flush());
}

}  // namespace

bool bring_loopback_up() {
  const Fd fd(::socket(AF_INET, SOCK_DGRAM, 0));
  ifreq request{};
  std::snprintf(request.ifr_name, sizeof request.ifr_name, "lo");
  if (::ioctl(fd.get(), SIOCGIFFLAGS, &request) != 0) return false;
  request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP | IFF_RUNNING);
  return ::ioctl(fd.get(), SIOCSIFFLAGS, &request) == 0;
}

bool prepare_process() {
  if (::geteuid() != 0) {
    std::fprintf(stderr, "bpf_test needs root: it loads BPF programs and makes network namespaces\n");
    return false;
  }
  const bool ready = ::unshare(CLONE_NEWNET | CLONE_NEWNS) == 0 &&
                     ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                     ::mount("bpf", "/sys/fs/bpf", "bpf", 0, nullptr) == 0 && bring_loopback_up() &&
                     write_to("/proc/sys/net/ipv4/tcp_fastopen", "3");  // of the new network namespace
  if (!ready) std::perror("bpf_test cannot make its namespaces");
  return ready;
}

std::shared_ptr<const Service> service(std::uint32_t id, std::uint32_t namespace_number,
                                       const std::vector<std::string>& endpoints) {
  auto made = std::make_shared<Service>();
  made->id = ServiceId(id);
  made->namespace_number = NamespaceNumber(namespace_number);
  std::uint32_t next = id * 100;
  for (const std::string& text : endpoints) {
    Endpoint endpoint;
    endpoint.id = EndpointId(next++);
    endpoint.address = at(text);
    made->endpoints.push_back(endpoint);
  }
  return made;
}

void Host::SetUp() {
  const auto mount = kernel::find_cgroup2_mount();
  ASSERT_TRUE(mount) << mount.error().message();
  root = make_cgroup(fmt::format("{}/cw-bpf-test-{}", *mount, ::getpid()));
  agent = make_cgroup(root + "/agent");
  tasks = make_cgroup(root + "/tasks");
  host = make_cgroup(root + "/host");
  ASSERT_TRUE(write_to(agent + "/cgroup.procs", "0")) << agent;
  pin_root = fmt::format("/sys/fs/bpf/cw-test-{}", ::getpid());
  for (const std::uint32_t number : {1u, 2u}) {
    const std::uint32_t id = number * 10;
    snapshot.services[ServiceId(id)] = service(id, number, {});
    Alias alias;
    alias.namespace_number = NamespaceNumber(number);
    alias.vip4 = *IpAddress::parse(fmt::format("127.255.0.{}", id));
    alias.vip6 = *IpAddress::parse(fmt::format("100::{}", id));
    alias.port = 80;
    alias.service = ServiceId(id);
    snapshot.aliases.change([&](auto& all) { all.push_back(alias); });
  }
}

void Host::TearDown() {
  if (plane) {
    const auto stopped = plane->stop();
    EXPECT_TRUE(stopped) << stopped.error().message();
  }
  plane.reset();
  (void)kernel::detach(pin_root);
  const auto mount = kernel::find_cgroup2_mount();
  if (mount) write_to(*mount + "/cgroup.procs", "0");
  std::reverse(cgroups_.begin(), cgroups_.end());
  for (const std::string& path : cgroups_) EXPECT_EQ(::rmdir(path.c_str()), 0) << path << ": " << error_name(errno);
}

std::string Host::make_cgroup(const std::string& path) {
  EXPECT_EQ(::mkdir(path.c_str(), 0755), 0) << path << ": " << error_name(errno);
  cgroups_.push_back(path);
  return path;
}

kernel::PlaneOptions Host::options() const {
  kernel::PlaneOptions options;
  options.pin_root = pin_root;
  options.attach_cgroup = root;
  options.agent_cgroup = agent;
  options.tasks_cgroup = tasks;
  options.alias_v4 = *IpPrefix::parse("127.255.0.0/16");
  options.alias_v6 = *IpPrefix::parse("100::/64");
  options.proxy_v4 = at(kProxyV4);
  options.proxy_v6 = at(kProxyV6);
  options.dns_v4 = at(kDnsV4);
  options.dns_v6 = at(kDnsV6);
  options.sizes = sizes;
  options.end_by_netlink = by_netlink;
  return options;
}

void Host::start() {
  auto started = kernel::Plane::start(options());
  ASSERT_TRUE(started) << started.error().message();
  plane = std::move(*started);
  proxy_v4 = listener_on(at(kProxyV4));
  proxy_v6 = listener_on(at(kProxyV6));
  ASSERT_TRUE(proxy_v4);
  ASSERT_TRUE(proxy_v6);
  beat_proxy(true);
  beat_dns(true);
  publish();
}

void Host::publish() {
  ++snapshot.revision.value;
  plane->publish(std::make_shared<Snapshot>(snapshot));
  ASSERT_EQ(plane->acknowledged(), snapshot.revision) << plane->last_error().value_or(Error{}).message();
}

std::string Host::task(const std::string& name, NamespaceNumber namespace_number, const std::string& address,
                       std::vector<std::uint16_t> ports) {
  const std::string path = make_cgroup(tasks + "/" + name);
  struct stat stat {};
  EXPECT_EQ(::stat(path.c_str(), &stat), 0);
  Workload workload;
  workload.client = ClientId(7);
  workload.task_id = name;
  workload.cgroup_id = stat.st_ino;
  workload.namespace_number = namespace_number;
  workload.address = *IpAddress::parse(address);
  workload.ports = std::move(ports);
  snapshot.workloads[name] = workload;
  return path;
}

// An hour ahead is fresh however slow the machine is; 1 ns after boot is stale.
void Host::beat_proxy(bool alive) {
  plane->heartbeat()->proxy_ns = alive ? monotonic_ns() + kHourNs : 1;
}
void Host::beat_dns(bool alive) {
  plane->heartbeat()->dns_ns = alive ? monotonic_ns() + kHourNs : 1;
}

}  // namespace causeway::test
