// causeway-proxy as the agent starts it: what it may, what it beats, how it ends.
#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>

#include <boost/asio/io_context.hpp>
#include <fcntl.h>
#include <fmt/core.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <pwd.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "causeway/abi/heartbeat.h"
#include "feed/feed.h"
#include "observe/slab.h"
#include "peers.h"
#include "proxy/privileges.h"

namespace causeway::proxy::test {
namespace {

using namespace std::chrono_literals;

std::string binary() {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path() / "causeway-proxy";
}

std::map<std::string, std::string> process_status(int pid) {
  std::map<std::string, std::string> out;
  std::ifstream file(fmt::format("/proc/{}/status", pid));
  for (std::string line; std::getline(file, line);) {
    const auto colon = line.find(':');
    if (colon == std::string::npos) continue;
    const auto begin = line.find_first_not_of(" \t", colon + 1);
    out[line.substr(0, colon)] = begin == std::string::npos ? "" : line.substr(begin);
  }
  return out;
}

Fd listener(SocketAddress& address) {
  Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_storage storage;
  auto length = SocketAddress{IpAddress::v4(0x7f000001), 0}.to(storage);
  EXPECT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&storage), length), 0);
  EXPECT_EQ(::listen(fd.get(), 16), 0);
  length = sizeof storage;
  ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&storage), &length);
  address = *SocketAddress::from(storage);
  return fd;
}

/// Exit status, or -signal.
int wait_end(int pid) {
  int status = 0;
  int ended = 0;
  EXPECT_TRUE(eventually([&] { return (ended = ::waitpid(pid, &status, WNOHANG)) != 0; })) << "it does not end";
  if (ended != pid) return -1000;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

int start(std::vector<std::string> words, int feed) {
  std::vector<char*> arguments;
  for (auto& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const int pid = ::fork();
  if (pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    // A build with AddressSanitizer would look for leaks at its end through /proc, which is out of its reach then.
    ::setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
    if (feed >= 0) ::dup2(feed, 3);
    ::execv(arguments[0], arguments.data());
    ::_exit(127);
  }
  return pid;
}

/// The agent's side of a running proxy.
class ProxyProcessTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can start a process as another account";
    int ends[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    const Fd theirs(ends[1]);
    char name[] = "/tmp/causeway-proxy-test-XXXXXX";
    jail_ = ::mkdtemp(name);
    pid_ = start({binary(), "--feed-fd", "3", "--user", "nobody", "--chroot", jail_}, theirs.get());
    ASSERT_GT(pid_, 0);
    publisher_.emplace(io_.get_executor(), Fd(ends[0]));
    heartbeat_ = Fd(::memfd_create("heartbeat", MFD_CLOEXEC));
    ASSERT_EQ(::ftruncate(heartbeat_.get(), 4096), 0);
    page_ = static_cast<cw_heartbeat*>(::mmap(nullptr, 4096, PROT_READ, MAP_SHARED, heartbeat_.get(), 0));
    slab_.emplace(observe::Slab::create(2).value());
    feed::ProxySettings settings;
    settings.workers = 2;
    settings.drain = 2s;
    feed::Handover handover;
    handover.listeners.push_back(listener(address_));
    handover.counters = Fd(::fcntl(slab_->fd(), F_DUPFD_CLOEXEC, 3));
    handover.heartbeat = Fd(::fcntl(heartbeat_.get(), F_DUPFD_CLOEXEC, 3));
    ASSERT_TRUE(publisher_->hand_over(settings, handover));
    auto snapshot = std::make_shared<Snapshot>();
    snapshot->revision = Revision(1);
    publisher_->publish(snapshot);
    ASSERT_TRUE(run_until([&] { return publisher_->acknowledged() == Revision(1); }));
  }

  void TearDown() override {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
    std::error_code ignored;
    if (!jail_.empty()) std::filesystem::remove(jail_, ignored);
    if (page_ != nullptr) ::munmap(page_, 4096);
  }

  bool run_until(const std::function<bool()>& holds) {
    return eventually([&] {
      io_.restart();
      io_.poll();
      return holds();
    });
  }
  std::uint64_t beat() const { return __atomic_load_n(&page_->proxy_ns, __ATOMIC_RELAXED); }
  int ended() { return wait_end(std::exchange(pid_, -1)); }

  boost::asio::io_context io_;
  std::optional<feed::Publisher> publisher_;
  std::optional<observe::Slab> slab_;
  Fd heartbeat_;
  cw_heartbeat* page_ = nullptr;
  SocketAddress address_;
  std::string jail_;
  int pid_ = -1;
};

TEST_F(ProxyProcessTest, HasGivenEverythingUp) {
  const auto status = process_status(pid_);
  for (const auto* set : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"})
    EXPECT_EQ(status.at(set), "0000000000000000") << set;
  const passwd* nobody = ::getpwnam("nobody");
  ASSERT_NE(nobody, nullptr);
  EXPECT_EQ(status.at("Uid"), fmt::format("{0}\t{0}\t{0}\t{0}", nobody->pw_uid));
  EXPECT_EQ(status.at("Gid"), fmt::format("{0}\t{0}\t{0}\t{0}", nobody->pw_gid));
  EXPECT_EQ(status.at("Groups"), "");
  EXPECT_EQ(status.at("NoNewPrivs"), "1");
  EXPECT_EQ(status.at("Seccomp"), "2") << "bpf() and other calls are refused (below)";
  EXPECT_EQ(std::filesystem::read_symlink(fmt::format("/proc/{}/root", pid_)), jail_);
  // Every thread, not the first alone.
  for (const auto& thread : std::filesystem::directory_iterator(fmt::format("/proc/{}/task", pid_))) {
    EXPECT_EQ(process_status(std::stoi(thread.path().filename())).at("CapEff"), "0000000000000000");
    EXPECT_EQ(process_status(std::stoi(thread.path().filename())).at("Seccomp"), "2");
  }
}

TEST_F(ProxyProcessTest, HoldsOnlyWhatItWasHanded) {
  int sockets = 0;
  for (const auto& entry : std::filesystem::directory_iterator(fmt::format("/proc/{}/fd", pid_))) {
    const auto target = std::filesystem::read_symlink(entry.path()).string();
    if (target.starts_with("socket:")) ++sockets;
    const bool known = std::stoi(entry.path().filename()) <= 2 || target.starts_with("socket:") ||
                       target.starts_with("anon_inode:") || target.starts_with("pipe:") ||
                       target.starts_with("/memfd:");
    EXPECT_TRUE(known) << target;
  }
  EXPECT_GE(sockets, 2);  // the feed and the listener
}

TEST_F(ProxyProcessTest, BeatsAndGoesOnWithoutItsAgent) {
  ASSERT_TRUE(run_until([&] { return beat() != 0; }));
  const auto beaten = beat();
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  const auto ns = static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<std::uint64_t>(now.tv_nsec);
  ASSERT_LE(beaten, ns);
  EXPECT_LT(ns - beaten, 30'000'000'000u) << "of the same clock";
  publisher_.reset();
  const auto before = beat();
  EXPECT_TRUE(eventually([&] { return beat() > before + 300'000'000; }));
  ASSERT_EQ(::kill(pid_, SIGTERM), 0);
  EXPECT_EQ(ended(), 0);
}

TEST_F(ProxyProcessTest, ResetsWhatTheKernelDidNotBring) {
  auto client = Peer::dial(address_);
  client.read_all();
  EXPECT_EQ(client.at_end(), Peer::End::reset);
}

TEST_F(ProxyProcessTest, EndsWhenItIsDrained) {
  publisher_->drain();
  run_until([&] { return true; });
  EXPECT_TRUE(run_until([&] {
    return ::waitpid(pid_, nullptr, WNOHANG | WNOWAIT) != 0 || process_status(pid_)["State"].starts_with("Z");
  }));
  EXPECT_EQ(ended(), 0);
}

TEST(ProxyProgram, RefusesWrongOptionsAndAMissingAgent) {
  EXPECT_EQ(wait_end(start({binary()}, -1)), 2);
  EXPECT_EQ(wait_end(start({binary(), "--feed-fd", "x"}, -1)), 2);
  EXPECT_EQ(wait_end(start({binary(), "--feed-fd"}, -1)), 2);
  EXPECT_EQ(wait_end(start({binary(), "--verbose", "1"}, -1)), 2);
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  Fd ours(ends[0]);
  const Fd theirs(ends[1]);
  const int pid = start({binary(), "--feed-fd", "3"}, theirs.get());
  ours.reset();
  ::shutdown(theirs.get(), SHUT_RDWR);
  EXPECT_EQ(wait_end(pid), 1);
}

/// Runs `probe` in a process that has confined itself; its exit status.
int in_confinement(const Confinement& confinement, int (*probe)()) {
  const int pid = ::fork();
  if (pid == 0) {
    const auto confined = confine(confinement);
    if (!confined) {
      std::fprintf(stderr, "%s\n", confined.error().message().c_str());
      ::_exit(200);
    }
    ::_exit(probe());
  }
  return wait_end(pid);
}

TEST(Confine, RefusesBpfAndOtherPrograms) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become another account";
  EXPECT_EQ(in_confinement({"nobody", "/proc"},
                           [] {
                             // The most harmless bpf() there is; before, it would be root's.
                             bpf_attr attr{};
                             attr.map_type = BPF_MAP_TYPE_ARRAY;
                             attr.key_size = 4;
                             attr.value_size = 4;
                             attr.max_entries = 1;
                             if (::syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof attr) >= 0 || errno != EPERM)
                               return 1;
                             char* const none[] = {nullptr};
                             if (::execve("/self/exe", none, none) == 0 || errno != EPERM) return 2;
                             if (::setuid(0) == 0) return 3;
                             if (::open("/etc/passwd", O_RDONLY) >= 0) return 4;  // outside of its root directory
                             if (::chroot("/") == 0) return 5;
                             if (::getgroups(0, nullptr) != 0) return 6;
                             return 0;
                           }),
            0);
}

TEST(Confine, RefusesRootAndUnknownAccounts) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become another account";
  const auto nothing = [] { return 0; };
  EXPECT_EQ(in_confinement({"", ""}, nothing), 200);
  EXPECT_EQ(in_confinement({"root", ""}, nothing), 200);
  EXPECT_EQ(in_confinement({"0", ""}, nothing), 200);
  EXPECT_EQ(in_confinement({"no-such-account", ""}, nothing), 200);
  EXPECT_EQ(in_confinement({"nobody", "/no/such/directory"}, nothing), 200);
  EXPECT_EQ(in_confinement({"65534", ""}, nothing), 0);
}

}  // namespace
}  // namespace causeway::proxy::test
